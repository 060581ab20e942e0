"""An application that a person had sent anew: the opportunity follows the new one, once the partner has it, and what is
said of the old one is known as such and decides nothing.
"""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from tests.make import NOW
from tests.status.bench import PARTNER, REFUSAL, Bench, Deal
from tests.status.test_changes import change, look
from tests.status.test_fold import PROBLEM, ack, report, seen, state, validated
from tests.status.test_reports import said, silent

from lendrail.contracts.partner_ack import PartnerAck
from lendrail.contracts.terms import Report, Status
from lendrail.partners import PARTNERS
from lendrail.runtime.clock import utc_now
from lendrail.status.folding.fold import fold, former_names
from lendrail.status.folding.observation import Missing, Observation, Reported

__all__ = ["silent"]  # a partner that calls, and that cannot be asked
KNOWN = PARTNERS[PARTNER]
OLD, NEW = uuid.UUID(int=1), uuid.UUID(int=2)
FIRST = ack(1, "accepted", partner_id="L1", generation=1)
SECOND = ack(9, "accepted", partner_id="L2", generation=2, attempt_id=NEW)


def of(name: str, second: float, status: Status, **values: Any) -> Observation:
    said_ = Reported(report=Report(status=status, words="Word", **values), about=name)
    return seen(second, said_, "fetch", f"{name}-{second}")


# ---- what it folds to


def test_what_was_decided_on_the_old_one_is_over_when_the_partner_has_the_new_one() -> None:
    refusal = change(5, "update", "rejected", problems=(PROBLEM,), generation=2)
    before = state(validated(), FIRST, look(2, Status.INFO_REQUIRED), refusal)
    assert (before.status, before.partner_id, before.flags) == (Status.INFO_REQUIRED, "L1", ("update-rejected",))
    after = state(validated(), FIRST, look(2, Status.INFO_REQUIRED), refusal, SECOND)
    assert (after.status, after.partner_id, after.flags, after.problems) == (Status.SUBMITTED, "L2", (), ())
    assert state(FIRST, SECOND, of("L2", 12, Status.APPROVED)).status is Status.APPROVED


@pytest.mark.parametrize("name", ["L1", str(OLD)])
def test_late_words_about_the_old_one_are_shown_and_decide_nothing(name: str) -> None:
    late = of(name, 20, Status.DECLINED)
    folded = state(FIRST, SECOND, of("L2", 12, Status.APPROVED), late)
    assert (folded.status, folded.partner_id) == (Status.APPROVED, "L2")
    assert folded.flags == ("older-application:declined",)
    lost = seen(30, Missing(about="L1"), name="missing")
    assert "unknown-at-partner" not in state(FIRST, SECOND, lost).flags
    assert state(FIRST, late).status is Status.DECLINED, "while there is no other"


def test_a_withdrawal_that_the_partner_refused_may_still_be_asked_for_again() -> None:
    assert state(FIRST, change(5, "withdraw", "rejected"), SECOND).flags == ("withdraw-rejected",)


def test_a_word_about_the_new_one_may_be_older_than_its_answer() -> None:
    assert state(FIRST, of("L2", 5, Status.APPROVED), SECOND).status is Status.APPROVED


def test_an_id_that_a_person_bound_to_the_old_one_gives_way() -> None:
    bound = ack(2, "id-bound", version=2, partner_id="L9", generation=1)
    assert state(ack(1, "accepted-id-unknown", generation=1), bound, SECOND).partner_id == "L2"
    nameless = ack(9, "accepted-id-unknown", generation=2, attempt_id=NEW)
    folded = state(FIRST, nameless)
    assert (folded.partner_id, folded.flags) == (None, ("partner-id-unknown",))


@pytest.mark.parametrize("outcome", ["rejected", "unknown", "parked", "not-sent"])
def test_until_the_partner_has_it_the_old_one_counts_and_the_try_is_shown(outcome: Any) -> None:
    times: dict[str, Any] = {"unknown_since": NOW, "plan": "person"} if outcome in ("unknown", "parked") else {}
    tried = ack(9, outcome, generation=2, attempt_id=NEW, problems=(PROBLEM,), **times)
    folded = state(FIRST, look(2, Status.APPROVED), tried)
    assert (folded.status, folded.partner_id, folded.problems) == (Status.APPROVED, "L1", (PROBLEM,))
    assert folded.flags == (f"resend-{outcome}",)
    assert folded.unknown_since == times.get("unknown_since")


def test_one_id_for_both_is_the_one_that_counts() -> None:
    same = ack(9, "accepted", partner_id="L1", generation=2, attempt_id=NEW)
    assert former_names([FIRST, same]) == {str(OLD)}
    assert state(FIRST, same, of("L1", 12, Status.APPROVED)).status is Status.APPROVED


def test_a_clean_refusal_before_the_only_one_leaves_nothing_behind() -> None:
    refused = ack(1, "rejected", generation=1)
    assert former_names([refused, SECOND]) == frozenset()
    assert state(refused, report(5, Status.IN_REVIEW), SECOND).status is Status.IN_REVIEW


def test_any_order_gives_the_same() -> None:
    heard = [validated(), FIRST, look(2, Status.APPROVED), SECOND, of("L1", 20, Status.DECLINED)]
    expected = fold(heard)
    assert (expected.status, expected.partner_id) == (Status.SUBMITTED, "L2")
    for order in itertools.permutations(heard):
        assert fold([*order, order[0]]) == expected


# ---- on a real MongoDB


def second_ack(deal: Deal, **changes: Any) -> PartnerAck:
    """The partner has the new one."""
    new: dict[str, Any] = {"attempt_id": uuid.uuid5(deal.id, "anew"), "partner_id": f"{deal.partner_id}.2"}
    return deal.ack(**new | {"generation": 2} | changes)


async def resent(bench: Bench) -> Deal:
    deal = Deal()
    await bench.deliver(deal.validated())
    await bench.deliver(deal.ack(generation=1, occurred_at=utc_now() - dt.timedelta(seconds=9)))
    await bench.deliver(said(deal, "no"))
    refusal = REFUSAL.model_copy(update={"pointer": "", "code": "not-updatable"})
    await bench.deliver(deal.answer("update", "rejected", problems=(refusal,)))
    await bench.deliver(second_ack(deal))
    return deal


async def test_the_opportunity_follows_the_new_id(bench: Bench) -> None:
    deal = await resent(bench)
    assert await bench.statuses(deal.id) == ["submitting", "submitted", "declined", "declined", "submitted"]
    last = (await bench.told(deal.id))[-1]
    assert (last.partner_id, last.problems, last.flags) == (f"{deal.partner_id}.2", (), ())
    await bench.deliver(said(deal, "yes", foreign_id=f"{deal.partner_id}.2"))
    assert (await bench.told(deal.id))[-1].status is Status.APPROVED


async def test_late_calls_about_the_old_one_are_recognised_and_overwrite_nothing(bench: Bench) -> None:
    deal = await resent(bench)
    by_id = said(deal, "paid")
    by_reference = said(deal, "yes", foreign_id="unknown-here", reference=str(deal.attempt))
    unproven = said(deal, "paid", verified=False)
    for _ in range(2):
        await bench.deliver(by_id, by_reference, unproven)
    last = (await bench.told(deal.id))[-1]
    assert (last.status, last.partner_id) == (Status.SUBMITTED, f"{deal.partner_id}.2")
    assert last.flags in (("older-application:funded",), ("older-application:approved",))
    assert await bench.parts.orphans.count_documents({}) == 0, "nobody waits for them"
    stored = await bench.document(deal.id)
    assert stored["former"] == sorted([deal.partner_id, str(deal.attempt)])
    assert "due" not in stored


async def test_the_old_ones_answer_may_come_last(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(second_ack(deal))
    await bench.deliver(deal.ack(generation=1))
    await bench.deliver(said(deal, "no"))
    last = (await bench.told(deal.id))[-1]
    assert (last.status, last.partner_id) == (Status.SUBMITTED, f"{deal.partner_id}.2")


async def test_a_hint_about_the_old_one_makes_nobody_look(bench: Bench, silent: Callable[..., None]) -> None:
    silent(read=KNOWN.read, report=KNOWN.report, poll=KNOWN.poll)
    deal = await resent(bench)
    await bench.deliver(said(deal, "paid", verified=False))
    stored = await bench.document(deal.id)
    assert (len(stored["hints"]), stored["fetch"]["reason"]) == (1, "sweep")
    await bench.deliver(said(deal, "paid", verified=False, foreign_id=f"{deal.partner_id}.2"))
    assert (await bench.document(deal.id))["fetch"]["reason"] == "hint"
