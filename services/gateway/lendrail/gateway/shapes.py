"""What the gateway shows of applications: the shapes of its answers."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Literal

from pydantic import Field

from lendrail.contracts.application_validated import Check
from lendrail.contracts.offered import OfferHistory, OfferTerms
from lendrail.contracts.partner_ack import Plan
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.status_updated import Cause, Pin
from lendrail.contracts.terms import (
    Contact,
    DecimalString,
    DeclineReason,
    FieldProblem,
    Match,
    Mode,
    Model,
    Money,
    Offer,
    Reference,
    Status,
    Time,
)
from lendrail.contracts.wanted import ToDo

Kind = Literal["lender", "registry"]


AmendmentState = Literal["received", "accepted", "refused"]


class AmendmentView(Model):
    """A change that somebody asked for. `received`: validation has not spoken of it yet."""

    revision: int | None = None
    """Absent where it was refused at the door (an amendment from Kafka, where nobody waits for the answer)."""
    kind: str
    at: Time
    by: str
    state: AmendmentState
    opportunity_id: uuid.UUID | None = None
    partners: tuple[str, ...] = ()
    document: str | None = None
    """Id of the document that was added."""
    problems: tuple[FieldProblem, ...] = ()
    """Why it was refused."""
    waiting_since: Time | None = None
    """Since when nobody judges it, where that is longer than it takes while everything runs. It is not lost; operators
    see (`/v1/amendments`) whether it waits for a change that was lost on the way.
    """


class TimelineEntry(Model):
    """Something that happened. `words` are the partner's own."""

    time: Time
    event: str
    service: str
    status: Status | None = None
    """Absent where it changed none."""
    revision: int | None = None
    amendment: str | None = None
    """Which kind of change, where it is about one."""
    opportunity_id: uuid.UUID | None = None
    partner: str | None = None
    source: str | None = None
    """How it became known: validation, ack, webhook, fetch, poll, feed, csv or person."""
    words: str | None = None


class OpportunityView(Model):
    """The application at one partner."""

    opportunity_id: uuid.UUID
    partner: str | None = None
    kind: Kind = "lender"
    """A registry clears the application for a lender and finances nothing, so its word is never the application's."""
    credential: str | None = None
    status: Status
    status_since: Time
    age_seconds: int
    """Seconds since `observed_at`; see `lendrail.contracts.age`."""
    observed_at: Time
    """When somebody looked, or was told, as far as that was told to us: not of looks that bring nothing new."""
    source: str
    partner_id: str | None = None
    partner_words: str | None = None
    partner_time: Time | None = None
    """The partner's own time of what it says."""
    status_received_at: Time | None = None
    """When that reached us."""
    partner_status: Status | None = None
    """Where a person set the status: what it would be by the partner's words alone."""
    pin: Pin | None = None
    """That a person holds the status, and until when."""
    cause: Cause | None = None
    """What made this version, and how long its word was on the way."""
    offers: tuple[OfferTerms, ...] = ()
    made: Annotated[tuple[Offer, ...], Field(exclude=True)] = ()
    """The offers as they were made. Whoever has an offer's link can act on it, so this is never shown."""
    offer_history: tuple[OfferHistory, ...] = ()
    """The first and the newest form of each offer, also where it holds no more."""
    decline_reasons: tuple[DeclineReason, ...] = ()
    missing_info: SensitiveText | None = None
    to_do: ToDo | None = None
    """What the partner waits for, item by item where it lists them, and how to send it."""
    contact: Contact | None = None
    """Who looks after it at the partner."""
    close_chance: DecimalString | None = None
    """Per cent, as the partner reckons."""
    closes_on: dt.date | None = None
    commission: Money | None = None
    """What the introducer may expect."""
    matches: tuple[Match, ...] = ()
    """What a registry found that is the same."""
    documents_sent: tuple[str, ...] = ()
    reasons: tuple[FieldProblem, ...] = ()
    """Why the partner cannot take it, or refused it, field by field."""
    flags: tuple[str, ...] = ()
    unknown_since: Time | None = None
    """Since when nobody knows whether the partner has it; `plan` says how that will be settled."""
    plan: Plan | None = None
    next_check_at: Time | None = None
    """When `plan` goes on, or a registry is asked again. Of the next look at a partner only its own view knows."""


class ApplicationSummary(Model):
    application_id: uuid.UUID
    status: Status
    revision: int
    mode: Mode
    received_at: Time
    references: tuple[Reference, ...] = ()


class ApplicationView(ApplicationSummary):
    door: str
    upstream: str
    problems: tuple[FieldProblem, ...] = ()
    """Why the application was rejected."""
    checks: tuple[Check, ...] = ()
    """What outside registers said of the business, at the newest revision that was validated."""
    amendments: tuple[AmendmentView, ...] = ()
    """Changes in their order, with those that were refused."""
    timeline: tuple[TimelineEntry, ...] = ()
    opportunities: tuple[OpportunityView, ...] = ()
