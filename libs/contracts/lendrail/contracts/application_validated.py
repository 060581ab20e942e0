from __future__ import annotations

import uuid
from typing import ClassVar

from lendrail.contracts.application import Application
from lendrail.contracts.event import ApplicationEvent
from lendrail.contracts.terms import FieldProblem, Model, PartnerName, Time


class Eligible(Model):
    """A partner that can take the application, under one credential of the tenant."""

    partner: PartnerName
    credential: str
    opportunity_id: uuid.UUID


class Ineligible(Model):
    """A partner that cannot, and why. `credential` is absent where the tenant has none at this partner."""

    partner: PartnerName
    credential: str | None = None
    opportunity_id: uuid.UUID
    reasons: tuple[FieldProblem, ...]


class ApplicationValidated(ApplicationEvent):
    """The application is sound at this revision; these partners can take it, those cannot and why."""

    topic: ClassVar[str] = "application-validated"

    revision: int
    received_at: Time
    application: Application
    eligible: tuple[Eligible, ...]
    ineligible: tuple[Ineligible, ...] = ()

    @property
    def entity(self) -> str:
        return str(self.application_id)

    @property
    def version(self) -> int:
        return self.revision
