from __future__ import annotations

import uuid
from typing import ClassVar, Literal

from lendrail.contracts.application import Application
from lendrail.contracts.application_amended import Amendment
from lendrail.contracts.event import ApplicationEvent
from lendrail.contracts.terms import FieldProblem, Model, PartnerName, Slug, Time


class Eligible(Model):
    """A partner that can take the application, under one credential of the tenant."""

    partner: PartnerName
    credential: str
    opportunity_id: uuid.UUID
    gate: uuid.UUID | None = None
    """The opportunity at a registry that must clear the application before it goes to this partner."""


class Ineligible(Model):
    """A partner that cannot, and why. `credential` is absent where the tenant has none at this partner."""

    partner: PartnerName
    credential: str | None = None
    opportunity_id: uuid.UUID
    reasons: tuple[FieldProblem, ...]


class Check(Model):
    """What an outside register said of the business. `not-checked`: nobody could be asked, which is no fault."""

    name: Slug
    result: Literal["passed", "failed", "not-checked"]
    code: Slug
    """Why, such as `name-differs`."""
    checked_at: Time


class ApplicationValidated(ApplicationEvent):
    """The application is sound at this revision; these partners can take it, those cannot and why."""

    topic: ClassVar[str] = "application-validated"

    revision: int
    received_at: Time
    application: Application
    amendment: Amendment | None = None
    """What this revision changed; None: the first. Then `eligible` and `ineligible` name those whom the change
    concerns, and no others: all that stand elsewhere are as they were.
    """
    eligible: tuple[Eligible, ...]
    ineligible: tuple[Ineligible, ...] = ()
    checks: tuple[Check, ...] = ()

    @property
    def entity(self) -> str:
        return str(self.application_id)

    @property
    def version(self) -> int:
        return self.revision
