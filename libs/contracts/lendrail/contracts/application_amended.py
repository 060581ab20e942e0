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
    reported: bool = False
    """A person accepted it at the partner already, by the offer's link: it is recorded, and nothing is sent."""


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
    amended_by: str | None = None
    """The client that asked for it."""
    received_at: Time | None = None
    """When the application itself was received."""
    amendment: Amendment
    application: Application | None = None
    """As it stands at this revision, so that nobody must remember the one before; absent where `amendment` has it."""

    @property
    def stands(self) -> Application | None:
        """The application at this revision."""
        return self.amendment.application if isinstance(self.amendment, Corrected) else self.application

    @property
    def entity(self) -> str:
        return str(self.application_id)

    @property
    def version(self) -> int:
        return self.revision
