"""The example of *How to add a partner* is followed as it stands on the page, up to a decision."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from tests.partners.rehearsals import Rehearsal

from lendrail import partners
from lendrail import sandbox as simulated
from lendrail.contracts.terms import Status
from lendrail.partners.channels.access import auth_of
from lendrail.partners.channels.auth import MemoryTokens
from lendrail.partners.channels.rest import RestChannel
from lendrail.partners.exchange import Accepted, Duplicate, Rejected, Reply, Request
from lendrail.sandbox import app as sandbox
from lendrail.sandbox.settings import Settings

GUIDE = files("lendrail.partners.matrix").joinpath("adding.md").read_text()
BLOCKS = dict(re.findall(r"^`([a-z_./]+)`\n\n```[a-z]+\n(.*?)```$", GUIDE, re.DOTALL | re.MULTILINE))
NAME, MODULE = "plain-lending", "plain_lending"
URL = "http://127.0.0.1:1"


@pytest.fixture
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Every file at its place below another folder, which both packages are told to look into."""
    for place, text in BLOCKS.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    for package, at in (
        (partners, "libs/partners/lendrail/partners"),
        (simulated, "services/sandbox/lendrail/sandbox"),
    ):
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / at)])
    monkeypatch.setitem(partners.PARTNERS, NAME, importlib.import_module(f"lendrail.partners.{MODULE}").PLAIN_LENDING)
    module = importlib.import_module(f"lendrail.sandbox.{MODULE}")
    monkeypatch.setattr(sandbox, "PARTNERS", {**sandbox.PARTNERS, NAME: module.PlainLending})
    yield tmp_path
    for each in [each for each in sys.modules if f".{MODULE}" in each]:
        del sys.modules[each]
    for package in (partners, simulated):
        vars(package).pop(MODULE, None)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_example_comes_to_a_decision(followed: Path) -> None:
    """Straight into the sandbox's application: what sockets do to it is the suite's matter."""
    (rehearsal,) = load(followed / f"tests/partners/{MODULE}/rehearsal.py").REHEARSALS
    assert set(rehearsal.operations) == set(rehearsal.partner.operations)
    (followed / "users.json").write_text(json.dumps({"users": rehearsal.users}))
    settings = Settings(port=1, sandbox_ledger=followed / "ledger", sandbox_config=followed / "users.json")
    app = sandbox.build(settings)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, trust_env=False) as client:
        told = await _story(rehearsal, client)
    assert told == (Status.APPROVED, Status.DECLINED)


async def _story(rehearsal: Rehearsal, client: httpx.AsyncClient) -> tuple[Status | None, ...]:
    partner = rehearsal.partner
    signed = auth_of(partner, {name: SecretStr(value) for name, value in rehearsal.auth(URL).items()}, MemoryTokens())
    channel = RestChannel(client, URL + rehearsal.path, "test", signed)

    async def send(request: Request) -> Any:
        reply = await channel.send(request, 10)
        assert isinstance(reply, Reply)
        return reply, partner.outcome(request, reply)

    told = []
    for decision in ("approve", "decline"):
        application = rehearsal.application(rehearsal.amounts[decision], decision)
        (request,) = partner.create(rehearsal.order(f"guide-{decision}", application))
        refused = (await send(rehearsal.spoil(request)))[1]
        assert isinstance(refused, Rejected)
        assert {each.pointer for each in refused.problems} == rehearsal.spoilt_at
        came = (await send(request))[1]
        assert isinstance(came, Accepted)
        assert (await send(request))[1] == Duplicate()
        told.append(await _decided(rehearsal, send, came.partner_id or ""))
    return tuple(told)


async def _decided(rehearsal: Rehearsal, send: Any, partner_id: str) -> Status | None:
    """The simulated partner decides at once, that is with its next timer."""
    partner = rehearsal.partner
    assert partner.read
    assert partner.report
    for _ in range(50):
        status = partner.report((await send(partner.read(partner_id)))[0]).status
        if status != Status.IN_REVIEW:
            return status
        await asyncio.sleep(0.01)
    return Status.IN_REVIEW


def test_tests_of_the_example_pass(followed: Path) -> None:
    module = load(followed / f"tests/partners/test_{MODULE}_mapping.py")
    module.test_recorded_replies()
    module.test_garbled_replies_invent_nothing()
    for name in module.RECORDED:
        module.test_hostile_replies_are_unknown(name)


def test_every_file_that_the_guide_shows_is_followed() -> None:
    assert len(BLOCKS) == GUIDE.count("\n```\n") == 8
