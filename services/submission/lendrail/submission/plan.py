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
from lendrail.partners.partner import Fetched, Options, Order, Partner
from lendrail.runtime.directory import Credential, PartnerAccount
from lendrail.submission import moves
from lendrail.submission.attempt import OPEN, Attempt, Opportunity, State, new_attempt, reference

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Beside:
    """What is configured for the mail that goes beside an API; None for what is not."""

    partner: Partner | None
    account: PartnerAccount | None
    credential: Credential | None


@dataclass(frozen=True, slots=True)
class Desk:
    """What is configured for the opportunity; None for what is not."""

    partner: Partner | None
    account: PartnerAccount | None
    credential: Credential | None
    supplement: Beside | None = None
    """Where the account wants a mail beside the API."""
    lists: Fetched = field(default_factory=dict)
    """The partner's own lists, as far as they were fetched."""


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
    elif older:
        return Plan(opportunity)
    else:
        made = _again(replace(opportunity, revision=submit.revision), intent, cause, desk, key, now)
    return made if submit.gate is None else _gated(made, submit.gate, now, gate_seconds)


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
    """Everything waits for the registry, whose word is asked for once."""
    create = made.opportunity.create
    assert create is not None
    if create.state not in OPEN or made.opportunity.gate is not None:
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
    if (gate := opportunity.gate) is not None and gate.state == State.REJECTED:
        stopped = new_attempt(opportunity.id, "create", generation=create.generation + 1)
        return _told(opportunity, replace(stopped, state=State.CANCELLED, reason="registry-duplicate"), now)
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
        options, problems = _with_lists(desk.partner, desk.lists, intent, options)
        if problems:
            refused = replace(create, state=State.REJECTED, reason="not-in-lists", problems=moves.kept(problems))
            return _told(opportunity, refused, now, problems)
        planned = {create.id: desk.partner.create(_order(desk.partner, intent, reference(create), options, now))}
    except Exception as error:  # a mapping that fails on one application must not stop the others
        log.error("a mapping failed", opportunity=opportunity.id, partner=desk.partner.name, exc_info=error)
        return _told(opportunity, replace(create, state=State.PARKED, reason="mapping-failed", plan="person"), now)
    documents = _documents(opportunity, intent.documents, generation, key) if desk.partner.document else []
    calls = tuple(each.operation for each in planned[create.id])
    opportunity = opportunity.put(replace(create, state=State.PREPARED, calls=calls), *documents)
    made = Plan(opportunity, planned)
    return made if desk.supplement is None else _with_mail(made, desk.supplement, intent, generation, now)


def _with_lists(
    partner: Partner, lists: Fetched, intent: Send, options: Options
) -> tuple[Options, tuple[FieldProblem, ...]]:
    """The account's options with the partner's lists, and what speaks against the application by them. Validation has
    checked all that needs no lists.
    """
    if partner.lists is None or not lists:
        return options, ()
    options = partner.lists.into(options, lists)
    return options, tuple(partner.check(intent.application, options))


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


def _with_mail(made: Plan, beside: Beside, intent: Send, generation: int, now: dt.datetime) -> Plan:
    """With the mail that follows the application on its way by API. One that cannot be made is told and stops nobody
    else.
    """
    opportunity = made.opportunity
    attempt = new_attempt(opportunity.id, "supplement", generation=generation)
    if (refusal := _why_no_mail(opportunity, beside)) is not None:
        told = _told(opportunity, replace(attempt, state=State.CANCELLED, reason=refusal), now)
        return replace(told, requests=made.requests)
    assert beside.partner is not None
    assert beside.account is not None
    options = {**beside.account.options, "purpose": "supplement", "partner": opportunity.partner}
    try:
        requests = beside.partner.create(_order(beside.partner, intent, reference(attempt), options, now))
    except Exception as error:
        log.error("a mapping failed", opportunity=opportunity.id, partner=beside.partner.name, exc_info=error)
        parked = replace(attempt, state=State.PARKED, reason="mapping-failed", plan="person")
        return replace(_told(opportunity, parked, now), requests=made.requests)
    calls = tuple(each.operation for each in requests)
    prepared = replace(
        attempt, state=State.PREPARED, channel=beside.partner.name, via=beside.account.credential, calls=calls
    )
    return Plan(opportunity.put(prepared), made.requests | {attempt.id: requests})


def _why_no_mail(opportunity: Opportunity, beside: Beside) -> str | None:
    """As `why_not`; whose consent is needed is the partner whom it tells of its own application."""
    partner, account, credential = beside.partner, beside.account, beside.credential
    if partner is None or account is None or credential is None or credential.partner != partner.name:
        return "not-configured"
    if credential.tenant != opportunity.tenant:
        return "foreign-credential"
    if not account.enabled:
        return "partner-disabled"
    return "mode-crossing" if {account.mode, credential.mode} != {opportunity.mode} else None


_OUTCOMES: dict[State, Outcome] = {State.PARKED: "parked", State.REJECTED: "rejected"}


def _told(opportunity: Opportunity, attempt: Attempt, now: dt.datetime, problems: Sequence[FieldProblem] = ()) -> Plan:
    attempt = replace(attempt, version=attempt.version + 1)
    opportunity = opportunity.put(attempt)
    outcome: Outcome = _OUTCOMES.get(attempt.state, "not-sent")
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
