"""Partner webhooks: whatever a partner says is stored as it came, answered, and told on as `partner-webhook`.

The secret path names tenant and credential; a former one does so until its time is over. A wrong path, a wrong partner
and a refused source get the same 404. Where the partner's profile declares a proof, a call without a right one gets a
401. Of a refused call nothing is kept but its count and its reason (`rejected.py`). Exact repeats are one webhook: with
the partner's event id at any time, else within five minutes.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

import structlog
from fastapi import FastAPI, Request, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lendrail.gateway.webhooks.calls import LONGEST_ID, Call, Verification, event_id_of, webhook_of
from lendrail.gateway.webhooks.drain import Keeping
from lendrail.gateway.webhooks.rejected import Found, Rejected
from lendrail.gateway.webhooks.sources import Address, Proxies, may_call
from lendrail.partners.signatures import Headers, verify
from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import Mounted, PartnerAccount, Secrets, Tenants
from lendrail.runtime.http import Problem, reply, too_large
from lendrail.runtime.mongo import OUTAGES

log = structlog.get_logger()
MAX_BYTES = 64 * 1024
LINES_A_MINUTE = 20
SOURCES_OPTION = "webhookSources"
"""Account option: comma-separated networks from which the partner calls, or `published` for those that its profile
names; absent: any.
"""
PATHS = r"(/webhooks/[^/]+/[^/]+)(?:/[^/]*)?"
_PARTS = re.compile(r"/webhooks/([^/]+)/([^/]+)(?:/[^/]*)?")


class WebhookDoor:
    """Takes calls of partners."""

    def __init__(
        self,
        keeping: Keeping,
        tenants: Mounted[Tenants],
        secrets: Secrets,
        proxies: Proxies,
        rejected: Rejected,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._keeping, self._tenants, self._secrets = keeping, tenants, secrets
        self._proxies, self._rejected, self._clock = proxies, rejected, clock
        self._told: dict[str, tuple[dt.datetime, int]] = {}

    def install(self, app: FastAPI) -> None:
        """Before all other routes, and answered by this object alone: most requests are calls of partners, and what
        FastAPI does for a route costs more than all that is done here.
        """
        for path in ("/webhooks/{partner}/{path}/{id}", "/webhooks/{partner}/{path}"):
            app.router.routes.insert(0, Route(path, self, methods=["POST", "PUT"]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = scope["path_params"]
        answer = await self.take(Request(scope, receive), named["partner"], named["path"], named.get("id"))
        await answer(scope, receive, send)

    async def take(self, request: Request, partner: str, path: str, path_id: str | None = None) -> Response:
        """200 when the body is durable. Raises `Problem` 401, 404, 408, 413 or 503."""
        caller = self._caller(request.scope)
        found = self._admitted(caller, partner, path, path_id)
        try:
            raw, now = await _read(request), self._clock()
            await self._keeping.keep(self._call(request, found, path_id, raw, now))
        except Problem as problem:
            self._rejected.note(problem.code, caller, found)
            raise
        except OUTAGES:
            self._rejected.note("unavailable", caller, found)
            raise
        return reply({"status": "stored"})

    def refused(self, scope: Scope, problem: Problem) -> None:
        """A call that was turned away before it came here is counted too."""
        parts = _PARTS.fullmatch(scope["path"])
        if parts is not None and scope["method"] in ("POST", "PUT"):
            found, reason = self._whose(parts[1], parts[2])
            self._rejected.note(reason or problem.code, self._caller(scope), found)

    def _caller(self, scope: Scope) -> Address | None:
        peer = scope.get("client")
        return self._proxies.caller(peer[0] if peer else None, scope["headers"])

    def _admitted(self, caller: Address | None, partner: str, path: str, path_id: str | None) -> Found:
        """Raises `Problem` 404, the same one for everything."""
        found, reason = self._whose(partner, path)
        if reason is None and found is not None:
            account = found[1]
            if not may_call(caller, account.options.get(SOURCES_OPTION), webhook_of(partner)):
                reason = "source-not-allowed"
            elif path_id is not None and not (len(path_id) <= LONGEST_ID and path_id.isprintable()):
                reason = "bad-path-id"
            else:
                return found
        self._rejected.note(reason or "unknown-path", caller, found)
        raise Problem(404, "not-found", "There is nothing here.")

    def _whose(self, partner: str, path: str) -> tuple[Found | None, str | None]:
        """Whose address it is, and what speaks against it."""
        tenants = self._tenants.current
        found = tenants.by_webhook_path.get((partner, path))
        if found is not None:
            return found, None
        former = tenants.by_former_webhook_path.get((partner, path))
        if former is None:
            return None, "unknown-path"
        tenant, account, until = former
        return (tenant, account), None if self._clock() < until else "path-expired"

    def _call(self, request: Request, found: Found, path_id: str | None, raw: bytes, now: dt.datetime) -> Call:
        """Raises `Problem` 401."""
        tenant, account = found
        headers = request.headers.raw
        verification = self._verification(account, headers, raw, now)
        return Call(
            tenant=tenant.id,
            mode=account.mode,
            partner=account.partner,
            credential=account.credential,
            raw=raw,
            content_type=request.headers.get("content-type", "")[:100],
            path_id=path_id,
            event_id=event_id_of(account.partner, verification, headers, raw),
            verification=verification,
            received=now,
        )

    def _verification(self, account: PartnerAccount, headers: Headers, raw: bytes, now: dt.datetime) -> Verification:
        """Raises `Problem` 401 where the partner declares a proof and the call has none, or a wrong one."""
        webhook = webhook_of(account.partner)
        if webhook is None or webhook.proof is None:
            return "hint"
        secrets = self._secrets.of(account.credential, now)
        if verify(webhook.proof, secrets, headers, raw, now):
            return "verified"
        self._tell(account, len(secrets), now)
        wanted = {"WWW-Authenticate": "Signature"}
        raise Problem(401, "unproven", "The call does not prove who sent it.", headers=wanted)

    def _tell(self, account: PartnerAccount, secrets: int, now: dt.datetime) -> None:
        """A flood must not fill the log; every call is counted all the same."""
        minute = now.replace(second=0, microsecond=0)
        since, lines = self._told.get(account.credential, (minute, 0))
        lines = lines + 1 if since == minute else 1
        self._told[account.credential] = minute, lines
        if lines <= LINES_A_MINUTE:
            said = "a webhook without a right proof was refused"
            log.warning(said, partner=account.partner, credential=account.credential, secrets=secrets)


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
