"""A partner of class E knows nothing again: no key, no reference, no search. What we send twice it has twice, and its
own ledger says so: of the note before the first byte, the lease, the version, the mode, none may fail.
"""

import asyncio
import datetime as dt
import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from tests import support
from tests.sandbox.process import Sandbox
from tests.submission.desk import Desk, credential
from tests.submission.others import OPTIMUM, application, dial, event, ledger, open_accounts, running, undial

from lendrail.contracts.submit import Submit
from lendrail.local.servers.ports import free_port
from lendrail.runtime import due
from lendrail.runtime.clock import utc_now
from lendrail.runtime.partner_port import PartnerPort
from lendrail.submission.sending.channels import Channels
from lendrail.submission.sending.documents import Documents
from lendrail.submission.sending.requests import Requests
from lendrail.submission.sending.settling import Settler
from lendrail.submission.sending.workers import Submitter
from lendrail.submission.sending.writing import Writer

pytestmark = pytest.mark.asyncio
PARTNER = OPTIMUM.partner_name
ENDED = ("acked", "parked")
LEASE_SECONDS = 5.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def at_blind(desk: Desk) -> Iterator[None]:
    undial(desk, PARTNER)
    open_accounts(desk, OPTIMUM)
    yield
    undial(desk, PARTNER)


def wish(**changes: Any) -> tuple[Submit, str]:
    """To send an application of a company of its own, and the company's number, which its ledger knows it by."""
    data = application(OPTIMUM, os.urandom(8).hex(), **changes)
    return event(OPTIMUM, data), str(data["business"]["registrations"][0]["number"])


def taken(desk: Desk, number: str) -> int:
    """How often the partner has it."""
    return sum(each["reference"] == number for each in ledger(desk, PARTNER)["leads"])


async def ended(desk: Desk, wanted: Submit) -> str:
    """The state of its one attempt, once there is nothing more to do."""

    async def over() -> bool:
        return (await desk.states(wanted))[0] in ENDED

    await support.eventually(over, 15)
    return (await desk.states(wanted))[0]


@pytest.mark.parametrize(
    ("label", "times", "state"),
    [
        pytest.param("partner.before#1", 1, "acked", id="partner.before#1"),
        pytest.param("store.opportunities.after#1", 0, "parked", id="store.opportunities.after#1"),
        pytest.param("partner.after#1", 1, "parked", id="partner.after#1"),
        pytest.param("store.opportunities.after#2", 1, "acked", id="store.opportunities.after#2"),
    ],
)
async def test_killed_at_any_point_it_has_it_once(desk: Desk, label: str, times: int, state: str) -> None:
    """Before it was noted, noted and not sent, sent and not stored, stored and not told."""
    wanted, number = wish()
    await desk.hear(wanted)
    process = desk.process(fault_at=label, port=str(free_port()), lease_seconds="60")
    try:
        assert await asyncio.to_thread(process.wait, 60) == -signal.SIGKILL
    finally:
        process.kill()
    over = {"$set": {"lease.until": utc_now() - dt.timedelta(seconds=1)}}
    await desk.store.collection.update_one({"_id": str(wanted.opportunity_id), "lease": {"$exists": True}}, over)
    async with desk.lanes():
        found = await ended(desk, wanted)
        told = await _published(desk)
    assert taken(desk, number) == times, f"the partner has it {taken(desk, number)} times"
    assert found == state
    said = await desk.outcomes(wanted)
    assert said == ["accepted" if state == "acked" else "parked"], f"the world was told of it as {said}"
    assert told == 1, f"the world was told of it {told} times"


async def _published(desk: Desk) -> int:
    """Records, as soon as there is one; none after a while."""
    for _ in range(60):
        if desk.heard.records:
            break
        await asyncio.sleep(0.05)
    return len(desk.heard.records)


async def test_a_lost_answer_is_followed_by_nothing(desk: Desk) -> None:
    dial(desk, PARTNER, kind="drop_reply", operation="decide", times=1)
    wanted, number = wish()
    await desk.hear(wanted)
    async with desk.lanes():
        found = await ended(desk, wanted)
        await asyncio.sleep(0.5)
    assert taken(desk, number) == 1, f"the partner has it {taken(desk, number)} times"
    create = await desk.create(wanted)
    assert (found, create.reason, create.plan, create.tries) == ("parked", "outcome-unknown", "person", 1)


def submitter(desk: Desk, lanes: int) -> Submitter:
    """As the service makes it."""
    _, credentials = desk.mounted
    port = PartnerPort(desk.client[desk.settings.database_prefix + "partners"]["credentials"], credentials, desk.vault)
    channels = Channels(port, lanes)
    requests = Requests(channels, Documents(desk.shelf.url, dict))
    settler = Settler(desk.store, desk.desks, 60.0, lambda: None)
    writer = Writer(desk.store, desk.settings.retry_seconds, lambda: None)
    return Submitter(desk.settings, desk.store, port, desk.vault, channels, requests, settler, writer)


async def test_whoever_lost_the_lease_sends_nothing(desk: Desk) -> None:
    """Its own clock says that it holds it; the store knows better."""
    wanted, number = wish()
    await desk.hear(wanted)
    ((document, lease),) = await due.claim(desk.store.collection, {}, 1, LEASE_SECONDS)
    await desk.store.collection.update_one({"_id": document["_id"]}, {"$set": {"lease.token": "another"}})
    await submitter(desk, 1).carry_out(document, lease, 0)
    assert taken(desk, number) == 0, "sent by one whose lease is another's"
    assert await desk.states(wanted) == ["prepared"]
    assert (await desk.store.load(document["_id"]))["lease"]["token"] == "another"


async def test_two_who_begin_at_the_same_time_send_it_once(desk: Desk) -> None:
    """Both believe in the same lease: of two that make the same change one is told that it came too late."""
    wanted, number = wish()
    await desk.hear(wanted)
    ((document, lease),) = await due.claim(desk.store.collection, {}, 1, LEASE_SECONDS)
    worker = submitter(desk, 2)
    await asyncio.gather(*(worker.carry_out(document, lease, lane) for lane in range(2)))
    assert taken(desk, number) == 1, f"the partner has it {taken(desk, number)} times"
    assert await desk.states(wanted) == ["acked"]


async def test_what_was_planned_as_live_never_goes_through_a_test_account(desk: Desk) -> None:
    """The mounted files may change between the plan and the send."""
    live = credential("https://partner.example.test", mode="live", partner=PARTNER, auth=dict(OPTIMUM.auth("")))
    desk.credentials(live | {"id": f"demo-{OPTIMUM.name}"})
    desk.tenants(mode="live")
    wanted, number = wish(mode="live")
    wanted = wanted.model_copy(update={"mode": "live"})
    await desk.hear(wanted)
    assert await desk.states(wanted) == ["prepared"]
    open_accounts(desk, OPTIMUM)
    assert json.loads(desk.settings.tenants_file.read_text())["tenants"][0]["partners"][0]["mode"] == "test"
    async with desk.lanes():
        found = await ended(desk, wanted)
    assert taken(desk, number) == 0, "it crossed to the other mode"
    assert (found, (await desk.create(wanted)).reason) == ("parked", "mode-crossing")
