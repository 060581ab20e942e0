"""How a registry's word moves what waits for it, and what the registry itself is told in the end. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

from lendrail.contracts.partner_ack import Operation
from lendrail.contracts.terms import FieldProblem, Match, Status
from lendrail.submission.attempts import moves
from lendrail.submission.attempts.attempt import OPEN, REPLACED, UNDER_WAY, Opportunity, State, new_attempt
from lendrail.submission.attempts.moves import Move

CLEARED = frozenset({Status.APPROVED, Status.FUNDED})
"""A registry's words, in ours, that open a gate: registered as the only one, or already marked as financed by us."""


def current(registered: Opportunity, partner_id: str | None, observed_at: dt.datetime | None) -> bool:
    """Whether a word is about the registration that stands: not about one that it replaced, which may still be told
    under the new one's id, as it was seen before.
    """
    create, over = registered.create, [each for each in registered.attempts if each.subject == REPLACED]
    if create is None or not over:
        return True
    if create.state != State.ACKED or partner_id != registered.partner_id:
        return False
    return observed_at is not None and create.sent_at is not None and observed_at >= create.sent_at


def spoken(
    opportunity: Opportunity, word: Status | None, matches: Sequence[Match], now: dt.datetime, about: str | None = None
) -> Move | None:
    """The registry's word came: cleared opens, a duplicate stops what was not sent and alarms what was. None: no news,
    or no word `about` the papers that are waited for.

    Only *registered unique* opens; any other word leaves it waiting, seen and late.
    """
    before = opportunity.gate
    if about is not None and before is not None and before.paper not in (None, about):
        return None
    if before is None or before.state in (State.REJECTED, State.CANCELLED):
        return None
    if word == Status.DUPLICATE:
        stopped = before.state != State.ACKED
        reason = "registry-duplicate" if stopped else "alarm-registry-duplicate"
        after = replace(before, state=State.REJECTED, version=before.version + 1, reason=reason, due=None)
        opportunity = opportunity.put(after)
        if stopped and (create := opportunity.create) is not None and create.state in OPEN:
            opportunity = opportunity.put(replace(create, state=State.CANCELLED, reason=reason, due=None))
            opportunity = moves.cancel_following(opportunity, create.generation, reason)
        if stopped:
            updates = [each for each in opportunity.attempts if each.operation == "update" and each.state in OPEN]
            opportunity = moves.cancel(opportunity, updates, reason)
        return opportunity, (moves.ack(opportunity, after, "duplicate", now, _matched(matches, opportunity.partner)),)
    if word in CLEARED and before.state != State.ACKED:
        after = replace(before, state=State.ACKED, version=before.version + 1, reason=None, due=None)
        opportunity = opportunity.put(after)
        return opportunity, (moves.ack(opportunity, after, "accepted", now),)
    return None


def late(opportunity: Opportunity, seconds: float, now: dt.datetime) -> Move | None:
    """The registry is still silent: a person should look; the opportunity goes on waiting. None: it has spoken, or is
    not late.
    """
    before = opportunity.gate
    if before is None or before.state not in OPEN or before.due is None or before.due > now:
        return None
    due = now + dt.timedelta(seconds=seconds)
    after = replace(before, version=before.version + 1, delays=before.delays + 1, reason="registry-late", due=due)
    opportunity = opportunity.put(after)
    return opportunity, (moves.ack(opportunity, after, "not-sent", now),)


def _matched(matches: Sequence[Match], partner: str) -> tuple[FieldProblem, ...]:
    told = "the registry knows the same paper"
    found = [
        f"{told}: match {each.id}, {each.kind}" + (f", there {each.status}" if each.status else "") for each in matches
    ]
    return tuple(
        FieldProblem(pointer="/invoices", code="registry-duplicate", message=text, phase="partner", partner=partner)
        for text in found or [told]
    )


def ended(opportunity: Opportunity, operation: Operation, status: str, due: dt.datetime) -> Opportunity | None:
    """At a registry: tell it that the money flowed, or why it never will. None: it is told or planned already."""
    attempt = new_attempt(opportunity.id, operation, status if operation == "withdraw" else "")
    told = [each for each in opportunity.attempts if each.operation == operation and each.subject != REPLACED]
    known = next(iter(told), None)
    if known is not None and known.state != State.CANCELLED:
        return None
    if known is not None:
        attempt = replace(known, subject=attempt.subject)
    planned = opportunity.put(replace(attempt, state=State.PREPARED, calls=(operation,), reason=None, due=due))
    if operation == "finance":
        planned = planned.put(
            *(
                replace(each, state=State.CANCELLED, reason="financed", due=None)
                for each in planned.attempts
                if each.operation == "withdraw" and each.state in OPEN
            )
        )
    return planned


def seen(opportunity: Opportunity, operation: Operation, now: dt.datetime) -> Move | None:
    """The partner's own status shows that it was done, though its answer was lost, or is still on its way: whoever
    waits for it may be gone, and the status is told once. None: nothing was in doubt.
    """
    found = [each for each in opportunity.attempts if each.operation == operation]
    doubtful = [
        each
        for each in found
        if each.state in UNDER_WAY or (each.unknowns and each.state in (State.UNKNOWN, State.PARKED))
    ]
    if not doubtful:
        return None
    acks = []
    for each in doubtful:
        after = replace(each, state=State.ACKED, version=each.version + 1, reason="seen-in-status", plan=None, due=None)
        opportunity = opportunity.put(after)
        acks.append(moves.ack(opportunity, after, "accepted", now))
    return opportunity, tuple(acks)
