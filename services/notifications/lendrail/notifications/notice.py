"""The body of a webhook: a contract with the tenants' systems, so it changes by adding only.

It goes signed to the tenant's own endpoint (https wherever the application is real), so it holds what the tenant may
act on: the offers with their action links and what the partner says is missing.
"""

from __future__ import annotations

import uuid
from typing import Literal

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.status_updated import Source, StatusUpdated
from lendrail.contracts.terms import (
    DeclineReason,
    FieldProblem,
    Mode,
    Model,
    Offer,
    PartnerName,
    Reference,
    Status,
    Time,
)


class NoticeData(Model):
    """One version of the truth about an opportunity, or about an application that has none."""

    application_id: uuid.UUID
    opportunity_id: uuid.UUID | None = None
    partner: PartnerName | None = None
    mode: Mode
    status: Status
    version: int
    source: Source
    observed_at: Time
    offers: tuple[Offer, ...] = ()
    decline_reasons: tuple[DeclineReason, ...] = ()
    decline_notes: SensitiveText | None = None
    missing_info: SensitiveText | None = None
    notes: SensitiveText | None = None
    problems: tuple[FieldProblem, ...] = ()
    references: tuple[Reference, ...] = ()


class Notice(Model):
    """`type`, `timestamp` and `data` as Standard Webhooks recommends; `timestamp` is when we learned it."""

    type: Literal["status-updated"] = "status-updated"
    timestamp: Time
    data: NoticeData


def webhook_body(update: StatusUpdated) -> str:
    """The JSON text that is signed and sent. It holds personal values in plain: seal it before it rests."""
    data = NoticeData(
        application_id=update.application_id,
        opportunity_id=update.opportunity_id,
        partner=update.partner,
        mode=update.mode,
        status=update.status,
        version=update.state_version,
        source=update.source,
        observed_at=update.observed_at,
        offers=update.offers,
        decline_reasons=update.decline_reasons,
        decline_notes=update.decline_notes,
        missing_info=update.missing_info,
        notes=update.notes,
        problems=update.problems,
        references=update.references,
    )
    notice = Notice(timestamp=update.observed_at, data=data)
    return notice.model_dump_json(by_alias=True, exclude_none=True, context={"reveal": True})
