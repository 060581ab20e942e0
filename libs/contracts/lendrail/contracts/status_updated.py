from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, ClassVar, Literal

from pydantic import Field

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
    Model,
    Money,
    Offer,
    OfferForms,
    PartnerName,
    Reference,
    Status,
    Time,
    Wanted,
)

Source = Literal["validation", "ack", "webhook", "fetch", "poll", "feed", "csv", "person"]


class Hop(Model):
    """One stretch of the way of a word: from one moment to the next one that is known. In their order the moments are
    `partner` (the partner's own time), `received` (it reached one of our doors), `asked` (we asked the partner),
    `heard` (status took it up) and `told` (this version was stored, to be published at once).
    """

    begins: Annotated[str, Field(alias="from", max_length=20)]
    ends: Annotated[str, Field(alias="to", max_length=20)]
    milliseconds: Annotated[int, Field(ge=0)]


class Cause(Model):
    """What made this version."""

    channel: Source
    event: str
    """Our id of what was heard: that of its observation."""
    partner_event: ForeignId | None = None
    """The partner's own id of its event, where it gives one. Of a look: of the call that asked for it."""
    hops: tuple[Hop, ...] = ()


class Pin(Model):
    """A status that a person holds, whatever the partner says: until it is taken off, or a time, or one of these words
    of the partner.
    """

    since: Time
    until: Time | None = None
    until_partner_says: tuple[Status, ...] = ()


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
    status_received_at: Time | None = None
    """When the word that this status rests on reached us."""
    partner_status: Status | None = None
    """Where a person set the status: what it would be by the partner's words alone."""
    pin: Pin | None = None
    offer_history: tuple[OfferForms, ...] = ()
    """Of each offer its first and its newest form, also when it holds no more."""
    cause: Cause | None = None
    references: tuple[Reference, ...] = ()

    @property
    def entity(self) -> str:
        return str(self.opportunity_id or self.application_id)

    @property
    def version(self) -> int:
        return self.state_version
