from __future__ import annotations

import uuid
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lendrail.contracts.application import Application
from lendrail.contracts.event import ApplicationEvent
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import DocumentRef, FieldProblem, Model, PartnerName, Time


class Send(Model):
    """Bring the application, as it now stands, to the partner; submission knows whether that creates or updates."""

    kind: Literal["send"] = "send"
    application: Application
    documents: tuple[DocumentRef, ...] = ()
    unmade: tuple[FieldProblem, ...] = ()
    """Documents that could not be made; nothing is sent while there is one."""


class AddDocument(Model):
    kind: Literal["add-document"] = "add-document"
    document: DocumentRef


class AcceptOffer(Model):
    kind: Literal["accept-offer"] = "accept-offer"
    offer_id: str
    variant: str | None = None


class Withdraw(Model):
    kind: Literal["withdraw"] = "withdraw"
    reason: SensitiveText


Intent = Annotated[Send | AddDocument | AcceptOffer | Withdraw, Field(discriminator="kind")]


class Submit(ApplicationEvent):
    """Do this at this partner for this opportunity; its documents are ready."""

    topic: ClassVar[str] = "submit"

    revision: int
    received_at: Time
    opportunity_id: uuid.UUID
    partner: PartnerName
    credential: str
    gate: uuid.UUID | None = None
    """The registry's opportunity whose clear word this one waits for."""
    intent: Intent

    @property
    def entity(self) -> str:
        return f"{self.opportunity_id}/{self.intent.kind}"

    @property
    def version(self) -> int:
        return self.revision
