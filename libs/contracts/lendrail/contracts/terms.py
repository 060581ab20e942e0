"""Words that every part of Lendrail shares: money, ids, statuses, problems, offers."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from lendrail.contracts.sensitive import Email, Phone, Sensitive, SensitiveText

NAMESPACE = uuid.UUID("5f0c7a52-6d2b-5d0e-9b52-2f6e1f4c7a10")
"""Root of every derived id."""

Mode = Literal["test", "live"]


class Model(BaseModel):
    """Base of all contract parts: frozen, camelCase on the wire, blind to fields it does not know."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        hide_input_in_errors=True,
        ser_json_inf_nan="constants",
        allow_inf_nan=False,
    )


def _decimal(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise PydanticCustomError("amount", "must be a finite number")
        return value
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,6})?", value):
        raise PydanticCustomError("amount", 'must be a decimal number in a string, such as "1250.50"')
    return Decimal(value)


DecimalString = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    PlainSerializer(lambda value: format(value, "f"), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]{1,15}(\.[0-9]{1,6})?$"}),
]
"""A decimal as a JSON string; a JSON number is refused, since readers turn it into a float."""


class Money(Model):
    """An amount with its ISO 4217 currency, in major units (dollars, not cents)."""

    amount: DecimalString
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]
PartnerName = Slug
CredentialId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,80}$")]
TenantId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,80}$")]
ApplicationId = uuid.UUID
OpportunityId = uuid.UUID
ForeignId = Annotated[str, Field(min_length=1, max_length=512)]
"""An id that somebody else gave: opaque, compared by its characters, never parsed."""
FOREIGN_ID = re.compile(r"(?=.*[A-Za-z0-9])[!-~]{1,512}")
"""One that can stand in an address."""

Time = AwareDatetime


def opportunity_id(application: ApplicationId, partner: str, credential: str) -> OpportunityId:
    """One application at one partner under one credential."""
    return uuid.uuid5(NAMESPACE, f"opportunity|{application}|{partner}|{credential}")


def attempt_id(opportunity: OpportunityId, operation: str, subject: str, generation: int) -> uuid.UUID:
    """One thing to be done once at a partner; a new generation is a new permission to do it."""
    return uuid.uuid5(NAMESPACE, f"attempt|{opportunity}|{operation}|{subject}|{generation}")


class Status(StrEnum):
    """What we say of an application or opportunity."""

    RECEIVED = "received"
    INVALID = "invalid"
    INELIGIBLE = "ineligible"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    OUTCOME_UNKNOWN = "outcome-unknown"
    IN_REVIEW = "in-review"
    INFO_REQUIRED = "info-required"
    REFERRED = "referred"
    APPROVED = "approved"
    DECLINED = "declined"
    DUPLICATE = "duplicate"
    ACCEPTED = "accepted"
    FUNDED = "funded"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    FAILED = "failed"
    ERASED = "erased"


class ReasonCode(StrEnum):
    """Why a partner said no: the closed list that every partner's words are mapped to."""

    INCOMPLETE_APPLICATION = "incomplete-application"
    PERSONAL_CREDIT = "personal-credit"
    BUSINESS_CREDIT = "business-credit"
    DEFAULT_HISTORY = "default-history"
    LIENS_OR_JUDGEMENTS = "liens-or-judgements"
    BANKRUPTCY = "bankruptcy"
    CASH_FLOW = "cash-flow"
    DEPOSITS = "deposits"
    OVER_LEVERAGED = "over-leveraged"
    RECENT_INQUIRIES = "recent-inquiries"
    TIME_IN_BUSINESS = "time-in-business"
    INDUSTRY = "industry"
    LOCATION = "location"
    AMOUNT = "amount"
    FRAUD = "fraud"
    CRIMINAL_RECORD = "criminal-record"
    EXISTING_CUSTOMER = "existing-customer"
    PREVIOUS_DECLINE = "previous-decline"
    DOCUMENTS = "documents"
    IDENTITY = "identity"
    POLICY = "policy"
    LIMIT_REACHED = "limit-reached"
    OTHER = "other"


Phase = Literal["frontend", "backend", "partner"]


class FieldProblem(Model):
    """One thing that is wrong with an application, and what would put it right. Never quotes the value."""

    pointer: Annotated[str, Field(max_length=500)]
    """RFC 6901 pointer into the canonical application; empty for the whole of it."""
    code: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,80}$")]
    message: Annotated[str, Field(max_length=1000)]
    phase: Phase = "frontend"
    partner: PartnerName | None = None


TermUnit = Literal["days", "weeks", "months", "years", "payments"]


class Term(Model):
    """How long, in the partner's own unit."""

    value: Annotated[int, Field(ge=0, le=10_000)]
    unit: TermUnit


class Fee(Model):
    """One cost of an offer, under the partner's own name: a percentage or an amount, as the partner states it."""

    name: Annotated[str, Field(max_length=80)]
    percent: DecimalString | None = None
    amount: Money | None = None


class Offer(Model):
    """What a partner offers, normalised; variants of one approval are offers with one `variant` name each."""

    id: str
    variant: str | None = None
    amount: Money | None = None
    term: Term | None = None
    factor_rate: DecimalString | None = None
    """Total to repay divided by the amount (1.34 means 1 340 for each 1 000)."""
    cost_per_thousand: Money | None = None
    net_funded: Money | None = None
    """Cash on day one."""
    fees: tuple[Fee, ...] = ()
    details: dict[str, str] = Field(default_factory=dict)
    """Further terms under the partner's own names, in its own words."""
    conditions: tuple[str, ...] = ()
    """Stipulations in the partner's words."""
    action_link: Sensitive | None = None
    expires_at: Time | None = None


class OfferForms(Model):
    """One offer as it was first told and as it was told last, without its link. `latest_at` is when its terms changed
    last; a repetition moves nothing.
    """

    original: Offer
    original_at: Time
    latest: Offer
    latest_at: Time


class DeclineReason(Model):
    """One reason: ours, and the partner's own words. An unmapped one is `other` with `mapped` false."""

    code: ReasonCode
    words: Annotated[str, Field(max_length=500)]
    mapped: bool = True


class Contact(Model):
    """The person at the partner who looks after the opportunity."""

    name: SensitiveText | None = None
    email: Email | None = None
    phone: Phone | None = None


class Match(Model):
    """One match that a registry found: somebody registered the same paper."""

    id: ForeignId
    kind: Annotated[str, Field(max_length=80)]
    """The registry's word, such as EXCT for an exact match."""
    status: Annotated[str, Field(max_length=80)] | None = None
    """The status of the other registration, in the registry's word."""
    amount: Money | None = None
    at: Time | None = None
    risk: Annotated[str, Field(max_length=80)] | None = None


class Wanted(Model):
    """One thing that a partner wants before it goes on."""

    kind: Slug | None = None
    """Kind of document, where the partner names one that we know."""
    words: SensitiveText | None = None


class Report(Model):
    """What a partner's answer says of an opportunity. `status` is None where its word is not known to us."""

    status: Status | None = None
    words: Annotated[str, Field(max_length=500)]
    """The partner's own status word."""
    partner_time: Time | None = None
    offers: tuple[Offer, ...] = ()
    decline_reasons: tuple[DeclineReason, ...] = ()
    decline_notes: SensitiveText | None = None
    missing_info: SensitiveText | None = None
    """All that is missing, in one text."""
    wanted: tuple[Wanted, ...] = ()
    """The same thing by thing, where the partner lists it."""
    notes: SensitiveText | None = None
    contact: Contact | None = None
    close_chance: DecimalString | None = None
    """Per cent, as the partner reckons."""
    closes_on: dt.date | None = None
    commission: Money | None = None
    """What the introducer may expect."""
    matches: tuple[Match, ...] = ()
    flags: tuple[str, ...] = ()


class DocumentRef(Model):
    """A stored document: its bytes are content-addressed and encrypted under the application's key."""

    id: str
    kind: Slug
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,119}$")]
    content_type: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]
    """Bytes before encryption."""
    link: Sensitive | None = None
    """An expiring address, for partners that fetch documents themselves."""


class Reference(Model):
    """An id that another system gave to the application; echoed everywhere and searchable, so never personal data."""

    system: Annotated[str, Field(min_length=1, max_length=80)]
    kind: Annotated[str, Field(min_length=1, max_length=80)]
    value: Annotated[str, Field(min_length=1, max_length=200)]
