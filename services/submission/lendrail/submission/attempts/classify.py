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
from lendrail.submission.attempts.attempt import OUTCOME_UNKNOWN, Attempt, State

SEARCHED = frozenset({Capability.SEARCHABLE, Capability.ASYNCHRONOUS})
"""Classes where the partner is asked for our reference before anything is sent again."""
ABSENCES = 2
"""How often our reference must be absent, after the settle time, before the bytes may be sent again."""
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


@dataclass(frozen=True, slots=True)
class LookedUp:
    """The partner was asked for our reference: it has it under this id, does not have it (None), or told nothing."""

    partner_id: str | None = None
    told: bool = True


Event = Outcome | NotSent | Lost | IdTaken | LookedUp
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
    absences: int | None = None
    """How often its reference was absent by now; None: as before."""
    plan: partner_ack.Plan | None = None
    """How an unknown outcome goes on."""
    next_step: bool = False
    """The next call of the same attempt is due."""
    alarm: bool = False
    pause: bool = False
    """Hold the credential."""


def classify(
    operation: Operation, attempt: Attempt, event: Event, most_delays: int, age: float = 0.0, search: bool = True
) -> Verdict:
    """`attempt` is under way (sending or reconciling), or its reference was looked up; after `most_delays` put-offs it
    is parked. `age`: seconds since its first byte may first have left; `search`: the partner can be asked at all.
    """
    doubtful = attempt.unknowns > 0
    match event:
        case Accepted():
            return _accepted(attempt)
        case Rejected():
            return Verdict(State.REJECTED, "rejected", "refused-after-unknown" if doubtful else "refused")
        case Duplicate():
            return _duplicate(operation, attempt)
        case CredentialRefused():
            return _put_off(operation, doubtful, "credential-refused", "none", pause=True)
        case RetryLater(after):
            return _delayed(operation, attempt, "retry-later", "after", after, most_delays)
        case NotSent(reason, counts):
            return _not_sent(operation, attempt, reason, counts, most_delays)
        case Unknown(reason):
            return _unknown(operation, attempt, reason, age, search)
        case PartlyAccepted():
            return _unknown(operation, attempt, "unreadable-reply", age, search)
        case Lost():
            return _unknown(operation, attempt, "interrupted", age, search)
        case LookedUp():
            return _looked_up(operation, attempt, event, most_delays)
        case IdTaken():
            return Verdict(State.PARKED, "parked", "partner-id-collision", unknowns=1, alarm=True, plan="person")
        case _:
            assert_never(event)


def _accepted(attempt: Attempt) -> Verdict:
    if attempt.last_step:
        return Verdict(State.ACKED, "accepted")
    return Verdict(State.PREPARED, None, "next-call", next_step=True)


def _not_sent(operation: Operation, attempt: Attempt, reason: str, counts: bool, most: int) -> Verdict:
    if counts:
        return _delayed(operation, attempt, reason, "retry", 0.0, most)
    return _put_off(operation, attempt.unknowns > 0, reason, "none")


def _duplicate(operation: Operation, attempt: Attempt) -> Verdict:
    """Seen before: our own lost try, where there was one; else a collision, and never a new reference. Only a creation
    brings an id that can be lost.
    """
    if attempt.unknowns == 0:
        return Verdict(State.PARKED, "parked", "reference-collision", alarm=True, plan="person")
    if operation.capability in KNOWS_REFERENCE and attempt.operation != "create":
        return Verdict(State.ACKED, "accepted", "seen-before")
    if operation.capability in KNOWS_REFERENCE:
        return Verdict(State.SUBMITTED_ID_UNKNOWN, "accepted-id-unknown", "id-lost", plan="wait")
    return Verdict(State.PARKED, "parked", "duplicate-after-unknown", alarm=True, plan="person")


def expired(operation: Operation, age: float) -> bool:
    """Whether the partner may have forgotten our key, so that the same bytes would be taken a second time."""
    return operation.key_life is not None and age + operation.processing >= operation.key_life


def _unknown(operation: Operation, attempt: Attempt, reason: str, age: float, search: bool) -> Verdict:
    """Wait until the partner must be done; then ask it, or repeat where that is safe; where nothing is, a person."""
    if operation.capability in SEARCHED and search:
        return Verdict(State.UNKNOWN, "unknown", reason, wait="settle", unknowns=1, absences=0, plan="look-up")
    repeats = 0 if operation.capability in SEARCHED or expired(operation, age) else operation.repeats
    if attempt.unknowns + 1 > repeats:
        return Verdict(State.PARKED, "parked", OUTCOME_UNKNOWN, unknowns=1, plan="person")
    return Verdict(State.UNKNOWN, "unknown", reason, wait="settle", unknowns=1, plan="repeat")


def _looked_up(operation: Operation, attempt: Attempt, found: LookedUp, most: int) -> Verdict:
    """Present settles it. Absent counts only twice over; then the bytes go again, a stated number of times."""
    if found.partner_id is not None:
        return Verdict(State.ACKED, "accepted", "found-by-reference")
    if not found.told:
        return _delayed(operation, attempt, "look-up-failed", "retry", 0.0, most)
    absences = attempt.absences + 1
    if absences < ABSENCES:
        return Verdict(State.UNKNOWN, "unknown", "absent", wait="settle", absences=absences, plan="look-up")
    if attempt.unknowns > operation.repeats:
        return Verdict(State.PARKED, "parked", OUTCOME_UNKNOWN, absences=absences, plan="person")
    return Verdict(State.UNKNOWN, "unknown", "absent-twice", absences=absences, plan="repeat")


def _put_off(
    operation: Operation,
    doubtful: bool,
    reason: str,
    wait: Wait,
    seconds: float = 0.0,
    delays: int = 0,
    pause: bool = False,
) -> Verdict:
    """This try left nothing behind; an earlier unknown one still may have."""
    if doubtful:
        plan: partner_ack.Plan = "look-up" if operation.capability in SEARCHED else "repeat"
        return Verdict(State.UNKNOWN, "unknown", reason, wait, seconds, delays, pause=pause, plan=plan)
    return Verdict(State.PREPARED, None, reason, wait, seconds, delays, pause=pause)


def _delayed(operation: Operation, attempt: Attempt, reason: str, wait: Wait, seconds: float, most: int) -> Verdict:
    doubtful = attempt.unknowns > 0
    if attempt.delays + 1 > most:
        told = OUTCOME_UNKNOWN if doubtful else reason
        return Verdict(State.PARKED, "parked", told, delays=1, plan="person")
    return _put_off(operation, doubtful, reason, wait, seconds, delays=1)
