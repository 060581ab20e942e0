"""From events to what they let us hear; pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from lendrail.contracts.application_amended import Amendment, Corrected, DocumentAdded, OfferAccepted, PartnerAdded
from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated
from lendrail.contracts.event import ApplicationEvent
from lendrail.contracts.partner_ack import Operation, PartnerAck
from lendrail.contracts.status_updated import Source
from lendrail.contracts.terms import FieldProblem, Status
from lendrail.partners import PARTNERS
from lendrail.runtime.step import Delivery
from lendrail.status.folding.observation import AcceptReported, Amended, Answered, Observation, Said, Validated
from lendrail.status.store import Heard, Subject

NO_PARTNER = FieldProblem(
    pointer="", code="no-partner", message="the tenant has no partner that could be asked", phase="partner"
)

_CARRIED_BY: dict[str, Operation] = {"document-added": "document", "offer-accepted": "accept", "withdrawn": "withdraw"}
"""Changes that bring no new application anywhere: what came of them is told by the acknowledgement of the operation."""


def validated(delivery: Delivery[ApplicationValidated], now: dt.datetime) -> Iterator[Heard]:
    """Every opportunity becomes known, those that will not be tried included; nothing just disappears."""
    event = delivery.event
    if event.amendment is not None and not isinstance(event.amendment, Corrected | PartnerAdded):
        yield from _amended(delivery, event.amendment, now)
        return
    common = {
        "revision": event.revision,
        "received_at": event.received_at,
        "references": event.application.external_references,
    }
    for fit in event.eligible:
        subject = _opportunity(event, str(fit.opportunity_id), fit.partner, fit.credential)
        yield _heard(delivery, subject, Validated(status=Status.SUBMITTING, **common), now)
    for unfit in event.ineligible:
        subject = _opportunity(event, str(unfit.opportunity_id), unfit.partner, unfit.credential)
        said = Validated(status=Status.INELIGIBLE, problems=unfit.reasons, **common)
        yield _heard(delivery, subject, said, now)
    if not event.eligible and not event.ineligible and not isinstance(event.amendment, PartnerAdded):
        said = Validated(status=Status.INELIGIBLE, problems=(NO_PARTNER,), **common)
        yield _heard(delivery, _application(event), said, now)


def _amended(delivery: Delivery[ApplicationValidated], amendment: Amendment, now: dt.datetime) -> Iterator[Heard]:
    """Nothing is decided by it but that a person accepted. A document that comes late is remembered, and so is why a
    change went no further.
    """
    event, operation = delivery.event, _CARRIED_BY[amendment.kind]
    for fit in event.eligible:
        subject = _opportunity(event, str(fit.opportunity_id), fit.partner, fit.credential)
        if isinstance(amendment, DocumentAdded):
            late = Amended(revision=event.revision, operation=operation, document=amendment.document.name)
            yield _heard(delivery, subject, late, now)
        elif isinstance(amendment, OfferAccepted) and amendment.reported:
            taken = AcceptReported(revision=event.revision, offer_id=amendment.offer_id, variant=amendment.variant)
            yield _heard(delivery, subject, taken, now, "person")
    for unfit in event.ineligible:
        subject = _opportunity(event, str(unfit.opportunity_id), unfit.partner, unfit.credential)
        refused = Amended(revision=event.revision, operation=operation, problems=unfit.reasons)
        yield _heard(delivery, subject, refused, now)


def rejected(delivery: Delivery[ApplicationRejected], now: dt.datetime) -> Heard:
    """An unsound application is shown under its own id, with every problem; a refused change of a sound one too."""
    event = delivery.event
    said = Validated(
        status=Status.INVALID,
        revision=event.revision,
        received_at=event.received_at,
        references=event.references,
        problems=event.problems,
    )
    return _heard(delivery, _application(event), said, now)


def answered(delivery: Delivery[PartnerAck], now: dt.datetime) -> Heard:
    event = delivery.event
    said = Answered(
        attempt_id=event.attempt_id,
        version=event.attempt_version,
        operation=event.operation,
        outcome=event.outcome,
        generation=event.generation or 1,
        at_registry=_is_registry(event.partner),
        document=event.document,
        partner_id=event.partner_id,
        report=event.report,
        problems=event.problems,
        reason=event.reason,
        next_check_at=event.next_check_at,
        unknown_since=event.unknown_since,
        plan=event.plan,
        done_at=min(event.occurred_at, now),
    )
    subject = _opportunity(event, str(event.opportunity_id), event.partner, event.credential)
    told = event.report.partner_time if event.report else None
    observation = Observation(
        id=delivery.id,
        source="ack",
        at=min(told or event.asked_at or event.occurred_at, now),
        received_at=now,
        partner_time=told,
        reached_at=min(event.occurred_at, now),
        said=said,
    )
    return Heard(subject, observation, delivery.key, delivery.envelope)


def _heard(
    delivery: Delivery[ApplicationValidated] | Delivery[ApplicationRejected],
    subject: Subject,
    said: Said,
    now: dt.datetime,
    source: Source = "validation",
) -> Heard:
    at = min(delivery.envelope.time, now)
    observation = Observation(id=delivery.id, source=source, at=at, received_at=now, said=said)
    return Heard(subject, observation, delivery.key, delivery.envelope)


def _is_registry(partner: str) -> bool:
    known = PARTNERS.get(partner)
    return known is not None and known.kind == "registry"


def _opportunity(event: ApplicationEvent, opportunity: str, partner: str, credential: str | None) -> Subject:
    return Subject(opportunity, event.subject, event.tenant_id, event.mode, partner, credential, opportunity)


def _application(event: ApplicationEvent) -> Subject:
    return Subject(event.subject, event.subject, event.tenant_id, event.mode)
