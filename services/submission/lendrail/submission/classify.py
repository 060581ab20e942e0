"""What becomes of an attempt after a call: a pure table over state, capability class and outcome.

The class of the operation decides what may be repeated, never the kind of error. A refusal that is complete and
documented takes back one try only: when an earlier try of the same attempt ended unknown, that try stays unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from lendrail.contracts import partner_ack
from lendrail.partners.exchange import (
    Accepted,
    CredentialRefused,
    Duplicate,
    Outcome,
    PartlyAccepted,
    Rejected,
    RetryLater,
    Unknown,
)
from lendrail.partners.partner import Capability, Operation
from lendrail.submission.attempt import Attempt, State

REPEATABLE = frozenset({Capability.KEYED, Capability.UNIQUE_REFERENCE, Capability.BLIND, Capability.HARMLESS})
"""Classes whose bytes may be sent again, as often as the operation's `repeats` says. The others are asked first."""
KNOWS_REFERENCE = frozenset({Capability.KEYED, Capability.UNIQUE_REFERENCE})
"""Classes in which *seen before* proves that our own earlier try arrived."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """Not one byte left us. `counts` is false when we held it back ourselves."""

    reason: str
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Lost:
    """Whoever sent it is gone, and the outcome with it."""


@dataclass(frozen=True, slots=True)
class IdTaken:
    """The partner took it under an id that is already another opportunity's."""


Event = Outcome | NotSent | Lost | IdTaken
Wait = Literal["none", "settle", "retry", "after"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The next state; `tell` is the outcome that the world hears of, None for nothing."""

    state: State
    tell: partner_ack.Outcome | None = None
    reason: str | None = None
    wait: Wait = "none"
    seconds: float = 0.0
    """Of `after`."""
    delays: int = 0
    """To be added to the attempt's delays."""
    unknowns: int = 0
    """To be added to its unknown tries."""
    alarm: bool = False
    pause: bool = False
    """Hold the credential."""


def classify(operation: Operation, attempt: Attempt, event: Event, most_delays: int) -> Verdict:
    """`attempt` is under way (sending or reconciling); after `most_delays` put-offs it is parked."""
    doubtful = attempt.unknowns > 0
    match event:
        case Accepted():
            return Verdict(State.ACKED, "accepted")
        case Rejected():
            return Verdict(State.REJECTED, "rejected", "refused-after-unknown" if doubtful else "refused")
        case Duplicate():
            return _duplicate(operation, doubtful)
        case CredentialRefused():
            return _put_off(doubtful, "credential-refused", "none", pause=True)
        case RetryLater(after):
            return _delayed(attempt, doubtful, "retry-later", "after", after, most_delays)
        case NotSent(reason, counts):
            return _not_sent(attempt, doubtful, reason, counts, most_delays)
        case Unknown(reason):
            return _unknown(operation, attempt, reason)
        case PartlyAccepted():
            return _unknown(operation, attempt, "unreadable-reply")
        case Lost():
            return _unknown(operation, attempt, "interrupted")
        case IdTaken():
            return Verdict(State.PARKED, "parked", "partner-id-collision", unknowns=1, alarm=True)
        case _:
            assert_never(event)


def _not_sent(attempt: Attempt, doubtful: bool, reason: str, counts: bool, most: int) -> Verdict:
    return _delayed(attempt, doubtful, reason, "retry", 0.0, most) if counts else _put_off(doubtful, reason, "none")


def _duplicate(operation: Operation, doubtful: bool) -> Verdict:
    """Seen before: our own lost try, where there was one; else a collision, and never a new reference."""
    if not doubtful:
        return Verdict(State.PARKED, "parked", "reference-collision", alarm=True)
    if operation.capability in KNOWS_REFERENCE:
        return Verdict(State.SUBMITTED_ID_UNKNOWN, "accepted-id-unknown", "id-lost")
    return Verdict(State.PARKED, "parked", "duplicate-after-unknown", alarm=True)


def _unknown(operation: Operation, attempt: Attempt, reason: str) -> Verdict:
    """Wait until the partner must be done, then repeat where that is safe; where it never is, a person is asked."""
    repeats = operation.repeats if operation.capability in REPEATABLE else 0
    if attempt.unknowns + 1 > repeats:
        return Verdict(State.PARKED, "parked", "outcome-unknown", unknowns=1)
    return Verdict(State.UNKNOWN, "unknown", reason, wait="settle", unknowns=1)


def _put_off(
    doubtful: bool, reason: str, wait: Wait, seconds: float = 0.0, delays: int = 0, pause: bool = False
) -> Verdict:
    """This try left nothing behind; an earlier unknown one still may have."""
    if doubtful:
        return Verdict(State.UNKNOWN, "unknown", reason, wait, seconds, delays, pause=pause)
    return Verdict(State.PREPARED, None, reason, wait, seconds, delays, pause=pause)


def _delayed(attempt: Attempt, doubtful: bool, reason: str, wait: Wait, seconds: float, most: int) -> Verdict:
    if attempt.delays + 1 > most:
        return Verdict(State.PARKED, "parked", "outcome-unknown" if doubtful else reason, delays=1)
    return _put_off(doubtful, reason, wait, seconds, delays=1)
