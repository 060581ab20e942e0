"""The table of what may follow a call: every class, state and outcome."""

from dataclasses import replace
from itertools import product

import pytest

from lendrail.partners.exchange import (
    Accepted,
    CredentialRefused,
    Duplicate,
    FileResult,
    PartlyAccepted,
    Rejected,
    RetryLater,
    Unknown,
)
from lendrail.partners.partner import Capability, Operation
from lendrail.submission.attempts.attempt import Attempt, State
from lendrail.submission.attempts.classify import Event, IdTaken, LookedUp, Lost, NotSent, classify

MOST_DELAYS = 3
FIRST = Attempt(id="a", operation="create", state=State.SENDING, tries=1)
AGAIN = replace(FIRST, state=State.RECONCILING, tries=2, unknowns=1)
NO_ANSWERS: tuple[Event, ...] = (Unknown("no-answer"), Lost(), PartlyAccepted((FileResult("a", True),)))
NOTHING_TAKEN: tuple[Event, ...] = (
    NotSent("refused"),
    NotSent("withheld", counts=False),
    RetryLater(2.0),
    CredentialRefused(),
)
DECIDED: tuple[Event, ...] = (Accepted("id"), Rejected(()), Duplicate(), IdTaken())
ASKED_FIRST = (Capability.SEARCHABLE, Capability.ASYNCHRONOUS)


def op(capability: Capability, repeats: int = 5) -> Operation:
    return Operation(capability=capability, repeats=repeats)


@pytest.mark.parametrize(
    ("capability", "attempt", "event"), list(product(Capability, (FIRST, AGAIN), NO_ANSWERS + NOTHING_TAKEN + DECIDED))
)
def test_every_cell(capability: Capability, attempt: Attempt, event: Event) -> None:
    verdict = classify(op(capability), attempt, event, MOST_DELAYS)
    doubtful = attempt is AGAIN
    if isinstance(event, Accepted):
        assert (verdict.state, verdict.tell) == (State.ACKED, "accepted")
    elif isinstance(event, Rejected):
        assert (verdict.state, verdict.tell) == (State.REJECTED, "rejected")
    elif isinstance(event, IdTaken):
        assert (verdict.state, verdict.alarm, verdict.unknowns) == (State.PARKED, True, 1)
    elif isinstance(event, Duplicate):
        proof = doubtful and capability in (Capability.KEYED, Capability.UNIQUE_REFERENCE)
        assert verdict.state == (State.SUBMITTED_ID_UNKNOWN if proof else State.PARKED)
        assert verdict.alarm is not proof
    elif event in NOTHING_TAKEN:
        assert verdict.state == (State.UNKNOWN if doubtful else State.PREPARED)
        assert verdict.tell == ("unknown" if doubtful else None)
        assert verdict.pause is isinstance(event, CredentialRefused)
        assert verdict.unknowns == 0
    else:
        assert (verdict.state, verdict.wait, verdict.unknowns) == (State.UNKNOWN, "settle", 1)
        assert verdict.plan == ("look-up" if capability in ASKED_FIRST else "repeat")
        assert classify(op(capability), attempt, event, MOST_DELAYS, search=False).state == (
            State.PARKED if capability in ASKED_FIRST else State.UNKNOWN
        )


@pytest.mark.parametrize("capability", ASKED_FIRST)
def test_absent_twice_before_the_bytes_go_again_and_a_stated_number_of_times(capability: Capability) -> None:
    lost = replace(FIRST, state=State.UNKNOWN, unknowns=1)
    first = classify(op(capability, 1), lost, LookedUp(), MOST_DELAYS)
    assert (first.state, first.absences, first.wait, first.plan) == (State.UNKNOWN, 1, "settle", "look-up")
    second = classify(op(capability, 1), replace(lost, absences=1), LookedUp(), MOST_DELAYS)
    assert (second.state, second.absences, second.wait, second.plan) == (State.UNKNOWN, 2, "none", "repeat")
    again = classify(op(capability, 1), replace(AGAIN, absences=2), Unknown("no-answer"), MOST_DELAYS)
    assert (again.state, again.absences, again.plan) == (State.UNKNOWN, 0, "look-up")
    enough = classify(op(capability, 1), replace(lost, unknowns=2, absences=1), LookedUp(), MOST_DELAYS)
    assert (enough.state, enough.plan) == (State.PARKED, "person")
    found = classify(op(capability, 1), lost, LookedUp("their-id"), MOST_DELAYS)
    assert (found.state, found.tell) == (State.ACKED, "accepted")
    silent = classify(op(capability, 1), lost, LookedUp(told=False), MOST_DELAYS)
    assert (silent.state, silent.absences, silent.delays, silent.plan) == (State.UNKNOWN, None, 1, "look-up")


def test_a_key_that_the_partner_may_have_forgotten_protects_nothing() -> None:
    keyed = Operation(capability=Capability.KEYED, repeats=5, key_life=3600.0, processing=120.0)
    fresh = classify(keyed, FIRST, Unknown("no-answer"), MOST_DELAYS, age=60.0)
    late = classify(keyed, FIRST, Unknown("no-answer"), MOST_DELAYS, age=3500.0)
    assert (fresh.state, fresh.plan) == (State.UNKNOWN, "repeat")
    assert (late.state, late.plan) == (State.PARKED, "person")


def test_a_call_among_several_leads_to_the_next_one() -> None:
    first = replace(AGAIN, calls=("party", "create"))
    verdict = classify(op(Capability.KEYED), first, Accepted(given={"party": "p-1"}), MOST_DELAYS)
    assert (verdict.state, verdict.tell, verdict.next_step) == (State.PREPARED, None, True)
    last = classify(op(Capability.KEYED), replace(first, step=1), Accepted("id"), MOST_DELAYS)
    assert (last.state, last.tell, last.next_step) == (State.ACKED, "accepted", False)


@pytest.mark.parametrize("event", [e for e in NO_ANSWERS if not isinstance(e, PartlyAccepted)])
def test_blind_bytes_are_never_sent_again_without_permission(event: Event) -> None:
    assert classify(op(Capability.BLIND, repeats=0), FIRST, event, MOST_DELAYS).state == State.PARKED
    assert classify(op(Capability.BLIND, repeats=1), FIRST, event, MOST_DELAYS).state == State.UNKNOWN
    assert classify(op(Capability.BLIND, repeats=1), AGAIN, event, MOST_DELAYS).state == State.PARKED


@pytest.mark.parametrize("event", [NotSent("refused"), RetryLater(1.0)])
def test_put_off_too_often_is_parked_and_the_doubt_is_kept(event: Event) -> None:
    clean = classify(op(Capability.UNIQUE_REFERENCE), replace(FIRST, delays=MOST_DELAYS), event, MOST_DELAYS)
    doubtful = classify(op(Capability.UNIQUE_REFERENCE), replace(AGAIN, delays=MOST_DELAYS), event, MOST_DELAYS)
    assert (clean.state, clean.tell) == (State.PARKED, "parked")
    assert clean.reason != "outcome-unknown"
    assert (doubtful.state, doubtful.reason) == (State.PARKED, "outcome-unknown")
