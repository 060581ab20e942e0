"""A partner's call and what is kept of it: one document with its event, the same whether it is written at once or later
out of the spool.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import uuid
from dataclasses import dataclass
from typing import Any, Literal

import orjson
import structlog

from lendrail.contracts.event import encode, envelope_of
from lendrail.contracts.partner_webhook import PartnerWebhook
from lendrail.contracts.sensitive import Document as RawBody
from lendrail.contracts.terms import NAMESPACE, Mode
from lendrail.gateway.store import Webhooks
from lendrail.gateway.stored import SERVICE
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Hint
from lendrail.partners.partner import Webhook
from lendrail.partners.signatures import Headers
from lendrail.runtime.mongo import Document, DuplicateKeyError
from lendrail.runtime.outbox import Relay, waiting
from lendrail.runtime.vault import Key, Vault

log = structlog.get_logger()
WINDOW_SECONDS = 300
LONGEST_ID = 512
Verification = Literal["verified", "hint"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a partner, as it came."""

    tenant: str
    mode: Mode
    partner: str
    credential: str
    raw: bytes
    content_type: str
    path_id: str | None
    event_id: str | None
    """The partner's own, of a proven call."""
    verification: Verification
    received: dt.datetime

    @property
    def id(self) -> uuid.UUID:
        return webhook_id(self.partner, self.credential, self.raw, self.received, self.path_id, self.event_id)

    def packed(self) -> bytes:
        """For the spool; holds what a person may not see, so it is sealed there."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return orjson.dumps(fields | {"raw": base64.b64encode(self.raw).decode(), "received": self.received})

    @classmethod
    def unpacked(cls, packed: bytes) -> Call:
        """Also of an older version, whose calls lack what was added with a default, and of a newer one. Raises
        ValueError, TypeError, KeyError for what is no call.
        """
        fields = {name: value for name, value in orjson.loads(packed).items() if name in cls.__slots__}
        received = dt.datetime.fromisoformat(fields["received"])
        return cls(**fields | {"raw": base64.b64decode(fields["raw"], validate=True), "received": received})


def webhook_id(
    partner: str,
    credential: str,
    raw: bytes,
    received: dt.datetime,
    path_id: str | None = None,
    event_id: str | None = None,
) -> uuid.UUID:
    """The same for exact repeats: of a call with an event id at any time, of another one within its window; windows
    begin at multiples of five minutes. An event id that comes with other words is another call, since nothing that a
    partner says is dropped.
    """
    content = hashlib.sha256(raw).hexdigest()
    about = "" if path_id is None else f"|{path_id}"
    when = str(int(received.timestamp()) // WINDOW_SECONDS) if event_id is None else f"event|{event_id}"
    return uuid.uuid5(NAMESPACE, f"webhook|{partner}|{credential}|{content}|{when}{about}")


def webhook_of(partner: str) -> Webhook | None:
    known = PARTNERS.get(partner)
    return known.webhook if known is not None else None


def hint_of(partner: str, raw: bytes, path_id: str | None = None) -> Hint | None:
    """What the body seems to be about. A body that nobody understands is kept all the same."""
    webhook = webhook_of(partner)
    if webhook is None:
        return None
    try:
        hint = webhook.hint(raw, path_id)
    except Exception as error:  # a fault in a translation must not lose the partner's word
        log.error("a webhook could not be translated", partner=partner, exc_info=error)
        return None
    if hint is None or not (hint.partner_id or hint.reference):
        return None
    return hint if max(len(hint.partner_id), len(hint.reference or "")) <= LONGEST_ID else None


def event_id_of(partner: str, verification: Verification, headers: Headers, raw: bytes) -> str | None:
    """The partner's id of what happened. Of an unproven call none: a forged one could stand in a right one's way."""
    webhook = webhook_of(partner)
    if verification != "verified" or webhook is None or webhook.event_id is None:
        return None
    try:
        found = webhook.event_id(headers, raw)
    except Exception as error:
        log.error("the id of an event could not be read", partner=partner, exc_info=error)
        return None
    return found if found and len(found) <= LONGEST_ID and found.isprintable() else None


class Keeper:
    """Writes calls to MongoDB."""

    def __init__(self, webhooks: Webhooks, vault: Vault, relay: Relay, instance: str) -> None:
        self._webhooks, self._vault, self._relay, self._instance = webhooks, vault, relay, instance

    async def keep(self, call: Call) -> None:
        """Durable when it returns, once for each id, however often it is asked to."""
        key = await self._vault.intake(call.received)
        try:
            await self._webhooks.add(document_of(call, key, self._instance))
        except DuplicateKeyError:
            return
        self._relay.wake()


def document_of(call: Call, key: Key, instance: str) -> Document:
    """With the event, which the relay of `instance` publishes."""
    event = _event(call, key.id)
    record = encode(event, envelope_of(event, SERVICE, call.received), key)
    return {
        "_id": str(event.webhook_id),
        "tenant": call.tenant,
        "partner": call.partner,
        "credential": call.credential,
        "received": call.received,
        "key": key.id,
        "contentType": key.seal(call.content_type),
        "raw": key.seal_bytes(call.raw),
    } | waiting([record], instance)


def _event(call: Call, intake_key: str) -> PartnerWebhook:
    hint = hint_of(call.partner, call.raw, call.path_id)
    return PartnerWebhook(
        tenant_id=call.tenant,
        mode=call.mode,
        webhook_id=call.id,
        partner=call.partner,
        credential=call.credential,
        verification=call.verification,
        foreign_id=(hint.partner_id or None) if hint else None,
        path_id=call.path_id,
        reference=hint.reference if hint else None,
        event_id=call.event_id,
        words=hint.word[:500] if hint else None,
        received_at=call.received,
        body=RawBody(call.raw.decode("utf-8", "replace")),
        intake_key=intake_key,
    )
