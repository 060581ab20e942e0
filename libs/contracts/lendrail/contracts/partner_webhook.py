from __future__ import annotations

import uuid
from typing import ClassVar, Literal

from lendrail.contracts.event import Event
from lendrail.contracts.sensitive import Document
from lendrail.contracts.terms import ForeignId, PartnerName, Time


class PartnerWebhook(Event):
    """A partner called us: stored as it came, sealed under the intake key of its day until its application is known."""

    topic: ClassVar[str] = "partner-webhook"

    webhook_id: uuid.UUID
    partner: PartnerName
    credential: str
    verification: Literal["verified", "hint"]
    """`hint`: anyone who knows the address could have sent it; act only on what the partner itself then says."""
    foreign_id: ForeignId | None = None
    path_id: ForeignId | None = None
    """What the partner put behind the address that we gave it."""
    reference: ForeignId | None = None
    """Ours, where the partner names it."""
    event_id: ForeignId | None = None
    """The partner's own id of what happened, the same whenever it calls again; only of a verified call."""
    words: str | None = None
    received_at: Time
    body: Document
    intake_key: str

    @property
    def entity(self) -> str:
        return str(self.webhook_id)

    @property
    def subject(self) -> str:
        return f"{self.partner}/{self.credential}/{self.foreign_id or self.webhook_id}"

    @property
    def key_id(self) -> str:
        return self.intake_key
