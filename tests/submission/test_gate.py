"""The registry's word: what waits for it, what it opens, stops and alarms, and what the registry is told in the end."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace
from typing import Any

import pytest
from tests import make
from tests.submission.amended import corrected, desk_of, first_of, heard, taken
from tests.submission.desk import submit
from tests.submission.others import MONETAGO
from tests.submission.test_plan import planned, send

from lendrail.contracts.submit import Submit
from lendrail.contracts.terms import Match, Status
from lendrail.submission.attempts import moves
from lendrail.submission.attempts.attempt import Opportunity, State
from lendrail.submission.attempts.classify import Verdict
from lendrail.submission.attempts.moves import Result
from lendrail.submission.attempts.turns import due_now, next_due
from lendrail.submission.planning.planned import Plan
from lendrail.submission.registries import gates

GATE = uuid.UUID("00000000-0000-4000-8000-00000000000a")
NOW = make.NOW
LATER = NOW + dt.timedelta(hours=1)
MATCH = Match(id="fake-match-1", kind="EXCT", status="FNCD")


def gated(**changes: Any) -> Opportunity:
    return planned(submit(intent=send(), gate=GATE, **changes)).opportunity


def states(opportunity: Opportunity) -> list[tuple[str, State]]:
    return [(each.operation, each.state) for each in opportunity.attempts]


def sent(opportunity: Opportunity) -> Opportunity:
    create = opportunity.create
    assert create is not None
    return replace(opportunity.put(replace(create, state=State.ACKED, tries=1)), partner_id="lead-1")


def test_nothing_leaves_before_the_registry_spoke() -> None:
    found = planned(submit(intent=send(), gate=GATE))
    (told,) = found.acks
    assert (told.operation, told.outcome, told.reason) == ("gate", "not-sent", "registry-pending")
    assert told.next_check_at is not None
    assert due_now(found.opportunity, LATER, 25) == ()
    assert next_due(found.opportunity, NOW) == told.next_check_at


@pytest.mark.parametrize("word", [s for s in Status if s not in (Status.APPROVED, Status.FUNDED, Status.DUPLICATE)])
def test_no_other_word_opens_or_stops(word: Status) -> None:
    assert gates.spoken(gated(), word, (), NOW) is None


def test_cleared_opens_and_a_second_word_changes_nothing() -> None:
    moved = gates.spoken(gated(), Status.APPROVED, (), NOW)
    assert moved is not None
    opened, (told,) = moved
    assert (told.operation, told.outcome) == ("gate", "accepted")
    assert [each.operation for each in due_now(opened, NOW, 25)] == ["create"]
    assert gates.spoken(opened, Status.APPROVED, (), NOW) is None


def test_duplicate_stops_what_was_not_sent_and_shows_the_match() -> None:
    moved = gates.spoken(gated(), Status.DUPLICATE, (MATCH,), NOW)
    assert moved is not None
    stopped, (told,) = moved
    assert states(stopped) == [
        ("gate", State.REJECTED), ("create", State.CANCELLED), ("document", State.CANCELLED)
    ]  # fmt: skip
    assert (told.outcome, told.reason) == ("duplicate", "registry-duplicate")
    assert "fake-match-1" in told.problems[0].message
    assert due_now(stopped, LATER, 25) == ()
    assert gates.spoken(stopped, Status.APPROVED, (), NOW) is None, "a stopped one stays stopped"


def test_later_duplicate_alarms_and_takes_nothing_back() -> None:
    opened = gates.spoken(gated(), Status.APPROVED, (), NOW)
    assert opened is not None
    live = sent(opened[0])
    moved = gates.spoken(live, Status.DUPLICATE, (MATCH,), NOW)
    assert moved is not None
    alarmed, (told,) = moved
    assert told.reason == "alarm-registry-duplicate"
    assert alarmed.create == live.create


def test_silence_is_told_and_waits_on() -> None:
    moved = gates.late(gated(), 900, LATER)
    assert moved is not None
    late, (told,) = moved
    assert (told.outcome, told.reason, told.next_check_at) == (
        "not-sent",
        "registry-late",
        LATER + dt.timedelta(0, 900),
    )
    assert due_now(late, LATER, 25) == ()


@pytest.mark.parametrize("word", [Status.DUPLICATE, Status.APPROVED])
def test_silence_that_ended_a_moment_ago_is_told_no_more(word: Status) -> None:
    """The word was stored between the look at the clock and the write: what was told of it must not be overruled."""
    spoken = gates.spoken(gated(), word, (), LATER)
    assert spoken is not None
    assert gates.late(spoken[0], 900, LATER) is None


def test_silence_is_told_when_it_is_too_long_and_not_again_at_once() -> None:
    moved = gates.late(gated(), 900, LATER)
    assert moved is not None
    assert gates.late(moved[0], 900, LATER) is None


def registered() -> Opportunity:
    return sent(planned(submit(intent=send(documents=()))).opportunity)


def test_the_registry_is_told_once_and_money_outweighs_a_cancellation() -> None:
    cancelled = gates.ended(registered(), "withdraw", "declined", LATER)
    assert cancelled is not None
    assert gates.ended(cancelled, "withdraw", "declined", LATER) is None
    assert due_now(cancelled, NOW, 1) == ()
    financed = gates.ended(cancelled, "finance", "funded", NOW)
    assert financed is not None
    assert [each.operation for each in due_now(financed, LATER, 1)] == ["finance"]
    assert gates.ended(financed, "finance", "funded", NOW) is None


def test_a_cancellation_that_came_too_early_is_planned_anew() -> None:
    planned_ = gates.ended(registered(), "withdraw", "declined", NOW)
    assert planned_ is not None
    dropped = moves.cancel(planned_, due_now(planned_, NOW, 1), "still-open")
    again = gates.ended(dropped, "withdraw", "withdrawn", NOW)
    assert again is not None
    (attempt,) = due_now(again, NOW, 1)
    assert (attempt.operation, attempt.subject) == ("withdraw", "withdrawn")


def test_status_of_the_registry_settles_a_lost_answer() -> None:
    financed = gates.ended(registered(), "finance", "funded", NOW)
    assert financed is not None
    assert gates.seen(financed, "finance", NOW) is None
    batch = due_now(financed, NOW, 1)
    begun = moves.begin(financed, batch, "digest", NOW)
    verdict = Verdict(State.PARKED, "parked", "outcome-unknown", unknowns=1, plan="person")
    parked, _ = moves.finish(begun, [Result(batch[0].id, verdict)], NOW)
    settled = gates.seen(parked, "finance", NOW)
    assert settled is not None
    assert settled[1][0].outcome == "accepted"
    assert due_now(settled[0], LATER, 1) == ()


# ---- other papers


def paper(number: str) -> dict[str, Any]:
    party = {"name": f"Fake {number} GmbH", "country": "DE"}
    return {
        "number": number, "issuedOn": "2030-01-02", "issuer": party, "debtor": party,
        "amount": {"amount": "100", "currency": "EUR"}, "requested": {"amount": "80", "currency": "EUR"},
    }  # fmt: skip


def about(*numbers: str, **changes: Any) -> Any:
    return send(application=make.application(invoices=[paper(each) for each in numbers], **changes))


def revised(first: Submit, opportunity: Opportunity, intent: Any, revision: int = 2) -> Plan:
    return planned(submit(first.application_id, revision, intent=intent, gate=GATE), opportunity)


def test_other_papers_close_the_gate_again_and_the_same_do_not() -> None:
    first = submit(intent=about("A-1"), gate=GATE)
    opened = gates.spoken(planned(first).opportunity, Status.APPROVED, (), NOW)
    assert opened is not None
    same = revised(first, opened[0], about("A-1", notes="another note"))
    assert same.acks == ()
    assert [each.operation for each in due_now(same.opportunity, NOW, 25)] == ["create"]
    other = revised(first, opened[0], about("A-2"))
    assert [(each.operation, each.outcome, each.reason) for each in other.acks] == [
        ("gate", "not-sent", "registry-pending")
    ]
    assert due_now(other.opportunity, LATER, 25) == ()
    gate = other.opportunity.gate
    assert gate is not None
    assert gate.generation == 2
    assert gates.spoken(other.opportunity, Status.APPROVED, (), NOW, about="word on older papers") is None
    cleared = gates.spoken(other.opportunity, Status.APPROVED, (), NOW, about=gate.paper)
    assert cleared is not None
    assert [each.generation for each in due_now(cleared[0], LATER, 25)] == [2]


def test_mended_papers_may_be_cleared_after_a_duplicate() -> None:
    first = submit(intent=about("A-1"), gate=GATE)
    stopped = gates.spoken(planned(first).opportunity, Status.DUPLICATE, (MATCH,), NOW)
    assert stopped is not None
    again = revised(first, stopped[0], about("A-2"))
    gate = again.opportunity.gate
    assert gate is not None
    assert (gate.state, gate.generation) == (State.PLANNED, 2)
    cleared = gates.spoken(again.opportunity, Status.APPROVED, (), NOW, about=gate.paper)
    assert cleared is not None
    assert [each.operation for each in due_now(cleared[0], LATER, 25)] == ["create"]
    without = planned(submit(first.application_id, 2, intent=about()), stopped[0])
    assert [each.operation for each in due_now(without.opportunity, LATER, 25)] == ["create"], "nothing to register"


MONETAGO_DESK = desk_of(MONETAGO)


def registration(*numbers: str, before: Submit | None = None) -> Submit:
    invoices = [paper(each) for each in numbers]
    if before is None:
        return first_of(MONETAGO, invoices=invoices)
    return corrected(before, MONETAGO, before.revision + 1, invoices=invoices, business=_business())


def _business() -> dict[str, Any]:
    found: dict[str, Any] = MONETAGO.application(next(iter(MONETAGO.amounts.values())), "1")["business"]
    return found


def test_a_registration_of_other_papers_replaces_the_one_before() -> None:
    first = registration("A-1")
    registered_ = taken(heard(None, first, MONETAGO_DESK).opportunity)
    same = heard(registered_, registration("A-1", before=first), MONETAGO_DESK)
    assert (same.requests, same.acks, due_now(same.opportunity, LATER, 1)) == ({}, (), ())
    made = heard(registered_, registration("A-2", before=first), MONETAGO_DESK)
    (over,) = due_now(made.opportunity, LATER, 1)
    assert (over.operation, over.subject) == ("withdraw", "replaced")
    begun = moves.begin(made.opportunity, (over,), "digest", NOW)
    done, _ = moves.finish(begun, [Result(over.id, Verdict(State.ACKED, "accepted"))], NOW)
    (create,) = due_now(done, LATER, 1)
    assert (create.operation, create.generation) == ("create", 2)
    begun = moves.begin(done, (create,), "digest", LATER)
    anew, _ = moves.finish(begun, [Result(create.id, Verdict(State.ACKED, "accepted"), partner_id="app-2")], LATER)
    assert anew.partner_id == "app-2"
    assert not gates.current(done, "app-1", LATER), "until it is registered anew nothing counts"
    assert not gates.current(anew, "app-1", LATER)
    assert not gates.current(anew, "app-2", NOW), "seen before the new one was sent"
    assert gates.current(anew, "app-2", LATER)
    ended = gates.ended(anew, "withdraw", "declined", LATER)
    assert ended is not None, "the new one is cancelled too, when its lenders end"
