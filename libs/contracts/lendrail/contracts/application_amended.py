from __future__ import annotations

import uuid
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lendrail.contracts.application import Application
from lendrail.contracts.event import ApplicationEvent
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import DocumentRef, Model, PartnerName, Time


class Corrected(Model):
    kind: Literal["corrected"] = "corrected"
    application: Application


class PartnerAdded(Model):
    kind: Literal["partner-added"] = "partner-added"
    partners: tuple[PartnerName, ...]


class DocumentAdded(Model):
    kind: Literal["document-added"] = "document-added"
    document: DocumentRef
    opportunity_id: uuid.UUID | None = None
    """The opportunity whose partner asked for it; none: all of them."""


class OfferAccepted(Model):
    kind: Literal["offer-accepted"] = "offer-accepted"
    opportunity_id: uuid.UUID
    offer_id: str
    variant: str | None = None


class Withdrawn(Model):
    kind: Literal["withdrawn"] = "withdrawn"
    opportunity_id: uuid.UUID | None = None
    reason: SensitiveText


Amendment = Annotated[Corrected | PartnerAdded | DocumentAdded | OfferAccepted | Withdrawn, Field(discriminator="kind")]


class ApplicationAmended(ApplicationEvent):
    """Stored: the application changed. Revision n applies only after n-1."""

    topic: ClassVar[str] = "application-amended"

    revision: Annotated[int, Field(ge=2)]
    amended_at: Time
    amendment: Amendment

    @property
    def entity(self) -> str:
        return str(self.application_id)

    @property
    def version(self) -> int:
        return self.revision
