"""What of an opportunity may be carried out now or later, and in which order. Pure."""

from __future__ import annotations

import datetime as dt

from lendrail.submission.attempts.attempt import FINAL, OPEN, REPLACED, WORKABLE, Attempt, Opportunity, State


def undecided(opportunity: Opportunity) -> Attempt | None:
    """What was held until the outcome of the creation is known, once that is known: a withdrawal, else a correction."""
    create = opportunity.create
    if create is None:
        return None
    held = [each for each in opportunity.attempts if each.state == State.PLANNED]
    certain = create.never_taken or create.state in (State.ACKED, State.REJECTED)
    if certain or create.left_a_draft:
        for each in held:
            if each.operation == "withdraw":
                return each
    return next((each for each in held if each.operation == "update"), None) if certain else None


def waiting(opportunity: Opportunity) -> tuple[Attempt, ...]:
    """What could be carried out now or later without anybody's help, in its order."""
    if (held := undecided(opportunity)) is not None:
        return (held,)
    create, withdrawal = opportunity.create, opportunity.withdrawal
    if create is None or (withdrawal is not None and withdrawal.state == State.ACKED):
        return ()
    if create.state in WORKABLE:
        return _before(create, opportunity)
    if create.state != State.ACKED:
        return ()
    following = tuple(each for each in opportunity.attempts if each.state in WORKABLE and _follows(each, opportunity))
    if withdrawal is not None:
        doubtful = tuple(each for each in following if each.state == State.UNKNOWN and each != withdrawal)
        return doubtful or tuple(each for each in following if each == withdrawal)
    return _in_turn(following) if opportunity.gate is None or opportunity.gate.state == State.ACKED else ()


def _before(create: Attempt, opportunity: Opportunity) -> tuple[Attempt, ...]:
    """A new registration waits until the old one is cancelled, all else for the registry. What is in doubt is settled
    also while the registry is asked about other papers.
    """
    replaced = [each for each in opportunity.attempts if (each.operation, each.subject) == ("withdraw", REPLACED)]
    if pending := [each for each in replaced if each.state not in FINAL]:
        return tuple(each for each in pending if each.state in WORKABLE)
    gate = opportunity.gate
    doubtful = create.state == State.UNKNOWN and gate is not None and gate.state in OPEN
    return (create,) if gate is None or gate.state == State.ACKED or doubtful else ()


def _in_turn(following: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """Of several corrections only the oldest: a later one must not be overwritten by an older one's repeat."""
    first = next((each for each in following if each.operation == "update"), None)
    return tuple(each for each in following if each.operation != "update" or each is first)


def _follows(attempt: Attempt, opportunity: Opportunity) -> bool:
    """Whether it can be done once the application is there; all but a mail names the partner's id. What belonged to an
    older creation cannot; what a person had sent again is of a later generation than the creation.
    """
    create = opportunity.create
    assert create is not None
    if attempt.operation == "supplement":
        return attempt.generation >= create.generation
    if attempt.in_thread:
        return True
    if opportunity.partner_id is None or attempt.operation in ("create", "gate"):
        return False
    return attempt.operation != "document" or attempt.added or attempt.generation >= create.generation


def due_now(opportunity: Opportunity, now: dt.datetime, at_once: int, through: str = "") -> tuple[Attempt, ...]:
    """The next call's attempts: up to `at_once` documents, or one of another kind. Empty: nothing to do now.

    `through`: only what goes through this credential.
    """
    ready = [each for each in waiting(opportunity) if each.due is None or each.due <= now]
    ready = [each for each in ready if not through or (each.via or opportunity.credential) == through]
    documents = [each for each in ready if each.operation == "document" and not each.in_thread]
    return tuple(documents[:at_once] if documents and ready[0] is documents[0] else ready[:1])


def next_due(opportunity: Opportunity, now: dt.datetime) -> dt.datetime | None:
    """When the opportunity is to be looked at again; None when it waits for nothing but people."""
    gate = opportunity.gate
    due = [each.due or now for each in waiting(opportunity)]
    if gate is not None and gate.state in OPEN and gate.due is not None:
        due.append(gate.due)
    return min(due, default=None)
