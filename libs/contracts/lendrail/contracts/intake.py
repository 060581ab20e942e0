"""What an upstream system publishes to its own `intake-<upstream>` topic.

The record is a CloudEvent in binary mode of type `io.lendrail.intake.v1`; its `ce_id` and `ce_source` are the
upstream's
own and make a second import the same import. Personal values do not travel in clear: they are left out of `application`
and put, by JSON pointer, into one JWE (RFC 7516) for the tenant's published key.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from lendrail.contracts.event import TYPE_PREFIX
from lendrail.contracts.terms import NAMESPACE, Model


class NewApplication(Model):
    kind: Literal["application"] = "application"
    application: dict[str, Any]
    sensitive: str | None = None
    """JWE whose plain text is a JSON object: RFC 6901 pointer into `application` to the value that belongs there."""


class Intake(Model):
    """One record of an intake topic; intents are a closed union, told apart by `kind`."""

    prefix: ClassVar[str] = "intake-"
    type: ClassVar[str] = f"{TYPE_PREFIX}intake.v1"

    intent: NewApplication


class NewAmendment(Model):
    """A change of an application that came before, through either door.

    `amendment` says what the REST door is told, with its `kind`: `corrected` {application}, `partner-added` {partners},
    `offer-accepted` {opportunityId, offerId, variant, reported}, `withdrawn` {opportunityId, reason}. Bytes of
    documents go through the REST door only.
    """

    kind: Literal["amendment"] = "amendment"
    application_id: uuid.UUID | None = None
    intake_event: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """`ce_id` of the record, of the same `ce_source`, that brought the application: in place of its id."""
    revision: Annotated[int, Field(ge=1)] | None = None
    """The revision that this one follows; none: whichever is the newest."""
    amendment: dict[str, Any]
    sensitive: str | None = None
    """JWE as for an application; its pointers lead into `amendment`."""

    @model_validator(mode="after")
    def _names_one(self) -> NewAmendment:
        if (self.application_id is None) == (self.intake_event is None):
            raise ValueError("name the application by its id or by its intake event")
        return self


class IntakeAmendment(Model):
    """A record of an intake topic that amends; its type is how readers tell it from one that brings an application."""

    type: ClassVar[str] = f"{TYPE_PREFIX}amendment.v1"

    intent: NewAmendment


def imported_application_id(tenant: str, source: str, event_id: str) -> uuid.UUID:
    """The application id of an intake record: the same record always becomes the same application."""
    return uuid.uuid5(NAMESPACE, f"intake|{tenant}|{source}|{event_id}")
