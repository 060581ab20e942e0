"""What we heard of an opportunity, each thing once, and the state that it all folds to. Values without behaviour."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Literal

from pydantic import Field

from lendrail.contracts.partner_ack import Operation, Outcome, Plan
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.status_updated import Pin, Source
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
    Reference,
    Report,
    Status,
    Time,
    Wanted,
)

RANKS: dict[str, int] = {
    "validation": 0,
    "ack": 1,
    "webhook": 2,
    "fetch": 3,
    "poll": 3,
    "feed": 4,
    "csv": 5,
    "person": 6,
}
"""Of two observations of the same moment the one of the higher rank counts as the later."""
LOOKS = ("fetch", "poll")
"""Sources that show what holds at the partner while we ask."""
UNSENT = ("not-sent-yet", "draft-left")
"""Reasons of a withdrawal that needed no word to the partner: it has nothing, or an unfinished draft."""


class Validated(Model):
    """Validation's word on one partner: `status` is submitting, ineligible, or invalid for the whole application."""

    kind: Literal["validated"] = "validated"
    status: Status
    revision: int
    received_at: Time
    references: tuple[Reference, ...] = ()
    problems: tuple[FieldProblem, ...] = ()


class Answered(Model):
    """What came of one attempt; a later `version` of the same attempt replaces an earlier one."""

    kind: Literal["answered"] = "answered"
    attempt_id: uuid.UUID
    version: int
    operation: Operation
    outcome: Outcome
    generation: int = 1
    """Of a creation: which one of this opportunity."""
    at_registry: bool = False
    """A registry follows what lenders decide, and decides nothing on the deal itself."""
    document: str | None = None
    partner_id: ForeignId | None = None
    report: Report | None = None
    problems: tuple[FieldProblem, ...] = ()
    reason: str | None = None
    next_check_at: Time | None = None
    unknown_since: Time | None = None
    plan: Plan | None = None
    done_at: Time | None = None
    """When we knew it; a look at the partner that began later shows what the partner made of it."""


class Reported(Model):
    """What the partner says when it is asked."""

    kind: Literal["reported"] = "reported"
    report: Report
    about: ForeignId | None = None
    """The partner's id, or our reference, that it is about; None: whichever was followed then."""


class Missing(Model):
    """The partner does not know the id that it gave us."""

    kind: Literal["missing"] = "missing"
    about: ForeignId | None = None


class Amended(Model):
    """What validation said of a change that brings no new application to the partner. It decides nothing: `problems`
    say why it went no further, and `document` is one that comes late, so perhaps what the partner asked for.
    """

    kind: Literal["amended"] = "amended"
    revision: int
    operation: Operation
    document: str | None = None
    problems: tuple[FieldProblem, ...] = ()


class AcceptReported(Model):
    """A person says that an offer was accepted at the partner, where we only have a link. Who and why is kept where the
    change was taken in.
    """

    kind: Literal["accept-reported"] = "accept-reported"
    revision: int
    offer_id: str
    variant: str | None = None


class Corrected(Model):
    """A person says what holds, whatever was said before. A later word of the partner counts more."""

    kind: Literal["corrected"] = "corrected"
    status: Status
    by: str
    why: SensitiveText


class Pinned(Model):
    """A person holds this status, whatever the partner says: until it is unpinned, which happens by itself at `until`,
    or until the partner says one of `until_partner_says`.
    """

    kind: Literal["pinned"] = "pinned"
    status: Status
    by: str
    why: SensitiveText
    until: Time | None = None
    until_partner_says: tuple[Status, ...] = ()


class Unpinned(Model):
    kind: Literal["unpinned"] = "unpinned"
    by: str | None = None
    """None where the time that the pin named is over."""
    why: SensitiveText | None = None


class Alarmed(Model):
    """Something beside the deal speaks against it: it decides nothing, and a person should look."""

    kind: Literal["alarmed"] = "alarmed"
    flag: str
    about: str
    """The opportunity that it was learnt from."""


Said = Annotated[
    Validated | Answered | Reported | Missing | Amended | AcceptReported | Corrected | Pinned | Unpinned | Alarmed,
    Field(discriminator="kind"),
]


class Observation(Model):
    """One thing heard. Its place in the order is fixed when it is stored and never computed again."""

    id: str
    source: Source
    at: Time
    """The partner's time, never later than our receipt; for a fetch the server's time when it began."""
    received_at: Time
    partner_time: Time | None = None
    looked_at: Time | None = None
    """When the look began that brought it; the partner's word held then, however old it is."""
    reached_at: Time | None = None
    """When it came to one of our doors, or, for a look, when the call came that asked for it; where that is known."""
    partner_event: ForeignId | None = None
    """The partner's own id of what it told; of a look, of the call that asked for it."""
    stored_at: Time | None = None
    """When it was stored: from then on we knew it. None for what is not stored yet, or was before this was noted."""
    said: Said

    @property
    def place(self) -> tuple[dt.datetime, int, int, str]:
        version = self.said.version if isinstance(self.said, Answered) else 0
        return self.at, RANKS[self.source], version, self.id


class State(Model):
    """The truth about one opportunity, as far as it was told."""

    status: Status
    source: Source
    observed_at: Time
    received_at: Time | None = None
    references: tuple[Reference, ...] = ()
    partner_words: str | None = None
    partner_time: Time | None = None
    partner_id: ForeignId | None = None
    offers: tuple[Offer, ...] = ()
    decline_reasons: tuple[DeclineReason, ...] = ()
    decline_notes: SensitiveText | None = None
    missing_info: SensitiveText | None = None
    wanted: tuple[Wanted, ...] = ()
    notes: SensitiveText | None = None
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
    status_received_at: Time | None = None
    partner_status: Status | None = None
    pin: Pin | None = None
    offer_history: tuple[OfferForms, ...] = ()

    @property
    def followed(self) -> Status:
        """Decides whether there is more to hear: the partner's own status, where a person set another one."""
        return self.partner_status or self.status

    def looks_like(self, other: State | None) -> bool:
        """Whether a tenant would see the same; that somebody said it again is no news."""
        if other is None:
            return False
        same = {name: getattr(self, name) for name in ("observed_at", "source", "partner_time", "status_received_at")}
        return self == other.model_copy(update=same)
