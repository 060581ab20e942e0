"""Looks at the partner: the whole way over a real socket to the simulated Forward Financing, in its own process."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests import support
from tests.sandbox.process import Sandbox
from tests.status.bench import Bench, Deal, credentials_file
from tests.status.conftest import MakeBench

from lendrail.contracts.terms import Report, Status
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Reply
from lendrail.runtime.mongo import Document


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox")).start()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    running.reset()
    yield running
    running.reset()


@pytest.fixture
async def bench(make_bench: MakeBench, sandbox: Sandbox) -> Bench:
    """A service that is at work on the sandbox; sweeps are slow, retries quick."""
    bench = await make_bench(base_url=sandbox.api, retry_seconds="[0.1]", recheck_seconds="0.3")
    bench.work()
    return bench


async def accepted(bench: Bench, sandbox: Sandbox, outcome: str, **dial: Any) -> Deal:
    """A deal that the partner has, with what it will decide."""
    deal = Deal()
    reference = str(deal.id)
    sandbox.dial(kind="outcome", outcome=outcome, reference=reference, **dial)
    with sandbox.client() as client:
        deal.partner_id = sandbox.lead(client, reference)
        stage = dial.get("stage") or STAGES[outcome]
        await asyncio.to_thread(sandbox.until_stage, client, deal.partner_id, stage)
    await bench.deliver(deal.validated())
    await bench.deliver(deal.ack())
    return deal


STAGES = {
    "approve": "Approval Sent",
    "decline": "Declined",
    "missing": "File Missing Info",
    "waiting": "Waiting on ISO",
    "working": "Working",
}


def becomes(bench: Bench, deal: Deal, status: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        document = await bench.document(deal.id)
        return bool(document["status"] == status and "pending" not in document)

    return check


async def idle(bench: Bench, deal: Deal) -> Document:
    """The document once no look is due at once or under way."""

    async def check() -> Document | None:
        document = await bench.document(deal.id)
        return document if "lease" not in document and document["fetch"].get("reason") != "hint" else None

    found: Document = await support.eventually(check)
    return found


def looks(sandbox: Sandbox, deal: Deal) -> int:
    """How often the partner was asked about this deal, by its own ledger."""
    return sum(each["operation"] == "deal_status" for each in sandbox.ledger(str(deal.id))["calls"])


async def test_a_call_leads_to_the_whole_truth(bench: Bench, sandbox: Sandbox) -> None:
    cases = {"approve": "approved", "decline": "declined", "missing": "info-required"}
    for outcome, status in cases.items():
        deal = await accepted(bench, sandbox, outcome)
        await bench.deliver(deal.webhook())
        await support.eventually(becomes(bench, deal, status))
        last = (await bench.told(deal.id))[-1]
        assert (last.source, last.partner_words, last.flags) == ("fetch", STAGES[outcome], ())
        document = await bench.document(deal.id)
        assert await bench.statuses(deal.id) == ["submitting", "submitted", status]
        assert ("due" in document) == (status != "declined"), "final states are swept no more"
        if outcome == "approve":
            assert last.offers[0].amount is not None
            assert last.offers[0].action_link is not None
            assert last.offers[0].action_link.reveal().startswith("http")
            assert "http" not in repr(document["observations"]), "reply and link rest sealed"
        if outcome == "decline":
            assert last.decline_reasons
        if outcome == "missing":
            assert last.missing_info is not None


async def test_a_sweep_finds_what_no_call_told(make_bench: MakeBench, sandbox: Sandbox) -> None:
    bench = await make_bench(base_url=sandbox.api, sweep_seconds="0.3")
    bench.work()
    deal = await accepted(bench, sandbox, "approve")
    await support.eventually(becomes(bench, deal, "approved"))
    assert (await bench.told(deal.id))[-1].source == "poll"


async def test_the_same_reply_is_stored_once_and_many_calls_are_one_look(bench: Bench, sandbox: Sandbox) -> None:
    deal = await accepted(bench, sandbox, "approve")
    before = looks(sandbox, deal)
    await bench.deliver(*(deal.webhook() for _ in range(20)))
    await support.eventually(becomes(bench, deal, "approved"))
    assert looks(sandbox, deal) - before <= 2
    first = await idle(bench, deal)
    await bench.deliver(deal.webhook())

    async def seen_again() -> bool:
        return bool((await bench.document(deal.id))["fetch"]["seen_at"] > first["fetch"]["seen_at"])

    await support.eventually(seen_again)
    again = await idle(bench, deal)
    assert len(again["observations"]) == len(first["observations"])
    assert await bench.statuses(deal.id) == ["submitting", "submitted", "approved"]


async def test_a_call_during_a_look_leads_to_one_more(bench: Bench, sandbox: Sandbox) -> None:
    deal = await accepted(bench, sandbox, "approve")
    sandbox.dial(kind="delay", operation="deal_status", reference=str(deal.id), ms=500, when="before", times=1)
    before = looks(sandbox, deal)
    await bench.deliver(deal.webhook())

    async def under_way() -> bool:
        return "lease" in await bench.document(deal.id)

    await support.eventually(under_way)
    await asyncio.sleep(0.1)
    await bench.deliver(deal.webhook(), deal.webhook())

    async def two() -> bool:
        return looks(sandbox, deal) - before == 2

    await support.eventually(two)
    await asyncio.sleep(0.2)
    assert looks(sandbox, deal) - before <= 3, "the second look may be followed by its own recheck, by nothing else"


async def test_a_withdrawal_that_met_an_approval_is_decided_by_one_look(bench: Bench, sandbox: Sandbox) -> None:
    """The partner took the withdrawal and calls the deal approved, word for word as before: that look decides."""
    deal = await accepted(bench, sandbox, "approve")
    await bench.deliver(deal.webhook())
    await support.eventually(becomes(bench, deal, "approved"))
    await idle(bench, deal)
    before = looks(sandbox, deal)
    await bench.deliver(deal.answer("withdraw"))

    async def decided() -> bool:
        return await bench.statuses(deal.id) == ["submitting", "submitted", "approved", "withdrawn", "approved"]

    await support.eventually(decided)
    assert looks(sandbox, deal) == before + 1
    last = (await bench.told(deal.id))[-1]
    assert (last.source, last.flags) == ("fetch", ("alarm:approved-after-withdrawn",))


async def test_a_withdrawal_that_the_partner_follows_stays(bench: Bench, sandbox: Sandbox) -> None:
    deal = await accepted(bench, sandbox, "decline")
    before = looks(sandbox, deal)
    await bench.deliver(deal.answer("withdraw"))

    async def asked() -> bool:
        return looks(sandbox, deal) == before + 1 and "due" not in await bench.document(deal.id)

    await support.eventually(asked)
    assert (await bench.statuses(deal.id))[:3] == ["submitting", "submitted", "withdrawn"]
    assert (await bench.document(deal.id))["status"] == "withdrawn"


async def test_a_flood_of_calls_is_slowed_down(bench: Bench, sandbox: Sandbox) -> None:
    deal = await accepted(bench, sandbox, "approve")
    before = looks(sandbox, deal)
    for _ in range(40):
        await bench.deliver(deal.webhook())
        await asyncio.sleep(0.05)
    assert looks(sandbox, deal) - before <= 7


async def test_strangers_never_make_us_ask(bench: Bench, sandbox: Sandbox) -> None:
    before = sandbox.summary()
    await bench.deliver(*(Deal().webhook() for _ in range(200)))
    await asyncio.sleep(0.7)
    assert sandbox.summary() == before


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 429},
        {"kind": "status", "status": 503},
        {"kind": "html"},
        {"kind": "truncated"},
        {"kind": "drop_reply"},
        {"kind": "refuse"},
    ],
    ids=lambda fault: str(fault.get("status", fault["kind"])),
)
async def test_a_reply_that_cannot_be_read_invents_nothing(bench: Bench, sandbox: Sandbox, fault: Document) -> None:
    deal = await accepted(bench, sandbox, "decline")
    sandbox.dial(**fault, operation="deal_status", reference=str(deal.id), times=2)
    await bench.deliver(deal.webhook())
    await support.eventually(becomes(bench, deal, "declined"))
    assert await bench.statuses(deal.id) == ["submitting", "submitted", "declined"]
    fetch = (await bench.document(deal.id))["fetch"]
    assert "error" not in fetch
    assert ("kept" in fetch) is (fault["kind"] in ("html", "truncated") or fault.get("status") == 503), "not understood"
    if "kept" in fetch:
        key = await bench.service.vault.get(str(deal.application_id))
        assert len(key.open_bytes(fetch["kept"]["raw"])) == fetch["kept"]["bytes"]


async def test_a_fault_in_a_translation_loses_no_reply(
    bench: Bench, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = await accepted(bench, sandbox, "approve")
    right = PARTNERS["forward-financing"]

    def wrong(reply: Reply) -> Report:
        raise KeyError("Testa Fakely")

    monkeypatch.setitem(PARTNERS, right.name, replace(right, report=wrong))
    await bench.deliver(deal.webhook())

    async def kept() -> Any:
        return (await bench.document(deal.id))["fetch"].get("kept")

    found = await support.eventually(kept)
    key = await bench.service.vault.get(str(deal.application_id))
    assert b"Approval Sent" in key.open_bytes(found["raw"])
    assert (await bench.document(deal.id))["fetch"]["error"] == "untranslatable-reply"
    monkeypatch.setitem(PARTNERS, right.name, right)
    await support.eventually(becomes(bench, deal, "approved"))


async def test_an_unknown_stage_is_held_and_shown(bench: Bench, sandbox: Sandbox) -> None:
    deal = await accepted(bench, sandbox, "working", stage="Underwriting Hold")
    await bench.deliver(deal.webhook())
    await support.eventually(becomes(bench, deal, "in-review"))
    last = (await bench.told(deal.id))[-1]
    assert last.partner_words == "Underwriting Hold"
    assert "unmapped-words" in last.flags


async def test_an_id_that_the_partner_does_not_know_is_flagged(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.ack())
    await bench.deliver(deal.webhook())

    async def flagged() -> bool:
        return (await bench.told(deal.id))[-1].flags == ("unknown-at-partner",)

    await support.eventually(flagged)
    assert (await bench.told(deal.id))[-1].status is Status.SUBMITTED


async def test_a_refused_credential_rests_and_recovers(make_bench: MakeBench, sandbox: Sandbox, tmp_path: Path) -> None:
    bench = await make_bench(base_url=sandbox.api, retry_seconds="[0.1]", pause_seconds="1")
    deal = await accepted(bench, sandbox, "approve")
    file = tmp_path / "credentials.json"
    content = json.loads(file.read_text())
    content["credentials"][0]["auth"]["key"] = "wrong-test-key"
    file.write_text(json.dumps(content))
    bench.work()
    await bench.deliver(deal.webhook())

    async def paused() -> bool:
        return bool(
            await bench.service.shared("partners")["credentials"].find_one({"pause_reason": "credential-refused"})
        )

    await support.eventually(paused)
    credentials_file(tmp_path, sandbox.api)
    await support.eventually(becomes(bench, deal, "approved"))
    assert await bench.statuses(deal.id) == ["submitting", "submitted", "approved"]


async def test_a_silent_partner_is_tried_by_one_look_at_a_time_and_nothing_is_lost(
    make_bench: MakeBench, sandbox: Sandbox
) -> None:
    """Twelve deals are called about while the partner is away; the breaker spares it, and then all are told."""
    bench = await make_bench(base_url=sandbox.api, retry_seconds="[0.2]", breaker_failures="3")
    deals = [await accepted(bench, sandbox, "approve") for _ in range(12)]
    before = sum(looks(sandbox, deal) for deal in deals)
    sandbox.dial(kind="status", operation="deal_status", status=503)
    bench.work()
    await bench.deliver(*(deal.webhook() for deal in deals))

    async def all_wait() -> bool:
        return await bench.opportunities.count_documents({"fetch.error": "partner-away"}) == len(deals)

    await support.eventually(all_wait)
    asked = sum(looks(sandbox, deal) for deal in deals)
    assert asked - before <= len(deals) + 1  # those under way together when it opened, and one try
    await asyncio.sleep(1)
    assert sum(looks(sandbox, deal) for deal in deals) == asked
    sandbox.reset()
    for deal in deals:
        await support.eventually(becomes(bench, deal, "approved"))
    assert (await bench.service.shared("partners")["credentials"].find_one() or {})["breakers"] == {}


async def test_a_wait_that_trouble_names_holds_every_look(make_bench: MakeBench, sandbox: Sandbox) -> None:
    bench = await make_bench(base_url=sandbox.api, retry_seconds="[0.1]")
    one, other = await accepted(bench, sandbox, "approve"), await accepted(bench, sandbox, "approve")
    before = looks(sandbox, one) + looks(sandbox, other)
    sandbox.dial(kind="status", operation="deal_status", status=503, retry_after=2, times=1)
    bench.work()
    await bench.deliver(one.webhook())

    async def asked() -> bool:
        return looks(sandbox, one) + looks(sandbox, other) == before + 1

    await support.eventually(asked)
    await asyncio.sleep(0.3)
    await bench.deliver(other.webhook())
    await asyncio.sleep(1)
    assert looks(sandbox, one) + looks(sandbox, other) == before + 1
    await support.eventually(becomes(bench, one, "approved"))
    await support.eventually(becomes(bench, other, "approved"))


async def test_an_older_report_leads_to_one_more_look(bench: Bench, sandbox: Sandbox) -> None:
    deal = await accepted(bench, sandbox, "working")
    await bench.deliver(deal.webhook())
    await support.eventually(becomes(bench, deal, "in-review"))
    seen = (await idle(bench, deal))["fetch"]["seen_at"]
    late = Report(status=Status.REFERRED, words="Referred", partner_time=deal.validated().received_at)
    await bench.deliver(deal.ack(attempt_version=2, report=late))

    async def again() -> bool:
        return bool((await bench.document(deal.id))["fetch"]["seen_at"] > seen)

    await support.eventually(again)
    assert (await bench.document(deal.id))["status"] == "in-review"


async def test_live_deals_never_use_a_test_credential(bench: Bench, sandbox: Sandbox) -> None:
    deal = await accepted(bench, sandbox, "approve")
    await bench.opportunities.update_one({"_id": str(deal.id)}, {"$set": {"mode": "live"}})
    before = looks(sandbox, deal)
    await bench.deliver(deal.webhook())

    async def refused() -> bool:
        return bool((await bench.document(deal.id))["fetch"].get("error") == "mode-crossed")

    await support.eventually(refused)
    assert looks(sandbox, deal) == before


async def test_an_erased_person_is_left_alone(bench: Bench, sandbox: Sandbox) -> None:
    deal = await accepted(bench, sandbox, "approve")
    before = looks(sandbox, deal)
    await bench.service.vault.erase(str(deal.application_id))
    await bench.deliver(deal.webhook())
    await support.eventually(becomes(bench, deal, "erased"))
    document = await bench.document(deal.id)
    assert "due" not in document
    assert "lease" not in document
    assert looks(sandbox, deal) == before


async def test_a_look_names_the_call_that_asked_for_it(bench: Bench, sandbox: Sandbox) -> None:
    deal = await accepted(bench, sandbox, "approve")
    call = deal.webhook(event_id="evt-7")
    await bench.deliver(call)
    await support.eventually(becomes(bench, deal, "approved"))
    told = (await bench.told(deal.id))[-1]
    assert told.cause is not None
    assert (told.cause.channel, told.cause.partner_event) == ("fetch", "evt-7")
    assert [(each.begins, each.ends) for each in told.cause.hops][-3:] == [
        ("received", "asked"),
        ("asked", "heard"),
        ("heard", "told"),
    ]
    assert told.status_received_at == call.received_at
