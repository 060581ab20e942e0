"""Amendments whose predecessor never came: nothing is dropped, nobody can miss them."""

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests import make, support
from tests.validation.amended import amended, corrected, document, withdrawn
from tests.validation.sound import sound
from tests.validation.test_amendments import Desk
from tests.validation.test_checks import credentials
from tests.validation.test_handlers import ISSUER, published_keys, token

from lendrail.runtime.clock import utc_now
from lendrail.runtime.tokens import Verifier
from lendrail.validation.app import build


@pytest.fixture
async def desk(
    tmp_path: Path, mongo: str, database_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    credentials(tmp_path, "http://127.0.0.1:1/")
    made = Desk(tmp_path, mongo, database_prefix, monkeypatch, abn_credential="", amendment_overdue_seconds="3600")
    yield made
    await made.close()


async def aged(desk: Desk, hours: float) -> None:
    """As if what waits had come so long ago."""
    change = {"$set": {"arrived": utc_now() - dt.timedelta(hours=hours)}}
    await desk.database["amendments"].update_many({}, change)


async def test_operators_see_what_waits_since_when_and_for_what(desk: Desk) -> None:
    event, foreign = make.received(application=sound()), make.received(application=sound(), tenant_id="other")
    await desk.says(amended(event, 3, corrected(sound())), amended(foreign, 2, withdrawn()))
    await aged(desk, 2)
    await desk.says(amended(event, 4, document()))
    _, app = build(desk.settings, publisher=desk.heard, verifier=Verifier(ISSUER, published_keys))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/v1/amendments", headers=token("operator"))
        others = await client.get("/v1/amendments", headers=token("operator", tenant="other"))
        nobody = await client.get("/v1/amendments", headers=token("applications:read"))
    first, second = answer.json()["amendments"]
    assert dt.timedelta(hours=2) <= utc_now() - dt.datetime.fromisoformat(first.pop("since")) < dt.timedelta(hours=3)
    assert first == {
        "applicationId": str(event.application_id),
        "revision": 3,
        "waitsFor": {"revision": 2, "event": amended(event, 2, withdrawn()).id, "topic": "application-amended"},
        "overdue": True,
    }
    assert (second["revision"], second["waitsFor"]["revision"], second["overdue"]) == (4, 3, False)
    assert (answer.headers["cache-control"], nobody.status_code) == ("no-store", 403)
    (only,) = others.json()["amendments"]
    assert only["waitsFor"] == {"revision": 1, "event": foreign.id, "topic": "application-received"}


@pytest.mark.parametrize(("hours", "level"), [(0.5, "warning"), (2, "error")])
async def test_the_log_is_louder_when_it_is_overdue_and_it_still_waits(desk: Desk, hours: float, level: str) -> None:
    event = make.received(application=sound())
    await desk.says(amended(event, 2, document()))
    await aged(desk, hours)
    told: list[Any]
    with capture_logs() as told:
        async with desk.running():
            await support.eventually(lambda: _any(told))
            await desk.says(event)
            assert [each.revision for each in await desk.facts(event, 2)] == [1, 2]
            await support.eventually(desk.nothing_waits)
    assert {each["log_level"] for each in told if each.get("revision") == 2} == {level}


async def _any(told: list[Any]) -> bool:
    return bool(told)
