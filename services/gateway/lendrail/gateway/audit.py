"""`GET /v1/audit`: who did what and why, put together from the pages of every service that keeps an audit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import httpx
import structlog
from fastapi import Depends, FastAPI, Request, Response

from lendrail.gateway.store import soon
from lendrail.runtime.audit_reads import Asked, Entries, Shown, asked, merged
from lendrail.runtime.http import RETRY_AFTER_SECONDS, Problem, correlation_id, reply, request_id

log = structlog.get_logger()
KEEPERS = ("documents", "submission", "status", "notifications")
"""Services beside the gateway that keep an audit."""


class AuditReader:
    """All or nothing: a list that silently lacks one service's entries would be worse than none."""

    def __init__(self, own: Entries, client: httpx.AsyncClient, owners: Mapping[str, str], seconds: float) -> None:
        self._own, self._client, self._seconds = own, client, seconds
        self._owners = {name: owners[name] for name in KEEPERS}

    def install(self, app: FastAPI) -> None:
        @app.get("/v1/audit")
        async def audit(request: Request, wanted: Annotated[Asked, Depends(asked)]) -> Response:
            return reply(await self.page(request, wanted), headers={"Cache-Control": "no-store"})

    async def page(self, request: Request, wanted: Asked) -> Shown:
        """Raises `Problem`."""
        own = await soon(self._own.page(wanted))  # refuses a bad token before anybody else is asked
        others = await asyncio.gather(*(self._of(owner, request) for owner in self._owners))
        return merged([own, *others], wanted)

    async def _of(self, owner: str, request: Request) -> Shown:
        """The same page of this owner, asked with the caller's own token. Raises `Problem` 502 or 503."""
        headers = {"Authorization": request.headers["authorization"], "X-Request-Id": request_id(request)}
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._client.get(
                    f"{self._owners[owner].rstrip('/')}/v1/audit",
                    params=httpx.QueryParams(request.url.query),
                    headers=headers | {"X-Correlation-Id": correlation_id(request)},
                )
            answer.raise_for_status()
            page: Any = answer.json()
            return {"items": list(page["items"])} | ({"nextPageToken": ""} if "nextPageToken" in page else {})
        except (TimeoutError, httpx.TimeoutException, httpx.ConnectError, httpx.HTTPStatusError) as error:
            log.warning("an owner of audit entries is away", owner=owner, error=type(error).__name__)
            after = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            raise Problem(503, "unavailable", "A service that keeps entries does not answer.", headers=after) from None
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("an owner of audit entries answered badly", owner=owner, error=type(error).__name__)
            raise Problem(502, "bad-gateway", "A service that keeps entries gave no readable answer.") from None
