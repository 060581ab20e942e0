"""The registry's word: what waits for it, what it opens, stops and alarms, and what the registry is told in the end."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace
from typing import Any

import pytest
from tests import make
from tests.submission.desk import submit
from tests.submission.test_plan import planned, send

from lendrail.contracts.terms import Match, Status
from lendrail.submission import gates, moves
from lendrail.submission.attempt import Opportunity, State, due_now, next_due
from lendrail.submission.classify import Verdict
from lendrail.submission.moves import Result

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
    late, (told,) = gates.late(gated(), 900, LATER)
    assert (told.outcome, told.reason, told.next_check_at) == (
        "not-sent",
        "registry-late",
        LATER + dt.timedelta(0, 900),
    )
    assert due_now(late, LATER, 25) == ()


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
