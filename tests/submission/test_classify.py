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
from lendrail.submission.attempt import Attempt, State
from lendrail.submission.classify import Event, IdTaken, Lost, NotSent, classify

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
        assert verdict.state == (State.PARKED if capability in ASKED_FIRST else State.UNKNOWN)
        assert verdict.unknowns == 1
        assert verdict.wait == ("none" if verdict.state == State.PARKED else "settle")


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
