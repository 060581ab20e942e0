"""An application as the gateway stores it: the received event in its outbox, and beside it what searches need."""

from __future__ import annotations

import dataclasses
import uuid

from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.event import Envelope, Record, encode, envelope_of
from lendrail.runtime.mongo import Document
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
