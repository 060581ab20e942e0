"""The body of a webhook: a contract with the tenants' systems, so it changes by adding only.

It goes signed to the tenant's own endpoint (https wherever the application is real), so it holds what the tenant may
act on: the offers, what the partner says is missing, and whom to ask there. An offer's link is not told, only where
those who may accept offers are handed it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Literal

from lendrail.contracts.offered import OfferHistory, OfferTerms, history, offered
from lendrail.contracts.partner_ack import Plan
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.status_updated import Cause, Source, StatusUpdated
from lendrail.contracts.terms import (
    Contact,
    DecimalString,
    DeclineReason,
    FieldProblem,
    Match,
    Mode,
    Model,
    Money,
    PartnerName,
    Reference,
    Status,
    Time,
)
from lendrail.contracts.wanted import ToDo, to_do


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
    partner_time: Time | None = None
    """The partner's own time of what it says."""
    status_received_at: Time | None = None
    """When that reached us."""
    partner_status: Status | None = None
    """Where a person set the status: what it would be by the partner's words alone."""
    cause: Cause | None = None
    """What made this version, and how long its word was on the way."""
    offers: tuple[OfferTerms, ...] = ()
    offer_history: tuple[OfferHistory, ...] = ()
    """The first and the newest form of each offer, also where it holds no more."""
    decline_reasons: tuple[DeclineReason, ...] = ()
    decline_notes: SensitiveText | None = None
    missing_info: SensitiveText | None = None
    to_do: ToDo | None = None
    """What the partner waits for, item by item where it lists them, and how to send it."""
    documents_sent: tuple[str, ...] = ()
    """Names of the documents that the partner has."""
    notes: SensitiveText | None = None
    problems: tuple[FieldProblem, ...] = ()
    contact: Contact | None = None
    """Who looks after it at the partner."""
    close_chance: DecimalString | None = None
    """Per cent, as the partner reckons."""
    closes_on: dt.date | None = None
    commission: Money | None = None
    matches: tuple[Match, ...] = ()
    """What a registry found that is the same."""
    unknown_since: Time | None = None
    """Since when nobody knows whether the partner has it; `plan` says how that will be settled."""
    plan: Plan | None = None
    next_check_at: Time | None = None
    flags: tuple[str, ...] = ()
    """One that begins with `alarm:` tells of what should never have come after what was before."""
    references: tuple[Reference, ...] = ()


class Notice(Model):
    """`type`, `timestamp` and `data` as Standard Webhooks recommends; `timestamp` is when we learned it."""

    type: Literal["status-updated"] = "status-updated"
    timestamp: Time
    data: NoticeData


_MADE = ("version", "to_do", "offers", "offer_history")
"""What a notice says in other words than the update."""


def webhook_body(update: StatusUpdated) -> str:
    """The JSON text that is signed and sent. It holds personal values in plain: seal it before it rests."""
    data = NoticeData(
        version=update.state_version,
        to_do=to_do(update.status, update.application_id, update.wanted, update.missing_info, update.problems),
        offers=offered(update.offers, update.opportunity_id),
        offer_history=history(update.offer_history, update.opportunity_id),
        **{name: getattr(update, name) for name in NoticeData.model_fields if name not in _MADE},
    )
    notice = Notice(timestamp=update.observed_at, data=data)
    return notice.model_dump_json(by_alias=True, exclude_none=True, context={"reveal": True})
