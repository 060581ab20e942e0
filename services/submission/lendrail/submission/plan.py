"""What a `submit` means for an opportunity: which attempts it plans, or why nothing will be sent. Pure.

The request of a creation is made here, once: what is sent later, and perhaps again, are these bytes.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import structlog
from pydantic import SecretStr

from lendrail.contracts.event import Envelope
from lendrail.contracts.partner_ack import Operation, Outcome, PartnerAck
from lendrail.contracts.sensitive import DataKey
from lendrail.contracts.submit import AcceptOffer, AddDocument, Send, Submit, Withdraw
from lendrail.contracts.terms import DocumentRef, FieldProblem, Mode
from lendrail.partners.exchange import File, Request
from lendrail.partners.partner import Options, Order, Partner
from lendrail.runtime.directory import Credential, PartnerAccount
from lendrail.submission import moves
from lendrail.submission.attempt import OPEN, Attempt, Opportunity, State, new_attempt, reference

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Desk:
    """What is configured for the opportunity; None for what is not."""

    partner: Partner | None
    account: PartnerAccount | None
    credential: Credential | None
    supplement: tuple[Partner, PartnerAccount] | None = None
    """The mail that goes beside the API, where the account wants one."""


@dataclass(frozen=True, slots=True)
class Plan:
    opportunity: Opportunity
    requests: dict[str, tuple[Request, ...]] = field(default_factory=dict)
    """By attempt, in the order of its calls."""
    acks: tuple[PartnerAck, ...] = ()


def plan(
    known: Opportunity | None,
    submit: Submit,
    cause: Envelope,
    desk: Desk,
    key: DataKey,
    now: dt.datetime,
    gate_seconds: float = 900.0,
) -> Plan:
    """The opportunity with this event in effect; `known` is what was planned before. A gate that is silent for
    `gate_seconds` is late.
    """
    opportunity = known or _empty(submit, cause, desk)
    first, older = known is None or known.create is None, submit.revision <= opportunity.revision
    opportunity = replace(opportunity, inbox=(*opportunity.inbox, cause.id))
    intent = submit.intent
    if not isinstance(intent, Send):
        return _not_yet(opportunity, intent, now)
    if first:
        made = _send(replace(opportunity, revision=submit.revision), intent, 1, cause, desk, key, now)
        return made if submit.gate is None else _gated(made, submit.gate, now, gate_seconds)
    if older:
        return Plan(opportunity)
    return _again(replace(opportunity, revision=submit.revision), intent, cause, desk, key, now)


def _empty(submit: Submit, cause: Envelope, desk: Desk) -> Opportunity:
    return Opportunity(
        id=str(submit.opportunity_id),
        tenant=submit.tenant_id,
        mode=submit.mode,
        partner=submit.partner,
        credential=submit.credential,
        application_id=submit.application_id,
        revision=submit.revision,
        options=desk.account.options if desk.account else {},
        cause=cause,
    )


def _gated(made: Plan, gate: uuid.UUID, now: dt.datetime, seconds: float) -> Plan:
    """Everything waits for the registry."""
    create = made.opportunity.create
    assert create is not None
    if create.state not in OPEN:
        return made
    waits = new_attempt(made.opportunity.id, "gate", str(gate))
    due = now + dt.timedelta(seconds=seconds)
    waits = replace(waits, version=1, reason="registry-pending", due=due)
    opportunity = replace(made.opportunity, attempts=(waits, *made.opportunity.attempts))
    return replace(made, opportunity=opportunity, acks=(*made.acks, moves.ack(opportunity, waits, "not-sent", now)))


def _again(opportunity: Opportunity, intent: Send, cause: Envelope, desk: Desk, key: DataKey, now: dt.datetime) -> Plan:
    """A newer revision: a new generation where the partner certainly holds nothing; else an update, which waits."""
    create = opportunity.create
    assert create is not None
    if not create.never_taken:
        update = new_attempt(opportunity.id, "update", generation=opportunity.revision)
        return _told(opportunity, replace(update, state=State.PARKED, reason="not-supported-yet", plan="person"), now)
    if create.state != State.REJECTED:
        opportunity = opportunity.put(replace(create, state=State.CANCELLED, reason="replaced", due=None))
        opportunity = moves.cancel_following(opportunity, create.generation, "replaced")
    return _send(opportunity, intent, create.generation + 1, cause, desk, key, now)


def _send(
    opportunity: Opportunity,
    intent: Send,
    generation: int,
    cause: Envelope,
    desk: Desk,
    key: DataKey,
    now: dt.datetime,
) -> Plan:
    create = new_attempt(opportunity.id, "create", generation=generation)
    options = desk.account.options if desk.account else opportunity.options
    opportunity = replace(opportunity, cause=cause, options=options)
    refusal = why_not(opportunity, intent, desk)
    if refusal is not None:
        return _told(opportunity, replace(create, state=State.CANCELLED, reason=refusal), now, intent.unmade)
    assert desk.partner is not None
    try:
        planned = {create.id: desk.partner.create(_order(desk.partner, intent, reference(create), options, now))}
        supplement = _supplement(opportunity, intent, generation, desk, now)
    except Exception as error:  # a mapping that fails on one application must not stop the others
        log.error("a mapping failed", opportunity=opportunity.id, partner=desk.partner.name, exc_info=error)
        return _told(opportunity, replace(create, state=State.PARKED, reason="mapping-failed", plan="person"), now)
    documents = _documents(opportunity, intent.documents, generation, key) if desk.partner.document else []
    calls = tuple(each.operation for each in planned[create.id])
    opportunity = opportunity.put(replace(create, state=State.PREPARED, calls=calls), *documents)
    if supplement is not None:
        opportunity, planned = opportunity.put(supplement[0]), planned | {supplement[0].id: supplement[1]}
    return Plan(opportunity, planned)


def _order(partner: Partner, intent: Send, ours: str, options: Options, now: dt.datetime) -> Order:
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


def _supplement(
    opportunity: Opportunity, intent: Send, generation: int, desk: Desk, now: dt.datetime
) -> tuple[Attempt, tuple[Request, ...]] | None:
    """The mail that follows the application on its way by API."""
    if desk.supplement is None:
        return None
    partner, account = desk.supplement
    attempt = new_attempt(opportunity.id, "supplement", generation=generation)
    options = {**account.options, "purpose": "supplement", "partner": opportunity.partner}
    requests = partner.create(_order(partner, intent, reference(attempt), options, now))
    calls = tuple(each.operation for each in requests)
    return replace(attempt, state=State.PREPARED, channel=partner.name, via=account.credential, calls=calls), requests


def _told(opportunity: Opportunity, attempt: Attempt, now: dt.datetime, problems: Sequence[FieldProblem] = ()) -> Plan:
    attempt = replace(attempt, version=attempt.version + 1)
    opportunity = opportunity.put(attempt)
    outcome: Outcome = "parked" if attempt.state == State.PARKED else "not-sent"
    return Plan(opportunity, acks=(moves.ack(opportunity, attempt, outcome, now, tuple(problems)),))


def _documents(
    opportunity: Opportunity, references: Sequence[DocumentRef], generation: int, key: DataKey
) -> list[Attempt]:
    """One attempt for each different content."""
    attempts: dict[str, Attempt] = {}
    for each in references:
        attempt = new_attempt(opportunity.id, "document", each.sha256, generation)
        stored = each.model_dump(mode="json", by_alias=True, exclude_none=True, context={"key": key})
        attempts.setdefault(attempt.id, replace(attempt, document=stored))
    return list(attempts.values())


def _not_yet(opportunity: Opportunity, intent: AddDocument | AcceptOffer | Withdraw, now: dt.datetime) -> Plan:
    """Intents without a route are answered, so that nobody waits for them."""
    operation: Operation = "withdraw"
    subject = ""
    if isinstance(intent, AddDocument):
        operation, subject = "document", intent.document.sha256
    elif isinstance(intent, AcceptOffer):
        operation, subject = "accept", intent.offer_id
    attempt = new_attempt(opportunity.id, operation, subject)
    if any(each.id == attempt.id for each in opportunity.attempts):
        return Plan(opportunity)
    return _told(opportunity, replace(attempt, state=State.PARKED, reason="not-supported-yet"), now)


def why_not(opportunity: Opportunity, intent: Send, desk: Desk) -> str | None:
    """Why nothing may be sent at all, as a stable code; None when it may."""
    application, account, credential = intent.application, desk.account, desk.credential
    if intent.unmade:
        return "document-not-made"
    if desk.partner is None or account is None or credential is None:
        return "not-configured"
    if (account.partner, credential.partner) != (opportunity.partner, opportunity.partner):
        return "not-configured"
    if credential.tenant != opportunity.tenant:
        return "foreign-credential"
    if not account.enabled:
        return "partner-disabled"
    if {application.mode, account.mode, credential.mode} != {opportunity.mode}:
        return "mode-crossing"
    if desk.partner.kind == "lender" and not application.consents_to(opportunity.partner):
        return "no-consent"  # what is checked at a registry goes to a lender that has consent
    return "plain-http" if _plain(credential) else None


def crossing(credential: Credential, mode: Mode) -> bool:
    """Whether what was planned for `mode` must not go through this credential."""
    return credential.mode != mode or _plain(credential)


def _plain(credential: Credential) -> bool:
    """Live data over plain http."""
    token_url = credential.auth.get("tokenUrl", SecretStr("https://"))
    addresses = (credential.base_url, token_url.get_secret_value())
    return credential.mode == "live" and any(urlsplit(each).scheme == "http" for each in addresses)
