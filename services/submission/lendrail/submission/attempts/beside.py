"""A correction that the partner did not take, and the new application beside the old one that a person makes of it:
what is kept for that, and how the two stand to one another. Pure.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from lendrail.contracts.terms import Status
from lendrail.submission.attempts.attempt import APPLICANT, CONFLICT, OPEN, Attempt, Opportunity, State

OVER = frozenset({Status.DECLINED, Status.WITHDRAWN, Status.EXPIRED, Status.FUNDED})
"""With these the partner's part is over. What failed here, or is a duplicate, may still be corrected."""
_GIVEN_UP = (State.REJECTED, State.CANCELLED)


def why_over(opportunity: Opportunity) -> str | None:
    """Why nothing new is sent there any more, as a stable code; None while it may be."""
    if opportunity.withdrawal is not None:
        return "withdrawn"
    if opportunity.ended in OVER:
        return "already-ended"
    accepts = (each for each in opportunity.attempts if each.operation == "accept")
    agreed = opportunity.agreed or any(each.state not in _GIVEN_UP for each in accepts)
    return "already-accepted" if agreed else None


def untaken(opportunity: Opportunity) -> Attempt | None:
    """The newest correction, while the partner has it in no way: not by itself, and by no creation made after it."""
    updates = [each for each in opportunity.attempts if each.operation == "update" and each.reason != CONFLICT]
    newest = max(updates, key=lambda each: each.generation, default=None)
    if newest is None or newest.state == State.ACKED:
        return None
    later = opportunity.attempts[opportunity.attempts.index(newest) :]
    taken = (State.ACKED, State.SUBMITTED_ID_UNKNOWN)
    return None if any(each.operation == "create" and each.state in taken for each in later) else newest


def still_kept(opportunity: Opportunity) -> Set[str]:
    """The corrections whose events are kept: each until it is decided, and the newest while a person may yet have it
    sent anew.
    """
    held = {each.id for each in opportunity.attempts if each.operation == "update" and each.state == State.PLANNED}
    newest = None if _is_over(opportunity) else untaken(opportunity)
    return held | {newest.id} if newest else held


def _is_over(opportunity: Opportunity) -> bool:
    """For good: what was asked for and not done yet may be refused."""
    done = [each for each in opportunity.attempts if each.state == State.ACKED]
    ended = any(each.operation == "accept" or each.subject == APPLICANT for each in done)
    return ended or opportunity.agreed or opportunity.ended in OVER


def superseded(opportunity: Opportunity) -> Opportunity:
    """Once the partner has the new one, what was still to follow the old one follows nothing."""
    create = opportunity.create
    if create is None or not create.beside:
        return opportunity
    left = [
        replace(each, state=State.CANCELLED, reason="replaced", due=None)
        for each in opportunity.attempts
        if each.operation in ("document", "supplement")
        and not each.added
        and each.generation < create.generation
        and each.state in OPEN
    ]
    return opportunity.put(*left)
