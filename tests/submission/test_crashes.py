"""Killed, frozen and late processes: the partner's ledger has each application once, whatever happened to us."""

import asyncio
import os
import signal
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import support
from tests.sandbox.process import Sandbox
from tests.submission.amended import corrected, first_of
from tests.submission.desk import Desk, Shelf, credential
from tests.submission.others import REFERENCE, ledger, open_accounts, running

from lendrail.contracts.submit import Submit
from lendrail.local.servers.ports import free_port
from lendrail.runtime import due
from lendrail.runtime.due import Lease
from lendrail.runtime.partner_port import PartnerPort
from lendrail.submission.sending.channels import Channels
from lendrail.submission.sending.documents import Documents
from lendrail.submission.sending.requests import Requests
from lendrail.submission.sending.settling import Settler
from lendrail.submission.sending.workers import Submitter
from lendrail.submission.sending.writing import Writer

pytestmark = pytest.mark.asyncio
SHEET = b"PK fake spreadsheet"
LOST_REPLY = ("submitted-id-unknown", "planned")
KILLS = {
    "store.opportunities.claim.before#1": ("acked", "acked"),
    "partner.before#1": ("acked", "acked"),
    "store.opportunities.before#1": ("acked", "acked"),
    "store.opportunities.after#1": ("acked", "acked"),
    "partner.sending#1": ("acked", "acked"),
    "partner.after#1": LOST_REPLY,
    "store.opportunities.before#2": LOST_REPLY,
    "store.opportunities.after#2": ("acked", "acked"),
    "partner.sending#2": ("acked", "acked"),
    "partner.after#2": ("acked", "acked"),
}
"""Where the process is killed, and how its one application with one document ends with others."""


@dataclass
class Killed:
    label: str
    desk: Desk
    event: Submit


@asynccontextmanager
async def desks(
    folder: Path, mongo: str, sandbox: Sandbox, names: list[str], **settings: str
) -> AsyncIterator[list[Desk]]:
    async with Shelf().open() as shelf:
        made = []
        for name in names:
            own = folder / name
            own.mkdir()
            made.append(
                Desk(own, mongo, f"t{uuid.uuid4().hex[:10]}_", sandbox, shelf, port=str(free_port()), **settings)
            )
            await made[-1].store.prepare()
        yield made
        for desk in made:
            for name in ("submission", "partners", "keys"):
                await desk.client.drop_database(desk.settings.database_prefix + name)
            await desk.client.close()


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


async def test_killed_at_every_point_the_partner_has_it_once(
    tmp_path: Path, mongo: str, shared: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    shared.reset()
    labels = list(KILLS)
    async with desks(tmp_path, mongo, shared, [str(n) for n in range(len(labels))]) as made:
        cases = [Killed(label, desk, await desk.submit(SHEET)) for label, desk in zip(labels, made, strict=True)]
        dying = [case.desk.process(fault_at=case.label) for case in cases]
        for case, process in zip(cases, dying, strict=True):
            status = await asyncio.to_thread(process.wait, 60)
            assert status == -signal.SIGKILL, case.label
        async with AsyncExitStack() as others:
            for case in cases:
                await others.enter_async_context(case.desk.lanes())
            for case in cases:
                await case.desk.until(case.event, *KILLS[case.label], seconds=40)
        for case in cases:
            ledger = await case.desk.ledger(case.event)
            assert len(ledger["leads"]) == 1, case.label
            assert len(ledger["attachments"]) <= 2, case.label
            assert {lead["reference"] for lead in ledger["leads"]} == {(await case.desk.create(case.event)).id}


async def test_frozen_sender_wakes_after_somebody_else_took_over(
    tmp_path: Path, mongo: str, shared: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    shared.reset()
    shared.dial(kind="delay", operation="lead", ms=900, when="after", times=1)
    async with desks(tmp_path, mongo, shared, ["frozen"]) as (desk,):
        event = await desk.submit()
        frozen = desk.process()
        try:
            await support.eventually(lambda: _is(desk, event, "sending"), 20)
            frozen.send_signal(signal.SIGSTOP)
            async with desk.lanes():
                await desk.until(event, "submitted-id-unknown")
                frozen.send_signal(signal.SIGCONT)
                await asyncio.sleep(1.5)
        finally:
            frozen.send_signal(signal.SIGCONT)
            end(frozen)
        assert await desk.states(event) == ["submitted-id-unknown"]
        assert len((await desk.ledger(event))["leads"]) == 1


async def _is(desk: Desk, event: Submit, state: str) -> bool:
    return await desk.states(event) == [state]


class Ending(Lease):
    """A lease that is over right after the attempt was marked as under way."""

    asked = 0

    def seconds_left(self) -> float:
        type(self).asked += 1
        return 100.0 if type(self).asked == 1 else 0.0


async def test_lease_that_ends_before_the_first_byte_sends_nothing(desk: Desk) -> None:
    event = await desk.submit()
    _, credentials = desk.mounted
    port = PartnerPort(desk.client[desk.settings.database_prefix + "partners"]["credentials"], credentials, desk.vault)
    documents = Documents(desk.shelf.url, dict)
    channels = Channels(port, 1)
    requests = Requests(channels, documents)
    settler = Settler(desk.store, desk.desks, 60.0, lambda: None)
    writer = Writer(desk.store, desk.settings.retry_seconds, lambda: None)
    submitter = Submitter(desk.settings, desk.store, port, desk.vault, channels, requests, settler, writer)
    ((document, lease),) = await due.claim(desk.store.collection, {}, 1, 5.0)
    await submitter.carry_out(document, Ending(lease.token, lease.deadline), 0)
    create = await desk.create(event)
    assert (str(create.state), create.unknowns, create.reason) == ("prepared", 0, "withheld")
    assert (await desk.ledger(event))["calls"] == []


LATE = 1.0
"""Seconds that a call may need on its way. Nothing brings one there before it was let go."""


async def test_two_processes_share_one_request_a_second(
    tmp_path: Path, mongo: str, shared: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted by a partner that lets all of them in: how many come within how many seconds."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    shared.reset()
    settings = {"lease_seconds": "60", "partner_deadline_seconds": "10"}
    async with desks(tmp_path, mongo, shared, ["paced"], **settings) as (desk,):
        auth = {"scheme": "api-key", "key": "counted-test-key"}
        desk.credentials(credential(shared.api, auth=auth, rate={"requests": 1, "seconds": 1}))
        events = [await desk.submit(SHEET) for _ in range(4)]
        both = [desk.process(port=str(free_port()), instance=f"submission-{n}") for n in range(2)]
        try:
            for event in events:
                await desk.until(event, "acked", "acked", seconds=60)
        finally:
            await asyncio.gather(*(asyncio.to_thread(end, process) for process in both))
            came = sorted(call["monotonic"] for call in shared.ledger()["calls"] if call["user"] == "counted")
            early = sum(too_soon(came[: place + 1]) for place in range(len(came)))
            assert early == 0, f"tooSoon: the partner counts {early} of {len(came)} calls"  # also where time ran out
        assert len(came) == 8
        for event in events:
            assert len((await desk.ledger(event))["leads"]) == 1


def too_soon(came: list[float]) -> bool:
    """Whether the last of these calls was one too many since some call before it."""
    last = len(came) - 1
    return any(came[last] - came[place] < last - place - LATE for place in range(last))


UPDATES = [
    "store.opportunities.before#1",
    "store.opportunities.after#1",
    "partner.sending#1",
    "partner.after#1",
    "store.opportunities.before#2",
    "store.opportunities.after#2",
]
"""Points around a correction, in a process that has nothing else to do."""


async def test_killed_around_a_correction_the_partner_has_it_once_and_as_it_is_now(
    tmp_path: Path, mongo: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with running(tmp_path_factory.mktemp("sandbox")) as sandbox:
        async with desks(tmp_path, mongo, sandbox, [str(n) for n in range(len(UPDATES))]) as made:
            cases = [Killed(label, desk, first_of()) for label, desk in zip(UPDATES, made, strict=True)]
            for case in cases:
                open_accounts(case.desk, REFERENCE)
                await case.desk.hear(case.event)
                async with case.desk.lanes():
                    await case.desk.until(case.event, "acked")
                await case.desk.hear(corrected(case.event))
            dying = [case.desk.process(fault_at=case.label) for case in cases]
            for case, process in zip(cases, dying, strict=True):
                assert await asyncio.to_thread(process.wait, 60) == -signal.SIGKILL, case.label
            async with AsyncExitStack() as others:
                for case in cases:
                    await others.enter_async_context(case.desk.lanes())
                for case in cases:
                    await case.desk.until(case.event, "acked", "acked", seconds=40)
            for case in cases:
                partner_id = (await case.desk.opportunity(case.event)).partner_id
                kept = [each for each in ledger(case.desk, "reference-partner")["updates"] if each["id"] == partner_id]
                assert len(kept) == 1, case.label
                assert kept[0]["body"]["business"]["legalName"] == "Fake Bakery 2 LLC"
                leads = [each for each in ledger(case.desk, "reference-partner")["leads"] if each["id"] == partner_id]
                assert len(leads) == 1, case.label
