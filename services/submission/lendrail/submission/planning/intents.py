"""What is asked for beside the application itself: a late document, an offer to accept, a withdrawal. Each takes effect
once, in any order, also before the application came. Pure.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from lendrail.contracts.submit import AcceptOffer, AddDocument
from lendrail.partners.partner import Partner
from lendrail.runtime.vault import Key
from lendrail.submission.attempts import moves
from lendrail.submission.attempts.attempt import APPLICANT, FOLLOW_UP, Attempt, Opportunity, State, new_attempt
from lendrail.submission.planning.creation import document, stepped_back
from lendrail.submission.planning.desk import Desk, why_closed
from lendrail.submission.planning.planned import Plan, not_sent, refused, told

NOT_WITHDRAWABLE, NOT_ACCEPTABLE, NO_DOCUMENTS = "not-withdrawable", "not-acceptable", "documents-not-taken"
_TELL = "tell the partner yourself"
_NAMELESS = f"we know no id by which the partner has it: {_TELL}"
_GIVEN_UP = (State.REJECTED, State.CANCELLED)


def add_document(opportunity: Opportunity, intent: AddDocument, desk: Desk, key: Key, now: dt.datetime) -> Plan:
    """A content that is on its way, or there, or may be, does not go again; one that the partner refused does."""
    sha256 = intent.document.sha256
    same = [each for each in opportunity.attempts if (each.operation, each.subject) == ("document", sha256)]
    newest = max(same, key=lambda each: each.generation, default=None)
    if newest is not None and newest.state == State.ACKED:
        return told(opportunity, replace(newest, reason="already-there"), now)
    unsent = newest is not None and newest.state == State.PARKED and newest.unknowns == 0
    if newest is not None and newest.state not in _GIVEN_UP and not unsent:
        return Plan(opportunity.put(replace(newest, added=True)))
    generation = moves.next_generation(opportunity, "document") if newest else 1
    calls = (FOLLOW_UP,) if desk.partner is not None and desk.partner.thread else ()
    attempt = replace(document(opportunity, intent.document, generation, key), added=True, calls=calls)
    if (reason := _why_not_now(opportunity, desk, attempt.in_thread)) is not None:
        return not_sent(opportunity, attempt, reason, now)
    assert desk.partner is not None
    if not desk.partner.takes_later_documents:
        return refused(opportunity, attempt, NO_DOCUMENTS, f"this partner takes no later documents: {_TELL}", now)
    return Plan(opportunity.put(attempt))


def accept_offer(opportunity: Opportunity, intent: AcceptOffer, desk: Desk, now: dt.datetime) -> Plan:
    """One offer at a time: another one only after the partner refused the first."""
    accepts = [each for each in opportunity.attempts if each.operation == "accept"]
    generation = moves.next_generation(opportunity, "accept")
    attempt = new_attempt(opportunity.id, "accept", intent.offer_id, generation)
    attempt = replace(attempt, variant=intent.variant, calls=("accept",))
    standing = next((each for each in accepts if each.state not in _GIVEN_UP), None)
    if standing is not None and (standing.subject, standing.variant) == (intent.offer_id, intent.variant):
        return Plan(opportunity)
    if standing is not None:
        return refused(opportunity, attempt, "already-accepted", "another offer is accepted, or about to be", now)
    if (reason := _why_not_now(opportunity, desk)) is not None:
        return not_sent(opportunity, attempt, reason, now)
    assert desk.partner is not None
    if desk.partner.accept is None:
        return refused(opportunity, attempt, NOT_ACCEPTABLE, f"this partner takes no acceptance from us: {_TELL}", now)
    return Plan(opportunity.put(attempt))


def _why_not_now(opportunity: Opportunity, desk: Desk, nameless: bool = False) -> str | None:
    """`nameless`: it can be done without the partner's id."""
    if opportunity.withdrawal is not None:
        return "withdrawn"
    create = opportunity.create
    if create is not None and create.state == State.ACKED and opportunity.partner_id is None and not nameless:
        return "nothing-to-follow"
    return why_closed(opportunity, desk)


def withdraw(opportunity: Opportunity, revision: int, desk: Desk, now: dt.datetime) -> Plan:
    """What was not sent is cancelled; what is there is withdrawn there; while nobody knows, it waits."""
    standing = opportunity.withdrawal
    if standing is not None and standing.state == State.ACKED:
        return told(opportunity, replace(standing, reason="already-withdrawn"), now)
    if standing is not None:
        return Plan(opportunity)
    generation = moves.next_generation(opportunity, "withdraw", least=revision)
    attempt = new_attempt(opportunity.id, "withdraw", APPLICANT, generation)
    return withdrawing(opportunity, replace(attempt, reason="outcome-awaited"), desk, now)


def withdrawing(opportunity: Opportunity, attempt: Attempt, desk: Desk, now: dt.datetime) -> Plan:
    """As far as it can be decided; `attempt` waits where it cannot."""
    opportunity = stepped_back(opportunity, "withdrawn")
    create = opportunity.create
    if create is None or create.never_taken:
        return _certain(opportunity, attempt, "not-sent-yet", now)
    if create.left_a_draft:
        return _certain(opportunity, attempt, "draft-left", now)
    if create.state not in (State.ACKED, State.SUBMITTED_ID_UNKNOWN, State.REJECTED):
        return Plan(opportunity.put(attempt))
    if (closed := why_closed(opportunity, desk)) is not None:
        return refused(opportunity, attempt, NOT_WITHDRAWABLE, f"nothing may be sent there ({closed}): {_TELL}", now)
    if not _can(desk.partner):
        return refused(opportunity, attempt, NOT_WITHDRAWABLE, f"this partner takes no withdrawal: {_TELL}", now)
    if create.state == State.SUBMITTED_ID_UNKNOWN:
        return Plan(opportunity.put(attempt))
    if opportunity.partner_id is None:
        return refused(opportunity, attempt, NOT_WITHDRAWABLE, _NAMELESS, now)
    return Plan(opportunity.put(replace(attempt, state=State.PREPARED, calls=("withdraw",), reason=None)))


def _can(partner: Partner | None) -> bool:
    return partner is not None and partner.withdraw is not None


def _certain(opportunity: Opportunity, attempt: Attempt, reason: str, now: dt.datetime) -> Plan:
    """The partner has no application of it and gets none."""
    done = told(opportunity, replace(attempt, state=State.ACKED, reason=reason), now)
    return replace(done, opportunity=moves.withdrawn(done.opportunity))
