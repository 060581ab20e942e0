"""Routes that other services own: passed on with the caller's own token, which the owner verifies again.

One table says which. Nothing is retried, no redirect is followed, and only the headers named here go through.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import httpx
import structlog
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse

from lendrail.gateway.uploads import whole
from lendrail.runtime.http import RETRY_AFTER_SECONDS, Problem, allow_body, correlation_id, request_id

log = structlog.get_logger()


@dataclass(frozen=True)
class Route:
    methods: tuple[str, ...]
    path: str
    owner: str
    public: bool = False
    """Without a bearer token: the path itself is the secret, so answers are never stored and never referred to."""
    most_bytes: int | None = None
    """Of a file, which goes through piece by piece; every other body is small and read whole before it is sent on."""


ROUTES = (
    Route(("POST",), "/v1/applications/preflight", "validation"),
    Route(("GET",), "/v1/schemas/{name}", "validation"),
    Route(("GET",), "/v1/amendments", "validation"),
    Route(("GET",), "/v1/opportunities/{id}", "status"),
    Route(("POST",), "/v1/opportunities/{id}/resend", "submission"),
    Route(("POST",), "/v1/opportunities/{id}/correct", "status"),
    Route(("POST",), "/v1/opportunities/{id}/pin", "status"),
    Route(("POST",), "/v1/opportunities/{id}/unpin", "status"),
    Route(("GET",), "/v1/orphans", "status"),
    Route(("GET",), "/v1/looks", "status"),
    Route(("GET",), "/v1/staleness", "status"),
    Route(("GET",), "/v1/desk", "status"),
    Route(("GET", "POST"), "/v1/desk/words", "status"),
    Route(("GET",), "/v1/desk/words/{id}", "status"),
    Route(("POST",), "/v1/desk/words/{id}/take-back", "status"),
    Route(("GET",), "/v1/desk/orphans", "status"),
    Route(("POST",), "/v1/desk/orphans/dismiss", "status"),
    Route(("POST",), "/v1/desk/orphans/{id}/merge", "status"),
    Route(("POST",), "/v1/desk/orphans/{id}/dismiss", "status"),
    Route(("GET",), "/v1/desk/disagreements", "status"),
    Route(("GET",), "/v1/desk/duplicates", "status"),
    Route(("POST",), "/v1/imports", "status", most_bytes=256 * 1024 * 1024),
    Route(("GET",), "/v1/imports", "status"),
    Route(("GET",), "/v1/imports/{id}", "status"),
    Route(("GET",), "/v1/attempts", "submission"),
    Route(("POST",), "/v1/attempts/{id}/resolve", "submission"),
    Route(("POST",), "/v1/attempts/{id}/inquiries/{operation}", "submission"),
    Route(("GET",), "/v1/partners", "submission"),
    Route(("GET",), "/v1/partners/{credential}/known", "submission"),
    Route(("POST",), "/v1/partners/{partner}/pause", "submission"),
    Route(("POST",), "/v1/partners/{partner}/resume", "submission"),
    Route(("POST",), "/v1/partners/{partner}/approve", "submission"),
    Route(("POST",), "/v1/partners/{partner}/revoke-approval", "submission"),
    Route(("GET",), "/v1/refusals", "submission"),
    Route(("GET", "POST"), "/v1/endpoints", "notifications"),
    Route(("DELETE",), "/v1/endpoints/{id}", "notifications"),
    Route(("GET",), "/v1/deliveries", "notifications"),
    Route(("GET",), "/v1/documents", "documents"),
    Route(("GET",), "/v1/documents/{id}", "documents"),
    Route(("POST",), "/v1/documents/{id}/links/revoke", "documents"),
    Route(("GET", "HEAD"), "/d/{token}", "documents", public=True),
)
REQUEST_HEADERS = ("authorization", "content-type", "accept", "idempotency-key", "if-none-match")
FILE_SECONDS = 600.0
"""How long a file may take on its way through."""
ANSWER_HEADERS = (
    "content-type",
    "content-length",
    "content-disposition",
    "cache-control",
    "etag",
    "vary",
    "location",
    "retry-after",
    "www-authenticate",
    "idempotency-replayed",
)
SECRET_PATH_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Forwarder:
    """Passes requests on to the services at `owners`."""

    def __init__(self, client: httpx.AsyncClient, owners: Mapping[str, str], seconds: float) -> None:
        self._client, self._owners, self._seconds = client, owners, seconds

    def install(self, app: FastAPI) -> None:
        for route in ROUTES:
            app.add_api_route(route.path, self._endpoint(route), methods=list(route.methods), include_in_schema=False)
            if route.most_bytes is not None:
                allow_body(app, "POST", re.escape(route.path), route.most_bytes)

    def _endpoint(self, route: Route) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await self.forward(route, request)

        return endpoint

    async def forward(self, route: Route, request: Request) -> Response:
        """The owner's answer, streamed. Raises `Problem` 404, 502 or 503."""
        if not _plain(request.scope["path"]):
            raise Problem(404, "not-found", "There is nothing here.")
        url = httpx.URL(self._owners[route.owner]).copy_with(raw_path=_target(request))
        headers, seconds = _headers(request), self._seconds
        if route.most_bytes is None:
            outgoing = self._client.build_request(
                request.method, url, headers=headers, content=await request.body() or None
            )
        else:
            seconds, length = FILE_SECONDS, request.headers.get("content-length")
            headers |= {"Content-Length": length} if length is not None else {}
            outgoing = self._client.build_request(
                request.method, url, headers=headers, content=whole(request), timeout=seconds
            )
        answer = await self._send(route, outgoing, seconds)
        told = {name: answer.headers[name] for name in ANSWER_HEADERS if name in answer.headers}
        more = SECRET_PATH_HEADERS if route.public else {}
        return StreamingResponse(self._body(answer), answer.status_code, {**told, **more})

    async def _send(self, route: Route, outgoing: httpx.Request, seconds: float) -> httpx.Response:
        try:
            async with asyncio.timeout(seconds):
                return await self._client.send(outgoing, stream=True)
        except (TimeoutError, httpx.TimeoutException, httpx.ConnectError) as error:
            log.warning("the owner of a route is away", owner=route.owner, error=type(error).__name__)
            after = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            detail = "The service behind this route does not answer; look whether it took effect before you repeat it."
            raise Problem(503, "unavailable", detail, headers=after) from None
        except httpx.HTTPError as error:
            log.warning("the owner of a route answered badly", owner=route.owner, error=type(error).__name__)
            raise Problem(502, "bad-gateway", "The service behind this route gave no readable answer.") from None

    async def _body(self, answer: httpx.Response) -> AsyncIterator[bytes]:
        try:
            async with asyncio.timeout(self._seconds * 4):
                async for chunk in answer.aiter_raw():
                    yield chunk
        finally:
            await answer.aclose()


def _plain(path: str) -> bool:
    """No part that could make the owner read another path than the one whose route matched."""
    parts = path.split("/")[1:]
    return all(part not in ("", ".", "..") and not set(part) & set("%\\") for part in parts) and path.isprintable()


def _target(request: Request) -> bytes:
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    return path.partition(b"?")[0] + (b"?" + query if query else b"")


def _headers(request: Request) -> dict[str, str]:
    passed = {name: request.headers[name] for name in REQUEST_HEADERS if name in request.headers}
    ids = {"X-Request-Id": request_id(request), "X-Correlation-Id": correlation_id(request)}
    return passed | ids | {"Accept-Encoding": "identity"}
