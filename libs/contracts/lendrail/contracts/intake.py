"""What an upstream system publishes to its own `intake-<upstream>` topic.

The record is a CloudEvent in binary mode of type `io.lendrail.intake.v1`; its `ce_id` and `ce_source` are the
upstream's
own and make a second import the same import. Personal values do not travel in clear: they are left out of `application`
and put, by JSON pointer, into one JWE (RFC 7516) for the tenant's published key.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lendrail.contracts.application_fields import FileName
from lendrail.contracts.application_words import UploadKind
from lendrail.contracts.event import TYPE_PREFIX
from lendrail.contracts.sensitive import Sensitive
from lendrail.contracts.terms import NAMESPACE, Model

MAX_DOCUMENT = 512 * 1024
"""Bytes of a file that comes by Kafka: Base64 in a JWE makes 16 of 9, and a record has at most 1 MiB."""
MAX_DOCUMENT_JWE = 1024 * 1024
"""Characters of a JWE with a file in it: whatever a record can hold, so that a file that is too large is refused in
sight.
"""


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
    `offer-accepted` {opportunityId, offerId, variant, reported}, `withdrawn` {opportunityId, reason}, `document-added`
    {opportunityId, document: {kind, name, content}}. A file's `name` and `content` (Base64, RFC 4648 section 4, of at
    most 524288 bytes) are personal values; a larger file goes to POST /v1/applications/{id}/documents.
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


class FileContent(Sensitive):
    """The bytes of a file, in Base64 (RFC 4648, section 4)."""

    max_length = (MAX_DOCUMENT + 2) // 3 * 4

    @classmethod
    def normalise(cls, plain: str) -> str:
        if len(plain) > cls.max_length or len(_bytes(plain)) > MAX_DOCUMENT:
            message = "must have at most {limit} bytes; send it to POST /v1/applications/{id}/documents"
            raise PydanticCustomError("too-large", message, {"limit": MAX_DOCUMENT})
        return plain

    def bytes(self) -> bytes:
        return _bytes(self.reveal())


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        message = "must be Base64 of the standard alphabet, padded, without spaces or lines"
        raise PydanticCustomError("base64", message) from None


class NewDocument(Model):
    """A file within a `document-added`; the documents service tells by the bytes what it is, as it does for REST."""

    kind: UploadKind
    name: FileName | None = None
    content: FileContent


def imported_application_id(tenant: str, source: str, event_id: str) -> uuid.UUID:
    """The application id of an intake record: the same record always becomes the same application."""
    return uuid.uuid5(NAMESPACE, f"intake|{tenant}|{source}|{event_id}")
