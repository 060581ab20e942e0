"""Kafka delivers again what was delivered: the same event asks for nothing a second time, whatever came of it."""

from __future__ import annotations

import pytest
from tests.partners.rehearsals import Rehearsal
from tests.submission.amended import (
    NOW,
    SOAP_LENDER,
    accept,
    desk_of,
    first_of,
    heard,
    intended,
    late_document,
    taken,
    withdraw,
)
from tests.submission.others import REFERENCE

from lendrail.contracts.submit import Intent
from lendrail.submission.attempts import moves
from lendrail.submission.attempts.attempt import OPEN, State
from lendrail.submission.attempts.classify import Verdict
from lendrail.submission.attempts.moves import Result


@pytest.mark.parametrize(
    ("case", "intent"),
    [(REFERENCE, late_document()), (REFERENCE, accept()), (SOAP_LENDER, withdraw())],
    ids=["add-document", "accept-offer", "withdraw"],
)
def test_what_a_partner_refused_is_not_asked_for_by_the_same_event_again(case: Rehearsal, intent: Intent) -> None:
    """Another event may well ask again: then somebody wants it."""
    first, desk = first_of(case), desk_of(case)
    there = taken(heard(None, first, desk).opportunity)
    event = intended(first, intent)
    asked = heard(there, event, desk).opportunity
    attempt = asked.attempts[-1]
    assert attempt.state in OPEN
    begun = moves.begin(asked, (attempt,), "digest", NOW)
    refused, _ = moves.finish(begun, [Result(attempt.id, Verdict(State.REJECTED, "rejected", "refused"))], NOW)
    again = heard(refused, event, desk)
    assert [str(each.state) for each in again.opportunity.attempts[len(refused.attempts) :]] == [], "asked for twice"
    assert again.opportunity == refused
    assert again.acks == ()
    wanted = heard(refused, event.model_copy(update={"revision": 3}), desk).opportunity
    assert [each.state in OPEN for each in wanted.attempts[len(refused.attempts) :]] == [True]
