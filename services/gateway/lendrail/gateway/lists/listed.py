"""What lists show: of each entry enough to find it and to see how it stands, and nothing personal."""

from __future__ import annotations

import uuid

from lendrail.contracts.terms import Mode, Model, Reference, Status, Time
from lendrail.gateway.shapes import Kind


class ApplicationEntry(Model):
    application_id: uuid.UUID
    status: Status
    revision: int
    mode: Mode
    received_at: Time
    changed_at: Time
    """When something was last said of it."""
    references: tuple[Reference, ...] = ()


class OpportunityEntry(Model):
    opportunity_id: uuid.UUID
    application_id: uuid.UUID
    partner: str | None = None
    kind: Kind = "lender"
    credential: str | None = None
    status: Status
    status_since: Time
    source: str | None = None
    """How it became known. This, and the times that follow from it, are absent where an entry is of an older release
    and was not made anew yet.
    """
    partner_time: Time | None = None
    """The partner's own time of what it says."""
    status_received_at: Time | None = None
    """When that reached us."""
    observed_at: Time
    """When somebody looked, or was told, as far as that was told to us: not of looks that bring nothing new."""
    age_seconds: int
    """Seconds since `observed_at`."""
    next_check_at: Time | None = None
    """When an outcome that nobody knows is looked after, or a registry is asked again. Of the next look at a partner
    only the opportunity's own view knows.
    """
    partner_id: str | None = None
    mode: Mode
    received_at: Time
    """When the application was received."""
    changed_at: Time
    """When something was last said of it."""
    references: tuple[Reference, ...] = ()
    """Of the application."""


class ApplicationPage(Model):
    """Without `next_page_token` it is the last page."""

    items: tuple[ApplicationEntry, ...]
    next_page_token: str | None = None
    changed_to: Time | None = None
    """Of a walk along changes: where the next walk begins (`changedFrom`)."""


class OpportunityPage(Model):
    """Without `next_page_token` it is the last page."""

    items: tuple[OpportunityEntry, ...]
    next_page_token: str | None = None
    changed_to: Time | None = None
    """Of a walk along changes: where the next walk begins (`changedFrom`)."""
