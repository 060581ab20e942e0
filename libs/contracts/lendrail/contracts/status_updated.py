from __future__ import annotations

import datetime as dt
import uuid
from typing import ClassVar, Literal

from lendrail.contracts.event import ApplicationEvent
from lendrail.contracts.partner_ack import Plan
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import (
    Contact,
    DecimalString,
    DeclineReason,
    FieldProblem,
    ForeignId,
    Match,
    Money,
    Offer,
    PartnerName,
    Reference,
    Status,
    Time,
    Wanted,
)

Source = Literal["validation", "ack", "webhook", "fetch", "poll", "feed", "csv", "person"]


class StatusUpdated(ApplicationEvent):
    """Version n of the truth about one opportunity, or about an application that has none."""

    topic: ClassVar[str] = "status-updated"

    opportunity_id: uuid.UUID | None = None
    partner: PartnerName | None = None
    credential: str | None = None
    state_version: int
    status: Status
    source: Source
    partner_words: str | None = None
    partner_time: Time | None = None
    observed_at: Time
    received_at: Time | None = None
    """When the application reached us, where that is known already."""
    partner_id: ForeignId | None = None
    offers: tuple[Offer, ...] = ()
    decline_reasons: tuple[DeclineReason, ...] = ()
    decline_notes: SensitiveText | None = None
    missing_info: SensitiveText | None = None
    wanted: tuple[Wanted, ...] = ()
    """What is missing, thing by thing, where the partner lists it."""
    notes: SensitiveText | None = None
    """Further words of the partner that belong to no other field."""
    problems: tuple[FieldProblem, ...] = ()
    documents_sent: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    contact: Contact | None = None
    close_chance: DecimalString | None = None
    closes_on: dt.date | None = None
    commission: Money | None = None
    matches: tuple[Match, ...] = ()
    next_check_at: Time | None = None
    unknown_since: Time | None = None
    plan: Plan | None = None
    """How an unknown outcome will be settled."""
    references: tuple[Reference, ...] = ()

    @property
    def entity(self) -> str:
        return str(self.opportunity_id or self.application_id)

    @property
    def version(self) -> int:
        return self.state_version
