"""Who reacts to what."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lendrail.contracts.event import Record, encode, envelope_of
from lendrail.contracts.notify import Notify
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.notifications.endpoints import Endpoints
from lendrail.notifications.letter import letter
from lendrail.notifications.notice import webhook_body
from lendrail.notifications.notify import Recipient, notifies
from lendrail.notifications.outcome import as_text, outcome_record
from lendrail.notifications.store import Deliveries
from lendrail.runtime import inbox
from lendrail.runtime.clock import utc_now
from lendrail.runtime.inbox import Effect
from lendrail.runtime.mongo import Collection
from lendrail.runtime.step import Delivery

SERVICE = "notifications"


@dataclass(frozen=True)
class Handlers:
    notices: Collection
    endpoints: Endpoints
    deliveries: Deliveries
    public_url: str
    wake: Callable[[], None]

    async def on_status_updated(self, deliveries: Sequence[Delivery[StatusUpdated]]) -> Sequence[Record]:
        """A version of the truth becomes one notice for each recipient."""
        return await inbox.once(self.notices, deliveries, self._effects)

    async def on_notify(self, deliveries: Sequence[Delivery[Notify]]) -> Sequence[Record]:
        """A notice becomes due work; its body is made and sealed here, once."""
        await self.deliveries.add([(d.event, self._sealed_body(d), d.envelope.time) for d in deliveries])
        self.wake()
        return []

    async def _effects(self, deliveries: Sequence[Delivery[StatusUpdated]]) -> Sequence[Effect]:
        audiences = [(d.event.tenant_id, d.event.mode) for d in deliveries]
        recipients = await self.endpoints.recipients(audiences)
        return [_effect(d, recipients[a]) for d, a in zip(deliveries, audiences, strict=True)]

    def _sealed_body(self, delivery: Delivery[Notify]) -> str:
        return delivery.key.seal(self._body(delivery))

    def _body(self, delivery: Delivery[Notify]) -> str:
        update = delivery.event.update
        match delivery.event.channel:
            case "webhook":
                return webhook_body(update)
            case "email":
                return letter(update, self.public_url)
            case "kafka":
                return as_text(outcome_record(update, self.public_url, SERVICE, delivery.envelope))


def _effect(delivery: Delivery[StatusUpdated], recipients: Sequence[Recipient]) -> Effect:
    now = utc_now()
    told = notifies(delivery.event, recipients)
    records = [encode(e, envelope_of(e, SERVICE, now, delivery.envelope), delivery.key) for e in told]
    about = {"application": str(delivery.event.application_id), "status": delivery.event.status.value}
    return {**about, "stored": now, "recipients": [uuid.UUID(e.recipient).hex for e in told]}, records
