"""Corrections, late documents, acceptances and withdrawals: what each comes to, whatever the partner has by then."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from tests.submission.amended import (
    NOW,
    SOAP_LENDER,
    accept,
    corrected,
    decided,
    desk_of,
    first_of,
    heard,
    intended,
    key_of,
    late_document,
    named,
    taken,
    with_create,
    withdraw,
)
from tests.submission.others import REFERENCE

from lendrail.contracts.event import envelope_of
from lendrail.contracts.partner_ack import PartnerAck
from lendrail.contracts.submit import Submit
from lendrail.partners.exchange import Accepted, Rejected, Unknown
from lendrail.partners.partner import Capability, Operation
from lendrail.submission.attempts import moves, resolved
from lendrail.submission.attempts.attempt import Attempt, Opportunity, State
from lendrail.submission.attempts.classify import Event, classify
from lendrail.submission.attempts.moves import Result
from lendrail.submission.attempts.turns import due_now, undecided, waiting
from lendrail.submission.planning.plan import plan

DESK, SOAP_DESK = desk_of(REFERENCE), desk_of(SOAP_LENDER)
KEYED = Operation(capability=Capability.KEYED, repeats=5)
LATER = NOW + dt.timedelta(days=1)
DOUBTS: list[dict[str, Any]] = [
    {"state": State.SENDING, "tries": 1},
    {"state": State.UNKNOWN, "tries": 1, "unknowns": 1},
    {"state": State.PARKED, "tries": 1, "unknowns": 1, "reason": "outcome-unknown"},
]


def told(acks: tuple[PartnerAck, ...]) -> list[tuple[str, str, str | None]]:
    return [(each.operation, each.outcome, each.reason) for each in acks]


def came(opportunity: Opportunity, attempt: Attempt, event: Event) -> moves.Move:
    """One call and what was answered."""
    begun = moves.begin(opportunity, (attempt,), "digest", NOW)
    verdict = classify(KEYED, begun.attempt(attempt.id), event, 5)
    partner_id = event.partner_id if isinstance(event, Accepted) else None
    return moves.finish(begun, [Result(attempt.id, verdict, partner_id=partner_id)], NOW)


# ---- corrections


def test_what_the_partner_has_is_updated_with_bytes_that_are_fixed_at_once() -> None:
    first = first_of()
    opportunity = taken(heard(None, first, DESK).opportunity)
    made = heard(opportunity, corrected(first), DESK)
    (update,) = named(made.opportunity, "update")
    assert (update.state, update.generation, made.acks) == (State.PREPARED, 2, ())
    (request,) = made.requests[update.id]
    assert (request.method, request.path) == ("PUT", "/applications/app-1")
    assert b"Fake Bakery 2 LLC" in request.content
    assert waiting(made.opportunity) == (update,)


@pytest.mark.parametrize("doubt", DOUBTS, ids=lambda doubt: str(doubt["state"]))
def test_a_correction_waits_while_nobody_knows_and_then_updates_or_is_the_creation(doubt: dict[str, Any]) -> None:
    first = first_of()
    opportunity = with_create(heard(None, first, DESK).opportunity, **doubt)
    made = heard(opportunity, corrected(first), DESK)
    (held,) = named(made.opportunity, "update")
    assert (held.state, list(made.kept), made.requests, made.acks) == (State.PLANNED, [held.id], {}, ())
    assert undecided(made.opportunity) is None
    there = taken(made.opportunity)
    assert undecided(there) == held
    updated = decided(there, held, made.kept[held.id], DESK, first)
    assert updated.opportunity.attempt(held.id).state == State.PREPARED
    refused = with_create(made.opportunity, state=State.REJECTED, unknowns=0)
    again = decided(refused, held, made.kept[held.id], DESK, first)
    create = again.opportunity.create
    assert create is not None
    assert (create.generation, create.state, again.opportunity.attempt(held.id).state) == (
        2, State.PREPARED, State.CANCELLED,
    )  # fmt: skip
    assert b"Fake Bakery 2 LLC" in again.requests[create.id][0].content


def test_a_partner_that_takes_no_corrections_is_told_of_once_it_has_it() -> None:
    desk, first = desk_of(REFERENCE, update=None), first_of()
    opportunity = heard(None, first, desk).opportunity
    made = heard(taken(opportunity), corrected(first), desk)
    assert told(made.acks) == [("update", "rejected", "not-updatable")]
    waits = heard(with_create(opportunity, **DOUBTS[0]), corrected(first), desk)
    (held,) = named(waits.opportunity, "update")
    came_to = decided(taken(waits.opportunity), held, waits.kept[held.id], desk, first)
    assert told(came_to.acks) == [("update", "rejected", "not-updatable")]
    assert came_to.acks[0].problems[0].code == "not-updatable"


def test_the_newest_correction_replaces_one_that_was_not_sent_and_follows_one_in_doubt() -> None:
    first = first_of()
    opportunity = heard(taken(heard(None, first, DESK).opportunity), corrected(first), DESK).opportunity
    third = heard(opportunity, corrected(first, revision=3), DESK).opportunity
    assert [each.state for each in named(third, "update")] == [State.CANCELLED, State.PREPARED]
    (second,) = named(opportunity, "update")
    doubtful, _ = came(opportunity, second, Unknown("no-answer"))
    both = heard(doubtful, corrected(first, revision=3), DESK).opportunity
    assert [each.generation for each in due_now(both, LATER, 1)] == [2]
    assert [each.generation for each in waiting(both)] == [2], "the newer one waits for it"
    assert heard(both, corrected(first), DESK).opportunity == both, "heard twice"


def test_a_person_who_says_that_it_is_not_there_has_the_correction_sent_instead() -> None:
    first = first_of()
    opportunity = with_create(heard(None, first, DESK).opportunity, **DOUBTS[2])
    made = heard(opportunity, corrected(first), DESK)
    (held,) = named(made.opportunity, "update")
    assert made.opportunity.create is not None
    again, _ = resolved.send_again(made.opportunity, made.opportunity.create, LATER, NOW)
    assert undecided(again) == held
    came_to = decided(again, held, made.kept[held.id], DESK, first)
    create = came_to.opportunity.create
    assert create is not None
    assert (create.generation, create.state, create.due) == (3, State.PREPARED, LATER)
    assert b"Fake Bakery 2 LLC" in came_to.requests[create.id][0].content


def test_a_creation_that_stands_between_its_calls_goes_on_before_it_is_corrected() -> None:
    first = first_of()
    opportunity = heard(None, first, DESK).opportunity
    between = with_create(opportunity, calls=("party", "draft", "create"), step=2, tries=2)
    made = heard(between, corrected(first), DESK)
    assert made.requests == {}
    assert waiting(made.opportunity) == (made.opportunity.create,)
    (held,) = named(made.opportunity, "update")
    assert held.state == State.PLANNED
    assert undecided(taken(made.opportunity)) == held


def test_a_refused_correction_is_told_and_the_next_one_goes() -> None:
    first = first_of()
    opportunity = heard(taken(heard(None, first, DESK).opportunity), corrected(first), DESK).opportunity
    (update,) = named(opportunity, "update")
    refused, acks = came(opportunity, update, Rejected(()))
    assert told(acks) == [("update", "rejected", "refused")]
    third = heard(refused, corrected(first, revision=3), DESK).opportunity
    assert [each.generation for each in waiting(third)] == [3]


def test_one_revision_has_one_content_and_another_is_told_and_changes_nothing() -> None:
    """The fingerprint knows the content again, whoever says it a second time."""
    first = first_of()
    opportunity = taken(heard(None, first, DESK).opportunity)
    other = corrected(first, revision=1)
    made = plan(opportunity, other, replace(envelope_of(other, "test", NOW), id="another"), DESK, key_of(first), NOW)
    assert told(made.acks) == [("update", "not-sent", "revision-conflict")]
    assert (waiting(made.opportunity), made.requests, made.opportunity.revision) == ((), {}, 1)
    same = plan(opportunity, first, replace(envelope_of(first, "test", NOW), id="another"), DESK, key_of(first), NOW)
    assert (same.acks, same.opportunity.attempts) == ((), opportunity.attempts)
    third = heard(made.opportunity, corrected(first, revision=2), DESK)
    assert [each.state for each in named(third.opportunity, "update")] == [State.CANCELLED, State.PREPARED]
    assert fingerprint_of(first) not in (fingerprint_of(other), None)


def fingerprint_of(event: Submit) -> str | None:
    return heard(None, event, DESK).opportunity.content


# ---- documents


def test_a_late_document_follows_the_application_and_goes_once() -> None:
    first = first_of()
    skeleton = heard(None, intended(first, late_document()), DESK).opportunity
    assert (skeleton.create, waiting(skeleton)) == (None, ())
    opportunity = taken(heard(skeleton, first, DESK).opportunity)
    (document,) = waiting(opportunity)
    assert (document.operation, document.added) == ("document", True)
    again = heard(opportunity, intended(first, late_document(), 3), DESK)
    assert waiting(again.opportunity) == (document,)
    there, acks = came(opportunity, document, Accepted())
    assert told(acks) == [("document", "accepted", None)]
    once_more = heard(there, intended(first, late_document(), 4), DESK)
    assert told(once_more.acks) == [("document", "accepted", "already-there")]
    assert waiting(once_more.opportunity) == ()


def test_a_late_document_survives_a_refused_creation() -> None:
    first = first_of()
    opportunity = heard(heard(None, first, DESK).opportunity, intended(first, late_document()), DESK).opportunity
    assert opportunity.create is not None
    refused, _ = came(opportunity, opportunity.create, Rejected(()))
    again = taken(heard(refused, corrected(first, revision=3), DESK).opportunity)
    assert [each.operation for each in waiting(again)] == ["document"]


def test_a_refused_document_may_be_sent_anew() -> None:
    first = first_of()
    opportunity = heard(taken(heard(None, first, DESK).opportunity), intended(first, late_document()), DESK).opportunity
    refused, _ = came(opportunity, waiting(opportunity)[0], Rejected(()))
    again = heard(refused, intended(first, late_document(), 3), DESK).opportunity
    assert [each.generation for each in waiting(again)] == [2]


@pytest.mark.parametrize(("parked", "goes"), [({"unknowns": 1, "tries": 1}, []), ({}, [2])])
def test_a_document_that_may_be_there_goes_again_only_when_a_person_says_so(
    parked: dict[str, Any], goes: list[int]
) -> None:
    first = first_of()
    opportunity = heard(taken(heard(None, first, DESK).opportunity), intended(first, late_document()), DESK).opportunity
    (document,) = waiting(opportunity)
    doubtful = opportunity.put(replace(document, state=State.PARKED, reason="outcome-unknown", **parked))
    again = heard(doubtful, intended(first, late_document(), 3), DESK)
    assert ([each.generation for each in waiting(again.opportunity)], again.acks) == (goes, ())


def test_a_partner_without_calls_for_documents_is_told_of() -> None:
    desk, first = desk_of(REFERENCE, document=None), first_of()
    made = heard(taken(heard(None, first, desk).opportunity), intended(first, late_document()), desk)
    assert told(made.acks) == [("document", "rejected", "documents-not-taken")]


# ---- acceptances


def test_an_offer_is_accepted_once() -> None:
    first = first_of()
    opportunity = taken(heard(None, first, DESK).opportunity)
    made = heard(opportunity, intended(first, accept("offer-1", "short")), DESK)
    (attempt,) = waiting(made.opportunity)
    assert (attempt.subject, attempt.variant) == ("offer-1", "short")
    same = heard(made.opportunity, intended(first, accept("offer-1", "short"), 3), DESK)
    assert waiting(same.opportunity) == (attempt,)
    other = heard(made.opportunity, intended(first, accept("offer-2"), 3), DESK)
    assert told(other.acks) == [("accept", "rejected", "already-accepted")]
    refused, _ = came(made.opportunity, attempt, Rejected(()))
    now_other = heard(refused, intended(first, accept("offer-1", "long"), 3), DESK).opportunity
    assert [(each.subject, each.variant) for each in waiting(now_other)] == [("offer-1", "long")]


def test_a_partner_that_takes_no_acceptance_is_told_of() -> None:
    first = first_of(SOAP_LENDER)
    opportunity = taken(heard(None, first, SOAP_DESK).opportunity)
    made = heard(opportunity, intended(first, accept()), SOAP_DESK)
    assert told(made.acks) == [("accept", "rejected", "not-acceptable")]


# ---- withdrawals


def test_what_was_not_sent_is_cancelled_and_nothing_comes_after() -> None:
    first = first_of()
    opportunity = heard(heard(None, first, DESK).opportunity, intended(first, late_document()), DESK).opportunity
    made = heard(opportunity, intended(first, withdraw()), DESK)
    assert told(made.acks) == [("withdraw", "accepted", "not-sent-yet")]
    assert {each.state for each in made.opportunity.attempts} == {State.CANCELLED, State.ACKED}
    late = heard(made.opportunity, corrected(first, revision=4), DESK)
    assert told(late.acks) == [("update", "not-sent", "withdrawn")]
    assert waiting(late.opportunity) == ()
    twice = heard(late.opportunity, intended(first, withdraw(), 5), DESK)
    assert told(twice.acks) == [("withdraw", "accepted", "already-withdrawn")]


def test_a_withdrawal_before_the_application_keeps_it_here() -> None:
    first = first_of()
    skeleton = heard(None, intended(first, withdraw()), DESK)
    assert told(skeleton.acks) == [("withdraw", "accepted", "not-sent-yet")]
    late = heard(skeleton.opportunity, first, DESK)
    assert told(late.acks) == [("create", "not-sent", "withdrawn")]
    assert (waiting(late.opportunity), late.requests) == ((), {})


@pytest.mark.parametrize("doubt", DOUBTS, ids=lambda doubt: str(doubt["state"]))
def test_a_withdrawal_waits_while_nobody_knows(doubt: dict[str, Any]) -> None:
    first = first_of(SOAP_LENDER)
    opportunity = with_create(heard(None, first, SOAP_DESK).opportunity, **doubt)
    made = heard(opportunity, intended(first, withdraw()), SOAP_DESK)
    assert made.acks == ()
    (held,) = named(made.opportunity, "withdraw")
    assert all(each.operation == "create" for each in waiting(made.opportunity))
    there = decided(taken(made.opportunity), held, None, SOAP_DESK, first)
    assert [each.operation for each in waiting(there.opportunity)] == ["withdraw"]
    gone = with_create(made.opportunity, state=State.REJECTED, unknowns=0)
    over = decided(gone, held, None, SOAP_DESK, first)
    assert told(over.acks) == [("withdraw", "accepted", "not-sent-yet")]


def test_what_the_partner_has_is_withdrawn_there_before_anything_else() -> None:
    first = first_of(SOAP_LENDER)
    opportunity = taken(heard(None, first, SOAP_DESK).opportunity)
    opportunity = heard(opportunity, intended(first, late_document()), SOAP_DESK).opportunity
    made = heard(opportunity, intended(first, withdraw(), 3), SOAP_DESK).opportunity
    (attempt,) = waiting(made)
    assert attempt.operation == "withdraw"
    done, acks = came(made, attempt, Accepted())
    assert told(acks) == [("withdraw", "accepted", None)]
    assert waiting(done) == ()
    assert [each.reason for each in named(done, "document")] == ["withdrawn"]
    stays, _ = came(made, attempt, Rejected(()))
    assert [each.operation for each in waiting(stays)] == ["document"], "what was held goes on"


def test_what_is_in_doubt_is_settled_before_the_withdrawal() -> None:
    first = first_of(SOAP_LENDER)
    opportunity = heard(
        taken(heard(None, first, SOAP_DESK).opportunity), corrected(first, SOAP_LENDER), SOAP_DESK
    ).opportunity
    doubtful, _ = came(opportunity, waiting(opportunity)[0], Unknown("no-answer"))
    made = heard(doubtful, intended(first, withdraw(), 3), SOAP_DESK).opportunity
    assert [each.operation for each in waiting(made)] == ["update"]
    settled, _ = came(made, waiting(made)[0], Accepted())
    assert [each.operation for each in waiting(settled)] == ["withdraw"]


def test_a_partner_that_takes_no_withdrawal_is_told_of_and_nothing_stops() -> None:
    first = first_of()
    opportunity = heard(taken(heard(None, first, DESK).opportunity), intended(first, late_document()), DESK).opportunity
    made = heard(opportunity, intended(first, withdraw(), 3), DESK)
    assert told(made.acks) == [("withdraw", "rejected", "not-withdrawable")]
    assert [each.operation for each in waiting(made.opportunity)] == ["document"]


def test_a_draft_is_left_where_nobody_submits_it() -> None:
    first = first_of()
    opportunity = heard(None, first, DESK).opportunity
    between = with_create(opportunity, calls=("party", "draft", "create"), step=2, tries=2)
    made = heard(between, intended(first, withdraw()), DESK)
    assert told(made.acks) == [("withdraw", "accepted", "draft-left")]
    assert waiting(made.opportunity) == ()


def test_a_closed_account_withdraws_what_was_not_sent_and_nothing_else() -> None:
    first = first_of(SOAP_LENDER)
    opportunity = heard(None, first, SOAP_DESK).opportunity
    closed = replace(SOAP_DESK, account=None)
    assert told(heard(opportunity, intended(first, withdraw()), closed).acks)[0][1] == "accepted"
    assert told(heard(taken(opportunity), intended(first, withdraw()), closed).acks) == [
        ("withdraw", "rejected", "not-withdrawable")
    ]
