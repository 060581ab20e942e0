"""A newer revision of an application that was planned before: a new generation where the partner certainly has none, an
update where it has one, and a wait while nobody knows. Pure.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import structlog

from lendrail.contracts.submit import Send, Submit
from lendrail.partners.exchange import Request
from lendrail.runtime.vault import Key
from lendrail.submission.attempts import moves
from lendrail.submission.attempts.attempt import OPEN, REPLACED, Attempt, Opportunity, State, new_attempt, reference
from lendrail.submission.planning.creation import (
    create,
    new_documents,
    not_in_lists,
    order,
    replaced,
    stepped_back,
    with_lists,
)
from lendrail.submission.planning.desk import Desk, why_not
from lendrail.submission.planning.lenders import old_papers
from lendrail.submission.planning.papers import mark, uncleared
from lendrail.submission.planning.planned import Plan, merged, not_sent, refused, told

log = structlog.get_logger()
NOT_UPDATABLE = "not-updatable"
_CANNOT = (
    "this partner takes no corrections of an application that it has: tell it yourself, or let an operator have it "
    "sent as a new one"
)
_BOUND = "a lender has the papers as they were and keeps them, so their registration stays: tell the registry yourself"
LOOK_AGAIN_SECONDS, LOOK_AGAIN_AT_MOST = 1, 60
"""How long a correction of a registration waits between two looks at its lenders; twice as long each time."""
_NAMELESS = "we know no id by which the partner has it, so it cannot be corrected there: tell the partner yourself"
_TWICE = "the partner has it twice, and an older one keeps the papers that are registered: tell the partner yourself"


def revise(opportunity: Opportunity, submit: Submit, intent: Send, desk: Desk, key: Key, now: dt.datetime) -> Plan:
    """Bring what it is now there; or keep the event until that can be decided."""
    before = opportunity.create
    assert before is not None
    generation = moves.next_generation(opportunity, "update", least=submit.revision)
    update = new_attempt(opportunity.id, "update", generation=generation)
    if opportunity.withdrawal is not None:
        return not_sent(opportunity, update, "withdrawn", now)
    older = [each for each in opportunity.attempts if each.operation == "update" and each.state in OPEN]
    opportunity = moves.cancel(opportunity, older, "replaced")
    return _decided(opportunity, update, submit, intent, desk, key, now)


def resume(opportunity: Opportunity, update: Attempt, submit: Submit, desk: Desk, key: Key, now: dt.datetime) -> Plan:
    """What was kept comes to, now that the outcome of the creation is known."""
    intent = submit.intent
    assert isinstance(intent, Send)
    found = _decided(opportunity, update, submit, intent, desk, key, now)
    if found.opportunity.attempt(update.id).state != State.PLANNED or found.kept:
        return found
    return replace(found, opportunity=moves.cancel(found.opportunity, [update], "sent-otherwise"))


def _decided(
    opportunity: Opportunity, update: Attempt, submit: Submit, intent: Send, desk: Desk, key: Key, now: dt.datetime
) -> Plan:
    """Leaves `update` out, or as it was, where it comes to a creation."""
    before, gate = opportunity.create, opportunity.gate
    assert before is not None
    if before.beside and before.never_taken:
        return _beside(opportunity, before, update, submit, intent, desk, key, now)
    if before.never_taken:
        opportunity = replaced(opportunity, before)
    stopped = submit.gate is not None and gate is not None and gate.state == State.REJECTED
    if stopped and gate is not None and gate.paper == mark(intent.application, key):
        fresh = new_attempt(opportunity.id, "create", generation=before.generation + 1)
        return not_sent(opportunity, fresh if before.never_taken else update, "registry-duplicate", now)
    if before.never_taken:
        return _anew(opportunity, before, intent, desk, key, now)
    if before.state in (State.ACKED, State.SUBMITTED_ID_UNKNOWN, State.REJECTED):
        return _taken(opportunity, before, update, submit, intent, desk, key, now)
    return _wait(opportunity, update, submit)


def _anew(opportunity: Opportunity, before: Attempt, intent: Send, desk: Desk, key: Key, now: dt.datetime) -> Plan:
    """The partner has none. Where a person said so, the wait that this needs stays."""
    made = create(opportunity, intent, before.generation + 1, desk, key, now, before.beside)
    fresh = made.opportunity.create
    if before.reason == "again" and fresh is not None and fresh.state == State.PREPARED:
        made = replace(made, opportunity=made.opportunity.put(replace(fresh, due=before.due)))
    return made


def _beside(
    opportunity: Opportunity,
    before: Attempt,
    update: Attempt,
    submit: Submit,
    intent: Send,
    desk: Desk,
    key: Key,
    now: dt.datetime,
) -> Plan:
    """What a person had sent beside an older one goes with this revision instead, since nothing of it left us; unless
    it needs papers that no registry has cleared: then only the older one is left to be corrected.
    """
    if uncleared(opportunity, submit, key):
        return _decided(stepped_back(opportunity, "replaced"), update, submit, intent, desk, key, now)
    otherwise = replace(update, state=State.CANCELLED, reason="sent-otherwise", due=None)
    made = _anew(replaced(opportunity, before).put(otherwise), before, intent, desk, key, now)
    return replace(made, kept={update.id: submit})


def _wait(opportunity: Opportunity, update: Attempt, submit: Submit) -> Plan:
    waits = replace(update, state=State.PLANNED, reason="outcome-awaited")
    return Plan(opportunity.put(waits), kept={update.id: submit})


def _look_again(opportunity: Opportunity, update: Attempt, submit: Submit, now: dt.datetime) -> Plan:
    """Nobody knows yet what a lender has."""
    seconds = min(LOOK_AGAIN_SECONDS * 2**update.delays, LOOK_AGAIN_AT_MOST)
    due, looks = now + dt.timedelta(seconds=seconds), update.delays + 1
    waits = replace(update, state=State.PLANNED, reason="lenders-awaited", due=due, delays=looks)
    return Plan(opportunity.put(waits), kept={update.id: submit})


def _taken(
    opportunity: Opportunity,
    before: Attempt,
    update: Attempt,
    submit: Submit,
    intent: Send,
    desk: Desk,
    key: Key,
    now: dt.datetime,
) -> Plan:
    """The partner has it, or may have it in spite of its refusal."""
    if (refusal := why_not(opportunity, intent, desk)) is not None:
        not_now = told(opportunity, replace(update, state=State.CANCELLED, reason=refusal), now, intent.unmade)
        return replace(not_now, kept={update.id: submit})
    assert desk.partner is not None
    if desk.partner.kind == "registry":
        return _registered_anew(opportunity, before, update, submit, intent, desk, key, now)
    made = _corrected(opportunity, before, update, submit, intent, desk, key, now)
    return replace(made, kept={update.id: submit})  # until the partner has it, a person may have it sent anew


def _corrected(
    opportunity: Opportunity,
    before: Attempt,
    update: Attempt,
    submit: Submit,
    intent: Send,
    desk: Desk,
    key: Key,
    now: dt.datetime,
) -> Plan:
    """Where the partner can be told of it, and we know how to name it there."""
    assert desk.partner is not None
    if desk.partner.update is None:
        return refused(opportunity, update, NOT_UPDATABLE, _CANNOT, now)
    if before.beside and uncleared(opportunity, submit, key):
        return refused(opportunity, update, NOT_UPDATABLE, _TWICE, now)
    if before.state == State.SUBMITTED_ID_UNKNOWN:
        return _wait(opportunity, update, submit)
    if opportunity.partner_id is None:
        return refused(opportunity, update, NOT_UPDATABLE, _NAMELESS, now)
    return _updated(opportunity, before, update, intent, desk, key, now)


def _updated(
    opportunity: Opportunity, before: Attempt, update: Attempt, intent: Send, desk: Desk, key: Key, now: dt.datetime
) -> Plan:
    """With the bytes of the correction, and the documents that came with it."""
    partner, partner_id = desk.partner, opportunity.partner_id
    assert partner is not None
    assert partner.update is not None
    assert partner_id is not None
    options = desk.account.options if desk.account else opportunity.options
    try:
        options, problems = with_lists(partner, desk.lists, intent, options)
        if problems:
            return told(opportunity, not_in_lists(update, problems), now, problems)
        request: Request = partner.update(partner_id, order(partner, intent, reference(before), options, now))
    except Exception as error:
        log.error("a mapping failed", opportunity=opportunity.id, partner=partner.name, exc_info=error)
        return told(opportunity, replace(update, state=State.PARKED, reason="mapping-failed", plan="person"), now)
    prepared = replace(update, state=State.PREPARED, calls=(request.operation,), reason=None)
    documents = new_documents(opportunity, intent.documents, before.generation, key) if partner.document else []
    return Plan(opportunity.put(prepared, *documents), {update.id: (request,)})


def _registered_anew(
    opportunity: Opportunity,
    before: Attempt,
    update: Attempt,
    submit: Submit,
    intent: Send,
    desk: Desk,
    key: Key,
    now: dt.datetime,
) -> Plan:
    """A registration cannot be changed: where its papers are others, it is cancelled and then made anew; once no lender
    has the papers that it describes.
    """
    if before.paper == mark(intent.application, key):
        return Plan(opportunity)
    papers = old_papers(desk.lenders, submit.revision, update.delays)
    if papers == "old":
        return refused(opportunity, update, NOT_UPDATABLE, _BOUND, now)
    if papers == "awaited":
        return _look_again(opportunity, update, submit, now)
    made = create(opportunity, intent, before.generation + 1, desk, key, now)
    fresh = made.opportunity.create
    assert fresh is not None
    assert desk.partner is not None
    if fresh.state != State.PREPARED or opportunity.partner_id is None or desk.partner.withdraw is None:
        return made
    over = new_attempt(opportunity.id, "withdraw", REPLACED, submit.revision)
    over = replace(over, state=State.PREPARED, calls=("withdraw",))
    return merged(made, Plan(made.opportunity.put(over)))
