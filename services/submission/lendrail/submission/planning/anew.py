"""A correction that the partner did not take, brought there as a new application beside the one that it has: whether
that may be, and what it plans. Pure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

from lendrail.contracts.submit import Send, Submit
from lendrail.contracts.terms import FieldProblem
from lendrail.runtime.vault import Key
from lendrail.submission.attempts import moves
from lendrail.submission.attempts.attempt import OPEN, UNDER_WAY, Attempt, Opportunity, State, new_attempt
from lendrail.submission.attempts.beside import untaken, why_over
from lendrail.submission.planning.creation import create, stepped_back
from lendrail.submission.planning.desk import Desk
from lendrail.submission.planning.papers import uncleared
from lendrail.submission.planning.planned import Plan

WHY_NOT = {
    "registry": "A registration follows the lenders that it clears and is never sent beside another one.",
    "not-at-partner": "The partner has nothing of this application: a correction goes there by itself.",
    "withdrawn": "The application is withdrawn there, or about to be.",
    "already-ended": "The partner's part in this application is over.",
    "already-accepted": "An offer of the partner is accepted, or about to be.",
    "under-way": "Something is on its way to the partner or waits for it; see what comes of that first.",
    "unsettled": "Nobody knows yet whether the partner took what was sent: settle that first.",
    "nothing-newer": "The partner has the newest revision of the application.",
    "not-kept": "The newest revision is not kept here any more: correct the application once more, then send that.",
    "registry-bound": "The correction is about other papers than those that a registry cleared for what the partner "
    "has, and the registration cannot describe both: withdraw it there and send a new application.",
}
"""By stable code; whatever else keeps an application from being sent has the code of that."""
_FOLLOWING = ("document", "supplement")
"""What was still to follow the older one follows the new one, or nothing."""


class Refused(Exception):
    """It may not be sent; `code` says why."""

    def __init__(self, code: str, problems: Sequence[FieldProblem] = ()) -> None:
        super().__init__(code)
        self.code, self.problems = code, tuple(problems)

    @property
    def detail(self) -> str:
        return WHY_NOT.get(self.code, f"Nothing may be sent there as it stands: {self.code}.")


def already_there(opportunity: Opportunity) -> list[Attempt]:
    """The creations that the partner has, or may have."""
    creations = (each for each in opportunity.attempts if each.operation == "create")
    return [each for each in creations if each.state != State.CANCELLED and not each.never_taken]


def anew(opportunity: Opportunity, submit: Submit | None, desk: Desk, key: Key, now: dt.datetime) -> Plan:
    """With a new creation of the newest revision, whose event `submit` was kept. Raises `Refused`."""
    if (code := _why_not(opportunity, submit, desk, key)) is not None:
        raise Refused(code)
    assert submit is not None
    intent = submit.intent
    assert isinstance(intent, Send)
    opportunity = _cleared_away(opportunity)
    generation = max(moves.next_generation(opportunity, each) for each in ("create", *_FOLLOWING))
    made = create(opportunity, intent, generation, desk, key, now, beside=True)
    fresh = made.opportunity.attempt(new_attempt(opportunity.id, "create", generation=generation).id)
    if fresh.state != State.PREPARED:
        raise Refused(fresh.reason or "not-sendable", [each for ack in made.acks for each in ack.problems])
    return replace(made, opportunity=_with_late_documents(made.opportunity, fresh))


def _with_late_documents(opportunity: Opportunity, create: Attempt) -> Opportunity:
    """What came after the application, and the partner has with the older one, goes with the new one too."""
    documents = [each for each in opportunity.attempts if each.operation == "document"]
    there = {each.subject for each in documents if each.generation == create.generation}
    late = {each.subject: each for each in documents if each.added and each.state == State.ACKED}
    again = [
        replace(
            new_attempt(opportunity.id, "document", each.subject, create.generation),
            document=each.document,
            calls=each.calls,
        )
        for each in late.values()
        if each.subject not in there and each.document is not None
    ]
    return opportunity.put(*again)


def _why_not(opportunity: Opportunity, submit: Submit | None, desk: Desk, key: Key) -> str | None:
    before, correction = opportunity.create, untaken(opportunity)
    if desk.partner is not None and desk.partner.kind == "registry":
        return "registry"
    if before is None or (before.never_taken and not before.beside):
        return "not-at-partner"
    if (over := why_over(opportunity)) is not None:
        return over
    if (waits := _unfinished(opportunity)) is not None:
        return waits
    if correction is None:
        return "nothing-newer"
    if submit is None or submit.revision != opportunity.revision:
        return "not-kept"
    return "registry-bound" if uncleared(opportunity, submit, key) else None


def _unfinished(opportunity: Opportunity) -> str | None:
    """What was parked before it left us is certain: it did not."""
    attempts = [each for each in opportunity.attempts if each.state != State.PARKED or each.tries]
    if any(each.state in (State.UNKNOWN, State.PARKED) for each in attempts):
        return "unsettled"
    waiting = [each for each in attempts if each.state in OPEN and each.operation not in _FOLLOWING]
    return "under-way" if waiting or any(each.state in UNDER_WAY for each in attempts) else None


def _cleared_away(opportunity: Opportunity) -> Opportunity:
    """Without what was parked before it left us: it goes in this form now."""
    opportunity, correction = stepped_back(opportunity, "replaced"), untaken(opportunity)
    parked = [correction] if correction is not None and correction.state == State.PARKED else []
    return moves.cancel(opportunity, parked, "sent-otherwise")
