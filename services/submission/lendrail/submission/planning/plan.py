"""What a `submit` means for an opportunity: which attempts it plans, or why nothing will be sent. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import structlog

from lendrail.contracts.event import Envelope
from lendrail.contracts.submit import AcceptOffer, AddDocument, Send, Submit
from lendrail.runtime.vault import Key
from lendrail.submission.attempts import moves
from lendrail.submission.attempts.attempt import CONFLICT, OPEN, Attempt, Opportunity, State, new_attempt
from lendrail.submission.planning.creation import create
from lendrail.submission.planning.desk import Desk
from lendrail.submission.planning.intents import accept_offer, add_document, withdraw, withdrawing
from lendrail.submission.planning.papers import fingerprint, mark
from lendrail.submission.planning.planned import Plan, not_sent
from lendrail.submission.planning.revision import resume, revise

log = structlog.get_logger()


def plan(
    known: Opportunity | None,
    submit: Submit,
    cause: Envelope,
    desk: Desk,
    key: Key,
    now: dt.datetime,
    gate_seconds: float = 900.0,
) -> Plan:
    """The opportunity with this event in effect; `known` is what was planned before. A gate that is silent for
    `gate_seconds` is late.
    """
    if known is not None and cause.id in known.inbox:
        return Plan(known)
    opportunity = known or _empty(submit, cause, desk)
    opportunity = replace(opportunity, inbox=(*opportunity.inbox, cause.id))
    intent = submit.intent
    if isinstance(intent, Send):
        return _sent(opportunity, submit, intent, cause, desk, key, now, gate_seconds)
    opportunity = replace(opportunity, cause=cause)
    if isinstance(intent, AddDocument):
        return add_document(opportunity, intent, desk, key, now)
    if isinstance(intent, AcceptOffer):
        return accept_offer(opportunity, intent, desk, now)
    return withdraw(opportunity, submit.revision, desk, now)


def decide(
    opportunity: Opportunity,
    attempt: Attempt,
    submit: Submit | None,
    desk: Desk,
    key: Key,
    now: dt.datetime,
    gate_seconds: float,
) -> Plan:
    """What an attempt comes to that was held until the outcome of the creation is known; `submit`: what it was kept
    with.
    """
    if submit is None:
        return withdrawing(opportunity, attempt, desk, now)
    return gated(resume(opportunity, attempt, submit, desk, key, now), submit, key, now, gate_seconds)


def _empty(submit: Submit, cause: Envelope, desk: Desk) -> Opportunity:
    """Of no revision yet: only the application itself brings one."""
    return Opportunity(
        id=str(submit.opportunity_id),
        tenant=submit.tenant_id,
        mode=submit.mode,
        partner=submit.partner,
        credential=submit.credential,
        application_id=submit.application_id,
        revision=0,
        options=desk.account.options if desk.account else {},
        cause=cause,
    )


def _sent(
    opportunity: Opportunity,
    submit: Submit,
    intent: Send,
    cause: Envelope,
    desk: Desk,
    key: Key,
    now: dt.datetime,
    gate_seconds: float,
) -> Plan:
    """An older revision changes nothing."""
    content = fingerprint(intent.application, key)
    if submit.revision == opportunity.revision and opportunity.content not in (None, content):
        return _conflict(opportunity, now)
    if submit.revision <= opportunity.revision:
        return Plan(opportunity)
    opportunity = replace(opportunity, revision=submit.revision, cause=cause, content=content)
    if opportunity.create is not None:
        made = revise(opportunity, submit, intent, desk, key, now)
    elif opportunity.withdrawal is not None:
        made = not_sent(opportunity, new_attempt(opportunity.id, "create"), "withdrawn", now)
    else:
        made = create(opportunity, intent, 1, desk, key, now)
    return gated(made, submit, key, now, gate_seconds)


def _conflict(opportunity: Opportunity, now: dt.datetime) -> Plan:
    """One revision with two contents: the first one stands, and people hear of the other."""
    log.critical("a revision came with another content", opportunity=opportunity.id, revision=opportunity.revision)
    other = new_attempt(opportunity.id, "update", generation=moves.next_generation(opportunity, "update"))
    return not_sent(opportunity, other, CONFLICT, now)


def gated(made: Plan, submit: Submit, key: Key, now: dt.datetime, seconds: float) -> Plan:
    """What is to be sent waits for the registry, whose word is asked for once for the same papers."""
    opportunity, intent = made.opportunity, submit.intent
    assert isinstance(intent, Send)
    gate, asked = opportunity.gate, submit.gate
    if not any(each.operation in ("create", "update") and each.state in OPEN for each in opportunity.attempts):
        return made
    paper = mark(intent.application, key) if asked else None
    if (gate is None and asked is None) or (gate is not None and asked is not None and gate.paper == paper):
        return made
    if gate is not None and asked is None and gate.state == State.ACKED:
        return made
    subject = str(asked) if asked else gate.subject if gate else ""
    waits = new_attempt(opportunity.id, "gate", subject, gate.generation + 1 if gate else 1)
    waits = replace(waits, version=1, paper=paper)
    if asked is None:  # the papers that were asked about are no longer part of it
        waits = replace(waits, state=State.ACKED, reason="nothing-to-register")
    else:
        waits = replace(waits, reason="registry-pending", due=now + dt.timedelta(seconds=seconds))
    if gate is not None and gate.state in OPEN:
        opportunity = moves.cancel(opportunity, [gate], "replaced")
    opportunity = replace(opportunity, attempts=(waits, *opportunity.attempts))
    told = moves.ack(opportunity, waits, "not-sent" if asked else "accepted", now)
    return replace(made, opportunity=opportunity, acks=(*made.acks, told))
