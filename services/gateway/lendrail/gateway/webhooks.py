"""Partner webhooks: whatever a partner says is stored as it came, answered, and told on as `partner-webhook`.

The secret path names tenant and credential. A wrong path, a wrong partner and a refused source get the same 404. Exact
repeats within five minutes are one webhook; the same words later are a new one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import uuid
from collections.abc import Callable

import structlog
from fastapi import Request, Response

from lendrail.contracts.event import encode, envelope_of
from lendrail.contracts.partner_webhook import PartnerWebhook
from lendrail.contracts.sensitive import Document as RawBody
from lendrail.contracts.terms import NAMESPACE, utc_now
from lendrail.gateway.store import Webhooks, soon
from lendrail.gateway.stored import SERVICE
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Hint
from lendrail.runtime.directory import Mounted, PartnerAccount, Tenant, Tenants
from lendrail.runtime.http import Problem, reply, too_large
from lendrail.runtime.mongo import DuplicateKeyError
from lendrail.runtime.outbox import Relay, waiting
from lendrail.runtime.vault import Vault

log = structlog.get_logger()
MAX_BYTES = 64 * 1024
WINDOW_SECONDS = 300
SOURCES_OPTION = "webhookSources"
"""Account option: comma-separated networks from which the partner calls; absent: any."""


def webhook_id(partner: str, credential: str, raw: bytes, received: dt.datetime) -> uuid.UUID:
    """The same for exact repeats within one window; windows begin at multiples of five minutes."""
    window = int(received.timestamp()) // WINDOW_SECONDS
    content = hashlib.sha256(raw).hexdigest()
    return uuid.uuid5(NAMESPACE, f"webhook|{partner}|{credential}|{content}|{window}")


def hint_of(partner: str, raw: bytes) -> Hint | None:
    """What the body seems to be about. A body that nobody understands is kept all the same."""
    known = PARTNERS.get(partner)
    if known is None or known.webhook is None:
        return None
    try:
        hint = known.webhook.hint(raw, None)
    except Exception as error:  # a fault in a translation must not lose the partner's word
        log.error("a webhook could not be translated", partner=partner, exc_info=error)
        return None
    return hint if hint is not None and 0 < len(hint.partner_id) <= 512 else None


def comes_from(address: str | None, networks: str | None) -> bool:
    """Whether the caller's address lies in one of `networks`; without a list everybody may call."""
    if not networks:
        return True
    try:
        caller = ipaddress.ip_address(address or "")
        return any(caller in ipaddress.ip_network(network.strip()) for network in networks.split(","))
    except ValueError:
        return False


class WebhookDoor:
    """Takes calls of partners."""

    def __init__(
        self,
        webhooks: Webhooks,
        vault: Vault,
        relay: Relay,
        tenants: Mounted[Tenants],
        instance: str,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._webhooks, self._vault, self._relay = webhooks, vault, relay
        self._tenants, self._instance, self._clock = tenants, instance, clock

    async def post(self, request: Request, partner: str, path: str) -> Response:
        """200 when the body is durable. Raises `Problem` 404 or 413."""
        found = self._tenants.current.by_webhook_path.get((partner, path))
        address = request.client.host if request.client else None
        if found is None or not comes_from(address, found[1].options.get(SOURCES_OPTION)):
            raise Problem(404, "not-found", "There is nothing here.")
        raw, content_type = await _read(request), request.headers.get("content-type", "")[:100]
        await soon(self._keep(*found, raw, content_type))
        return reply({"status": "stored"})

    async def _keep(self, tenant: Tenant, account: PartnerAccount, raw: bytes, content_type: str) -> None:
        now = self._clock()
        key = await self._vault.intake(now)
        hint = hint_of(account.partner, raw)
        event = PartnerWebhook(
            tenant_id=tenant.id,
            mode=account.mode,
            webhook_id=webhook_id(account.partner, account.credential, raw, now),
            partner=account.partner,
            credential=account.credential,
            verification="hint",
            foreign_id=hint.partner_id if hint else None,
            words=hint.word[:500] if hint else None,
            received_at=now,
            body=RawBody(raw.decode("utf-8", "replace")),
            intake_key=key.id,
        )
        document = {
            "_id": str(event.webhook_id),
            "tenant": tenant.id,
            "partner": account.partner,
            "credential": account.credential,
            "received": now,
            "key": key.id,
            "contentType": key.seal(content_type),
            "raw": key.seal_bytes(raw),
        }
        record = encode(event, envelope_of(event, SERVICE, now), key)
        try:
            await self._webhooks.add(document | waiting([record], self._instance))
        except DuplicateKeyError:
            return
        self._relay.wake()


async def _read(request: Request) -> bytes:
    """The body, given up as soon as it is too long."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > MAX_BYTES:
        raise too_large(MAX_BYTES)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise too_large(MAX_BYTES)
    return bytes(body)
