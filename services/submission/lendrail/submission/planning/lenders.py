"""Whether the lenders behind a registration have papers as they were before a correction: it must describe what they
have. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from lendrail.contracts.terms import Status
from lendrail.partners import PARTNERS
from lendrail.submission.attempts.attempt import CONFLICT, OPEN, Attempt, Opportunity, State

Papers = Literal["none", "old", "awaited"]
"""Nobody has the old ones, or will not for long; somebody has and keeps them; nobody knows yet."""
LOOKS = 6
"""After so many a lender that has not heard of the correction will not: it was not made for this one."""


def old_papers(lenders: Iterable[Opportunity], revision: int, looks: int = 0) -> Papers:
    """Who has them, now that the correction to this `revision` is there; it was looked for `looks` times before."""
    found = {_one(each, revision, looks) for each in lenders}
    return "old" if "old" in found else "awaited" if "awaited" in found else "none"


def _one(lender: Opportunity, revision: int, looks: int) -> Papers:
    create, heard = lender.create, lender.revision >= revision
    if create is None or lender.ended not in (None, Status.FUNDED.value):
        return "none"
    if create.beside:
        return "old"  # the older one has them, and keeps them
    if create.never_taken:
        return "awaited" if create.state in OPEN and not heard else "none"
    partner = PARTNERS.get(lender.partner)
    if create.state not in (State.ACKED, State.SUBMITTED_ID_UNKNOWN, State.REJECTED):
        return "awaited"
    if partner is None or partner.update is None:
        return "old"
    if not heard:
        return "awaited" if looks < LOOKS else "old"
    return _by_update(lender, revision)


def _by_update(lender: Opportunity, revision: int) -> Papers:
    """A correction that is on its way waits for the registry; one that was given up leaves there what was there."""
    updates = [each for each in lender.attempts if each.operation == "update" and each.generation >= revision]
    updates = [each for each in updates if each.reason != CONFLICT]
    newest: Attempt | None = max(updates, key=lambda each: each.generation, default=None)
    return "old" if newest is None or newest.state in (State.REJECTED, State.CANCELLED) else "none"
