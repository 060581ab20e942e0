"""What a tenant reads on its own topic `outcomes-<tenant>`: a published contract, so it changes by adding only.

It has classes of its own, so a change of our internal events is not a change of what tenants read. No field of it is
personal, sealed or not (docs/decisions/0009): what a partner wrote or linked for a person is left out, `withheld` names
it, and `link` says where those who may read it will find it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, ClassVar

from pydantic import Field

from lendrail.contracts.event import ApplicationEvent
from lendrail.contracts.offered import OfferHistory, OfferTerms
from lendrail.contracts.status_updated import Cause
from lendrail.contracts.terms import (
    DecimalString,
    FieldProblem,
    ForeignId,
    Match,
    Model,
    Money,
    PartnerName,
    ReasonCode,
    Reference,
    Slug,
    Status,
    Time,
)
from lendrail.contracts.wanted import Way


class Refusal(Model):
    """One reason of a decline: our code, and the partner's own words."""

    code: ReasonCode
    words: str


class Outcome(ApplicationEvent):
    """Version n of the truth about one opportunity, or about an application that has none."""

    topic: ClassVar[str] = "outcome"
    prefix: ClassVar[str] = "outcomes-"

    opportunity_id: uuid.UUID | None = None
    partner: PartnerName | None = None
    partner_id: ForeignId | None = None
    """The partner's own id of the opportunity."""
    number: Annotated[int, Field(alias="version", ge=0)]
    """Grows with each change of this opportunity; of two outcomes the higher one is the newer truth."""
    status: Status
    partner_words: str | None = None
    """The partner's own status word."""
    partner_time: Time | None = None
    observed_at: Time
    """When we learned it."""
    status_received_at: Time | None = None
    """When the word that this status rests on reached us."""
    partner_status: Status | None = None
    """Where a person set the status: what it would be by the partner's words alone."""
    cause: Cause | None = None
    """What made this version (channel, the partner's id of its event), and how long its word was on the way."""
    offers: tuple[OfferTerms, ...] = ()
    offer_history: tuple[OfferHistory, ...] = ()
    """The first and the newest form of each offer, also where it holds no more."""
    decline_reasons: tuple[Refusal, ...] = ()
    wanted_documents: tuple[Slug, ...] = ()
    """Kinds of document that the partner waits for, where it lists them."""
    wanted_in_words: Annotated[int, Field(ge=0)] = 0
    """How many more things it waits for, which it says in words only; they are to be read at `link`."""
    ways: tuple[Way, ...] = ()
    """While something is wanted: the requests that bring it to the partner."""
    problems: tuple[FieldProblem, ...] = ()
    close_chance: DecimalString | None = None
    """Per cent, as the partner reckons."""
    closes_on: dt.date | None = None
    commission: Money | None = None
    matches: tuple[Match, ...] = ()
    """What a registry found that is the same."""
    unknown_since: Time | None = None
    """Since when nobody knows whether the partner has it."""
    flags: tuple[str, ...] = ()
    """One that begins with `alarm:` tells of what should never have come after what was before."""
    references: tuple[Reference, ...] = ()
    withheld: tuple[str, ...] = ()
    """The fields that have a value which is not told here."""
    link: str
    """Where the application is to be read, by those who may."""

    @property
    def address(self) -> str:
        return f"{self.prefix}{self.tenant_id}"

    @property
    def entity(self) -> str:
        return str(self.opportunity_id or self.application_id)

    @property
    def version(self) -> int:
        return self.number

    @property
    def key_id(self) -> str:
        """Nothing in it is sealed."""
        return ""
