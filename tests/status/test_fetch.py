"""Looks at the partner: the whole way over a real socket to the simulated Forward Financing, in its own process."""

import asyncio

from tests import support
from tests.sandbox.process import Sandbox
from tests.status.bench import Bench, Deal
from tests.status.conftest import MakeBench
from tests.status.looking import STAGES, accepted, becomes, idle, looks
from tests.status.looking import bench as bench
from tests.status.looking import running as running
from tests.status.looking import sandbox as sandbox

from lendrail.contracts.terms import Report, Status


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


async def test_an_unknown_stage_is_held_and_shown(bench: Bench, sandbox: Sandbox) -> None:
    deal = await accepted(bench, sandbox, "working", stage="Underwriting Hold")
    await bench.deliver(deal.webhook())
    await support.eventually(becomes(bench, deal, "in-review"))
    last = (await bench.told(deal.id))[-1]
    assert last.partner_words == "Underwriting Hold"
    assert "unmapped-words" in last.flags


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
