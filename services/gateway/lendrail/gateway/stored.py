"""An application as the gateway stores it: the received event and those that amended it in its outbox, and beside them
what searches need.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from typing import Any

from lendrail.contracts.application import Application
from lendrail.contracts.application_amended import (
    Amendment,
    ApplicationAmended,
    Corrected,
    DocumentAdded,
    OfferAccepted,
    PartnerAdded,
    Withdrawn,
)
from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.event import Envelope, Record, decode, encode, envelope_of
from lendrail.gateway.amending.amend import applied
from lendrail.gateway.store import utc
from lendrail.runtime.mongo import Document
from lendrail.runtime.outbox import restored
from lendrail.runtime.vault import Key

SERVICE = "gateway"


def record_of(
    event: ApplicationReceived, key: Key, cause: Envelope | None = None, correlation: str | None = None
) -> Record:
    """The record of the event, correlated to the intake record or to the HTTP request that brought it."""
    envelope = envelope_of(event, SERVICE, event.received_at, cause)
    if correlation is not None:
        envelope = dataclasses.replace(envelope, correlation_id=correlation)
    return encode(event, envelope, key)


def amended_record_of(event: ApplicationAmended, key: Key, correlation: str, cause: str | None) -> Record:
    """The record of an amendment; `cause` is the intake record that asked for it, where one did."""
    envelope = envelope_of(event, SERVICE, event.amended_at)
    envelope = dataclasses.replace(envelope, correlation_id=correlation, causation_id=cause or envelope.id)
    return encode(event, envelope, key)


def amended(
    document: Document, amendment: Amendment, by: str, content: Application | None, now: dt.datetime
) -> ApplicationAmended:
    """The next revision of a stored application whose content is `content`."""
    return ApplicationAmended(
        tenant_id=document["tenant"],
        mode=document["mode"],
        application_id=uuid.UUID(document["_id"]),
        revision=document["revision"] + 1,
        amended_at=now,
        amended_by=by,
        received_at=utc(document["received"]),
        amendment=amendment,
        application=None if isinstance(amendment, Corrected) else applied(content, amendment),
    )


def about_of(amendment: Amendment) -> Document:
    """What is remembered of it beside the event: nothing personal."""
    about: Document = {}
    if isinstance(amendment, DocumentAdded | OfferAccepted | Withdrawn) and amendment.opportunity_id is not None:
        about["opportunity"] = str(amendment.opportunity_id)
    if isinstance(amendment, PartnerAdded):
        about["partners"] = list(amendment.partners)
    if isinstance(amendment, DocumentAdded):
        about["document"] = amendment.document.id
    return about


def answer_of(amendment: Amendment) -> dict[str, Any] | None:
    """What the answer says beside the revision."""
    if not isinstance(amendment, DocumentAdded):
        return None
    return amendment.document.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"link"})


def told(document: Document, key: Key) -> tuple[Application | None, dict[int, Amendment]]:
    """The application as it was received, and each change by its revision, out of the stored records."""
    first: Application | None = None
    changes: dict[int, Amendment] = {}
    for record in restored(document):
        if record.topic == ApplicationAmended.topic:
            event = decode(ApplicationAmended, record.value, key)
            changes[event.revision] = event.amendment
        else:
            first = decode(ApplicationReceived, record.value, key).application
    return first, changes


def document_of(event: ApplicationReceived, key: Key, fingerprint: str) -> Document:
    """The stored application without its outbox. The fingerprint is sealed: of a short body it could be guessed
    back.
    """
    return {
        "_id": str(event.application_id),
        "tenant": event.tenant_id,
        "mode": event.mode,
        "door": event.door,
        "upstream": event.upstream,
        "revision": event.revision,
        "received": event.received_at,
        "fingerprint": key.seal(fingerprint),
        "references": [reference.model_dump() for reference in event.references],
    }


def accepted(document: Document) -> dict[str, object]:
    """What the REST door answers, the first time and each time again."""
    return {"applicationId": str(uuid.UUID(document["_id"])), "status": "received", "revision": 1}
