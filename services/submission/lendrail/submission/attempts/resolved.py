"""What a person's word makes of an attempt whose outcome nobody knew. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from lendrail.contracts import partner_ack
from lendrail.submission.attempts.attempt import APPLICANT, OPEN, Attempt, Opportunity, State, new_attempt, reference
from lendrail.submission.attempts.beside import superseded
from lendrail.submission.attempts.moves import NAMELESS, Move, ack, cancel_following, next_generation, withdrawn

_SENT_AGAIN = ("calls", "channel", "via", "document", "variant", "paper", "added", "beside")


def bind(opportunity: Opportunity, attempt: Attempt, partner_id: str, now: dt.datetime) -> Move:
    """A person told us the partner's id; the documents that waited for it can go."""
    bound = replace(attempt, state=State.ACKED, version=attempt.version + 1, reason="id-bound", plan=None, due=None)
    opportunity = replace(superseded(opportunity.put(bound)), partner_id=partner_id)
    return opportunity, (ack(opportunity, bound, "id-bound", now),)


def settle(opportunity: Opportunity, attempt: Attempt, now: dt.datetime) -> Move:
    """A person told us that the partner has it, by whatever way; there is no id to follow it by."""
    after = replace(
        attempt, state=State.ACKED, version=attempt.version + 1, reason="sent-elsewhere", plan=None, due=None
    )
    opportunity = opportunity.put(after)
    if after.operation == "create":
        opportunity = cancel_following(opportunity, after.generation, NAMELESS)
    if after.beside and after == opportunity.create:
        opportunity = replace(superseded(opportunity), partner_id=None)
    if after.subject == APPLICANT:
        opportunity = withdrawn(opportunity)
    done: partner_ack.Outcome = (
        "accepted" if after.operation in ("update", "accept", "withdraw") else "accepted-id-unknown"
    )
    return opportunity, (ack(opportunity, after, done, now),)


def send_again(opportunity: Opportunity, attempt: Attempt, not_before: dt.datetime, now: dt.datetime) -> Move:
    """A person told us that the partner does not have it: a new generation of the same bytes, which is a new
    permission. What followed the old one follows the new one.
    """
    over = replace(attempt, state=State.CANCELLED, reason="not-sent", plan=None, due=None)
    generation = next_generation(opportunity, attempt.operation)
    fresh = new_attempt(opportunity.id, attempt.operation, attempt.subject, generation)
    kept = {name: getattr(attempt, name) for name in _SENT_AGAIN}
    fresh = replace(
        fresh, **kept, known_as=reference(attempt), state=State.PREPARED, version=1, due=not_before, reason="again"
    )
    opportunity = opportunity.put(over, fresh)
    if attempt.operation == "create":
        moved = [
            replace(each, generation=generation, state=State.PREPARED, reason=None)
            for each in opportunity.attempts
            if each.operation in ("document", "supplement")
            and each.generation == attempt.generation
            and not each.added
            and (each.state in OPEN or (each.state == State.CANCELLED and each.planned))
        ]
        opportunity = opportunity.put(*moved)
    return opportunity, (ack(opportunity, fresh, "not-sent", now),)
