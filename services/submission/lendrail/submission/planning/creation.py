"""The creation of an application at a partner: its requests are made here, once. What is sent later, and perhaps again,
are these bytes. Pure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import structlog

from lendrail.contracts.submit import Send
from lendrail.contracts.terms import DocumentRef, FieldProblem
from lendrail.partners.exchange import File
from lendrail.partners.partner import Fetched, Options, Order, Partner
from lendrail.runtime.vault import Key
from lendrail.submission.attempts import moves
from lendrail.submission.attempts.attempt import OPEN, Attempt, Opportunity, State, new_attempt, reference
from lendrail.submission.planning.desk import Beside, Desk, why_no_mail, why_not
from lendrail.submission.planning.papers import mark
from lendrail.submission.planning.planned import Plan, told

log = structlog.get_logger()


def create(
    opportunity: Opportunity,
    intent: Send,
    generation: int,
    desk: Desk,
    key: Key,
    now: dt.datetime,
    beside: bool = False,
) -> Plan:
    """Bring it there, with its documents and its mail; or tell why it is not sent. `beside`: there is an older one."""
    attempt = replace(new_attempt(opportunity.id, "create", generation=generation), beside=beside)
    options = desk.account.options if desk.account else opportunity.options
    opportunity = replace(opportunity, options=options)
    refusal = why_not(opportunity, intent, desk)
    if refusal is not None:
        return told(opportunity, replace(attempt, state=State.CANCELLED, reason=refusal), now, intent.unmade)
    assert desk.partner is not None
    try:
        options, problems = with_lists(desk.partner, desk.lists, intent, options)
        if problems:
            return told(opportunity, not_in_lists(attempt, problems), now, problems)
        requests = desk.partner.create(order(desk.partner, intent, reference(attempt), options, now))
    except Exception as error:  # a mapping that fails on one application must not stop the others
        log.error("a mapping failed", opportunity=opportunity.id, partner=desk.partner.name, exc_info=error)
        return told(opportunity, replace(attempt, state=State.PARKED, reason="mapping-failed", plan="person"), now)
    calls = tuple(each.operation for each in requests)
    paper = mark(intent.application, key) if desk.partner.kind == "registry" else None
    attempt = replace(attempt, state=State.PREPARED, calls=calls, paper=paper)
    documents = new_documents(opportunity, intent.documents, generation, key) if desk.partner.document else []
    made = Plan(opportunity.put(attempt, *documents), {attempt.id: requests})
    return made if desk.supplement is None else _with_mail(made, desk.supplement, intent, generation, now)


def with_lists(
    partner: Partner, lists: Fetched, intent: Send, options: Options
) -> tuple[Options, tuple[FieldProblem, ...]]:
    """The account's options with the partner's lists, and what speaks against the application by them. Validation has
    checked all that needs no lists.
    """
    if partner.lists is None or not lists:
        return options, ()
    options = partner.lists.into(options, lists)
    return options, tuple(partner.check(intent.application, options))


def not_in_lists(attempt: Attempt, problems: Sequence[FieldProblem]) -> Attempt:
    return replace(attempt, state=State.REJECTED, reason="not-in-lists", problems=moves.kept(problems))


def order(partner: Partner, intent: Send, ours: str, options: Options, now: dt.datetime) -> Order:
    """Documents travel in the order where the creation names them, as links."""
    named = partner.delivery is not None and partner.document is None
    files = [
        File(name=each.name, kind=each.kind, link=each.link.reveal())
        for each in intent.documents
        if named and each.link is not None
    ]
    return Order(
        application=intent.application, reference=ours, options=options, planned_at=now, documents=tuple(files)
    )


def new_documents(
    opportunity: Opportunity, references: Sequence[DocumentRef], generation: int, key: Key
) -> list[Attempt]:
    """One attempt for each different content; what was added already, and waits, goes by itself."""
    added = {each.subject for each in opportunity.attempts if each.added and each.state in OPEN}
    known = {each.id for each in opportunity.attempts}
    attempts: dict[str, Attempt] = {}
    for each in references:
        attempt = document(opportunity, each, generation, key)
        if each.sha256 not in added and attempt.id not in known:
            attempts.setdefault(attempt.id, attempt)
    return list(attempts.values())


def document(opportunity: Opportunity, reference: DocumentRef, generation: int, key: Key) -> Attempt:
    attempt = new_attempt(opportunity.id, "document", reference.sha256, generation)
    stored = reference.model_dump(mode="json", by_alias=True, exclude_none=True, context={"key": key})
    return replace(attempt, document=stored)


def _with_mail(made: Plan, beside: Beside, intent: Send, generation: int, now: dt.datetime) -> Plan:
    """With the mail that follows the application on its way by API. One that cannot be made is told and stops nobody
    else.
    """
    opportunity = made.opportunity
    attempt = new_attempt(opportunity.id, "supplement", generation=generation)
    if (refusal := why_no_mail(opportunity, beside)) is not None:
        without = told(opportunity, replace(attempt, state=State.CANCELLED, reason=refusal), now)
        return replace(without, requests=made.requests)
    assert beside.partner is not None
    assert beside.account is not None
    options = {**beside.account.options, "purpose": "supplement", "partner": opportunity.partner}
    try:
        requests = beside.partner.create(order(beside.partner, intent, reference(attempt), options, now))
    except Exception as error:
        log.error("a mapping failed", opportunity=opportunity.id, partner=beside.partner.name, exc_info=error)
        parked = replace(attempt, state=State.PARKED, reason="mapping-failed", plan="person")
        return replace(told(opportunity, parked, now), requests=made.requests)
    calls = tuple(each.operation for each in requests)
    prepared = replace(
        attempt, state=State.PREPARED, channel=beside.partner.name, via=beside.account.credential, calls=calls
    )
    return Plan(opportunity.put(prepared), made.requests | {attempt.id: requests})


def stepped_back(opportunity: Opportunity, reason: str) -> Opportunity:
    """Without a creation beside an older one that the partner has nothing of yet: the older one counts again."""
    create = opportunity.create
    if create is None or not create.beside or not (create.never_taken or create.left_a_draft):
        return opportunity
    opportunity = moves.cancel(opportunity, [create], reason)
    return moves.cancel_following(opportunity, create.generation, reason, added=False)


def replaced(opportunity: Opportunity, attempt: Attempt) -> Opportunity:
    """A creation of which the partner has nothing gives way to a newer one."""
    if attempt.state in (State.REJECTED, State.CANCELLED):
        return opportunity
    opportunity = opportunity.put(replace(attempt, state=State.CANCELLED, reason="replaced", due=None))
    return moves.cancel_following(opportunity, attempt.generation, "replaced", added=False)
