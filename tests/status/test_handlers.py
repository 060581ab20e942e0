"""The handlers on a real MongoDB: any order, any repetition, two replicas at once, and every crash window."""

import asyncio
import itertools
import uuid

import pytest
from tests import make, support
from tests.status.bench import REFUSAL, Bench, Deal
from tests.status.conftest import MakeBench

from lendrail.contracts.event import Event
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import Report, Status


async def test_every_opportunity_is_known_from_validation_on(bench: Bench) -> None:
    fit, unfit, alone = Deal(), Deal(), Deal()
    await bench.deliver(fit.validated(), unfit.validated(False), alone.validated(False, ineligible=()))
    (told,) = await bench.told(fit.id)
    assert (told.status, told.source, told.version, told.partner) == (
        Status.SUBMITTING,
        "validation",
        1,
        "forward-financing",
    )
    assert told.received_at is not None
    assert told.references == fit.validated().application.external_references
    (told,) = await bench.told(unfit.id)
    assert (told.status, told.problems) == (Status.INELIGIBLE, (REFUSAL,))
    (told,) = await bench.told(alone.application_id)
    assert (told.status, told.opportunity_id, told.problems[0].code) == (Status.INELIGIBLE, None, "no-partner")


async def test_a_rejected_application_shows_all_its_problems(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.rejected())
    (told,) = await bench.told(deal.application_id)
    assert (told.status, told.problems, told.opportunity_id) == (Status.INVALID, (REFUSAL, REFUSAL), None)


async def test_any_order_gives_the_same_state(bench: Bench) -> None:
    deals = {order: Deal() for order in itertools.permutations(range(4))}
    for step in range(4):
        for order, deal in deals.items():
            event = _history(deal)[order[step]]
            await bench.deliver(event)
            await bench.deliver(event)
    for deal in deals.values():
        told = await bench.told(deal.id)
        last = told[-1]
        assert (last.status, last.documents_sent) == (Status.SUBMITTED, ("summary.xlsx",))
        assert (last.received_at, last.flags) == (make.NOW, ())
        assert last.partner_id == deal.partner_id
        assert [each.version for each in told] == list(range(1, len(told) + 1)), "each once, in order"


def _history(deal: Deal) -> list[Event]:
    document = {"operation": "document", "attempt_id": uuid.uuid5(deal.id, "file"), "document": "summary.xlsx"}
    return [
        deal.validated(),
        deal.ack("unknown", reason="no-answer"),
        deal.ack("accepted", attempt_version=2),
        deal.ack("accepted", **document),
    ]


async def test_what_changes_nothing_to_see_makes_no_version(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.validated())
    await bench.deliver(deal.ack("not-sent", next_check_at=None, attempt_version=1))
    await bench.deliver(deal.ack("not-sent", next_check_at=None, attempt_version=2))
    assert await bench.statuses(deal.id) == ["submitting", "failed"]
    assert len((await bench.document(deal.id))["observations"]) == 3


async def test_personal_words_rest_sealed(bench: Bench) -> None:
    deal = Deal()
    report = Report(status=Status.DECLINED, words="$0 Declined", decline_notes=SensitiveText("Testa Fakely owes"))
    await bench.deliver(deal.ack(report=report))
    assert "Fakely" not in repr(await bench.document(deal.id))
    (told,) = await bench.told(deal.id)
    assert told.decline_notes == SensitiveText("Testa Fakely owes")
    assert told.partner_words == "$0 Declined", "a dollar sign is no path"


async def test_two_replicas_lose_nothing_to_one_another(make_bench: MakeBench) -> None:
    one, two = await make_bench(), await make_bench()
    deals = [Deal() for _ in range(10)]
    acks = [
        (one if n % 2 else two).deliver(
            *(d.ack(operation="document", attempt_id=uuid.uuid5(d.id, str(n)), document=f"{n}.pdf") for d in deals)
        )
        for n in range(6)
    ]
    await asyncio.gather(one.deliver(*(d.validated() for d in deals)), *acks, two.deliver(*(d.ack() for d in deals)))
    for deal in deals:
        document = await one.document(deal.id)
        assert len(document["observations"]) == 8
        assert document["sent"] == len(document["outbox"])
        assert "pending" not in document
        seen = [*await one.told(deal.id), *await two.told(deal.id)]
        newest = max(seen, key=lambda each: each.version)
        assert sorted(newest.documents_sent) == [f"{n}.pdf" for n in range(6)]
        assert {each.version for each in seen} == set(range(1, document["version"] + 1))
        contents = {each.id: each for each in seen}
        assert all(contents[each.id] == each for each in seen), "one id, one content"


async def test_killed_between_the_write_and_the_publish(bench: Bench) -> None:
    """The event comes again; what was stored is published as it was, and nothing is computed again."""
    deal = Deal()
    bench.published.broken = True
    with pytest.raises(ConnectionAbortedError):
        await bench.deliver(deal.ack())
    before = await bench.document(deal.id)
    assert before["pending"] == "status-1/now"
    bench.published.broken = False
    await bench.deliver(deal.ack())
    after = await bench.document(deal.id)
    assert after["rev"] == before["rev"]
    assert [record.stored() for record in bench.published.records] == before["outbox"]


async def test_what_a_dead_process_left_is_published_by_the_next_of_its_name(make_bench: MakeBench) -> None:
    bench, deal = await make_bench(), Deal()
    bench.published.broken = True
    with pytest.raises(ConnectionAbortedError):
        await bench.deliver(deal.ack())
    bench.published.broken = False
    await bench.parts.prepare()
    relay = asyncio.create_task(bench.parts.relay.run())
    await support.eventually(lambda: bench.statuses(deal.id))
    relay.cancel()
    assert await bench.statuses(deal.id) == ["submitted"]


async def test_a_call_makes_its_opportunity_due_once(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.ack())
    assert (await bench.document(deal.id))["fetch"]["reason"] == "sweep"
    await bench.deliver(*(deal.webhook() for _ in range(5)))
    first = await bench.document(deal.id)
    assert first["fetch"]["reason"] == "hint"
    await bench.deliver(deal.webhook())
    again = await bench.document(deal.id)
    assert (again["rev"], again["due"]) == (first["rev"], first["due"]), "a look that has not begun answers it too"
    assert await bench.parts.orphans.count_documents({}) == 0


async def test_a_call_before_its_answer_waits_for_it(bench: Bench) -> None:
    early, stranger = Deal(), Deal()
    await bench.deliver(early.webhook(), stranger.webhook())
    assert await bench.parts.orphans.count_documents({}) == 2
    await bench.deliver(early.ack())
    assert (await bench.document(early.id))["fetch"]["reason"] == "hint"
    (left,) = await bench.parts.orphans.find().to_list()
    assert left["partner_id"] == stranger.partner_id
    assert left["body"].startswith("enc1:")


async def test_an_orphan_that_both_sides_missed_is_found_by_the_sweep(make_bench: MakeBench) -> None:
    bench, deal = await make_bench(orphan_sweep_seconds="0.1"), Deal()
    await bench.deliver(deal.ack())
    await bench.deliver(deal.webhook("not-yet-known"))
    known = {"$set": {"partner_id": deal.partner_id}}
    await bench.parts.orphans.update_one({}, known)  # as if both sides had looked before the other wrote
    sweep = asyncio.create_task(bench.parts.hints.run())

    async def hinted() -> bool:
        return bool((await bench.document(deal.id))["fetch"]["reason"] == "hint")

    async def gone() -> bool:
        return await bench.parts.orphans.count_documents({}) == 0

    await support.eventually(hinted)
    await support.eventually(gone)
    sweep.cancel()


async def test_foreign_ids_belong_to_their_credential(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.ack())
    await bench.deliver(deal.webhook(credential="somebody-else"))
    assert (await bench.document(deal.id))["fetch"]["reason"] == "sweep"


async def test_a_final_answer_is_not_looked_at_again(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.ack(report=Report(status=Status.DECLINED, words="Declined")))
    assert "due" not in await bench.document(deal.id)
