"""What the gateway writes into the audit: applications that came through one of its doors."""

from __future__ import annotations

import hashlib

from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.event import Record
from lendrail.runtime import audit
from lendrail.runtime.mongo import Document


def received(event: ApplicationReceived, record: Record, request: str) -> Document:
    """The fields with which a new application is stored; `request` is the id of what brought it. The hash is that of
    the sealed event, the only form in which the application rests.
    """
    application = str(event.application_id)
    entry = audit.entry(
        audit.Actor(event.tenant_id, event.mode, event.upstream, request),
        "application-received",
        f"applications/{application}",
        application=application,
        after=hashlib.sha256(record.value).hexdigest(),
        at=event.received_at,
        about={"door": event.door, "revision": str(event.revision)},
    )
    return audit.held(entry)
