"""Partner webhooks: whatever a partner says is stored as it came, answered, and told on as `partner-webhook`.

The secret path names tenant and credential. A wrong path, a wrong partner and a refused source get the same 404. Where
the partner's profile declares a proof, a call without a right one gets a 401 and leaves nothing but a line in the log.
Exact repeats within five minutes are one webhook; the same words later are a new one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

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
from lendrail.partners.signatures import Headers, verify
from lendrail.runtime.directory import Mounted, PartnerAccount, Secrets, Tenant, Tenants
from lendrail.runtime.http import Problem, reply, too_large
from lendrail.runtime.mongo import DuplicateKeyError
from lendrail.runtime.outbox import Relay, waiting
from lendrail.runtime.vault import Vault

log = structlog.get_logger()
MAX_BYTES = 64 * 1024
WINDOW_SECONDS = 300
LONGEST_ID = 512
SOURCES_OPTION = "webhookSources"
"""Account option: comma-separated networks from which the partner calls; absent: any."""


def webhook_id(
    partner: str, credential: str, raw: bytes, received: dt.datetime, path_id: str | None = None
) -> uuid.UUID:
    """The same for exact repeats within one window; windows begin at multiples of five minutes."""
    window = int(received.timestamp()) // WINDOW_SECONDS
    content = hashlib.sha256(raw).hexdigest()
    about = "" if path_id is None else f"|{path_id}"
    return uuid.uuid5(NAMESPACE, f"webhook|{partner}|{credential}|{content}|{window}{about}")


def hint_of(partner: str, raw: bytes, path_id: str | None = None) -> Hint | None:
    """What the body seems to be about. A body that nobody understands is kept all the same."""
    known = PARTNERS.get(partner)
    if known is None or known.webhook is None:
        return None
    try:
        hint = known.webhook.hint(raw, path_id)
    except Exception as error:  # a fault in a translation must not lose the partner's word
        log.error("a webhook could not be translated", partner=partner, exc_info=error)
        return None
    if hint is None or not (hint.partner_id or hint.reference):
        return None
    return hint if max(len(hint.partner_id), len(hint.reference or "")) <= LONGEST_ID else None


def comes_from(address: str | None, networks: str | None) -> bool:
    """Whether the caller's address lies in one of `networks`; without a list everybody may call."""
    if not networks:
        return True
    try:
        caller = ipaddress.ip_address(address or "")
        return any(caller in ipaddress.ip_network(network.strip()) for network in networks.split(","))
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a partner, as it came."""

    tenant: Tenant
    account: PartnerAccount
    raw: bytes
    content_type: str
    path_id: str | None
    received: dt.datetime


def _event(call: Call, verification: Literal["verified", "hint"], intake_key: str) -> PartnerWebhook:
    account, hint = call.account, hint_of(call.account.partner, call.raw, call.path_id)
    return PartnerWebhook(
        tenant_id=call.tenant.id,
        mode=account.mode,
        webhook_id=webhook_id(account.partner, account.credential, call.raw, call.received, call.path_id),
        partner=account.partner,
        credential=account.credential,
        verification=verification,
        foreign_id=(hint.partner_id or None) if hint else None,
        path_id=call.path_id,
        reference=hint.reference if hint else None,
        words=hint.word[:500] if hint else None,
        received_at=call.received,
        body=RawBody(call.raw.decode("utf-8", "replace")),
        intake_key=intake_key,
    )


class WebhookDoor:
    """Takes calls of partners."""

    def __init__(
        self,
        webhooks: Webhooks,
        vault: Vault,
        relay: Relay,
        tenants: Mounted[Tenants],
        secrets: Secrets,
        instance: str,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._webhooks, self._vault, self._relay = webhooks, vault, relay
        self._tenants, self._secrets = tenants, secrets
        self._instance, self._clock = instance, clock

    async def take(self, request: Request, partner: str, path: str, path_id: str | None = None) -> Response:
        """200 when the body is durable. Raises `Problem` 401, 404 or 413."""
        found = self._tenants.current.by_webhook_path.get((partner, path))
        address = request.client.host if request.client else None
        odd = path_id is not None and not (len(path_id) <= LONGEST_ID and path_id.isprintable())
        if found is None or odd or not comes_from(address, found[1].options.get(SOURCES_OPTION)):
            raise Problem(404, "not-found", "There is nothing here.")
        raw, now = await _read(request), self._clock()
        call = Call(*found, raw, request.headers.get("content-type", "")[:100], path_id, now)
        await soon(self._keep(call, self._verification(call.account, request.headers.raw, raw, now)))
        return reply({"status": "stored"})

    def _verification(
        self, account: PartnerAccount, headers: Headers, raw: bytes, now: dt.datetime
    ) -> Literal["verified", "hint"]:
        """Raises `Problem` 401 where the partner declares a proof and the call has none, or a wrong one."""
        known = PARTNERS.get(account.partner)
        if known is None or known.webhook is None or known.webhook.proof is None:
            return "hint"
        secrets = self._secrets.of(account.credential)
        if verify(known.webhook.proof, secrets, headers, raw, now):
            return "verified"
        log.warning(
            "a webhook without a right proof was refused",
            partner=account.partner,
            credential=account.credential,
            secrets=len(secrets),
        )
        wanted = {"WWW-Authenticate": "Signature"}
        raise Problem(401, "unproven", "The call does not prove who sent it.", headers=wanted)

    async def _keep(self, call: Call, verification: Literal["verified", "hint"]) -> None:
        key = await self._vault.intake(call.received)
        event = _event(call, verification, key.id)
        document = {
            "_id": str(event.webhook_id),
            "tenant": event.tenant_id,
            "partner": event.partner,
            "credential": event.credential,
            "received": call.received,
            "key": key.id,
            "contentType": key.seal(call.content_type),
            "raw": key.seal_bytes(call.raw),
        }
        record = encode(event, envelope_of(event, SERVICE, call.received), key)
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
