"""Bytes of documents on their way through: streamed to the documents service, never whole in our memory.

Only that service looks into them: it says what they are, and stores them sealed under the application's key.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import structlog
from fastapi import Request
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from lendrail.contracts.terms import DocumentRef
from lendrail.runtime.http import RETRY_AFTER_SECONDS, Problem, correlation_id, request_id
from lendrail.runtime.tokens import ServiceTokens

log = structlog.get_logger()
NOBODY = DocumentRef(id="none", kind="other", name="none", content_type="none", sha256="0" * 64, size=0)
"""In place of a document while it is asked whether one could be added at all."""
TOLD = frozenset({400, 408, 410, 413, 415, 422, 429})
"""Answers about the file or the application, which the caller is told as they are."""


class Uploads:
    def __init__(self, client: httpx.AsyncClient, documents: str, tokens: ServiceTokens, seconds: float) -> None:
        self._client, self._documents, self._tokens, self._seconds = client, documents.rstrip("/"), tokens, seconds

    async def bring(self, request: Request, application: str, kind: str, name: str | None) -> DocumentRef:
        """The document that the body became; the same bytes again become the same one. Raises `Problem`."""
        ids = {"X-Request-Id": request_id(request), "X-Correlation-Id": correlation_id(request)}
        length = request.headers.get("content-length")
        sized = {"Content-Length": length} if length is not None else {}
        return await self._send(whole(request), application, kind, name, ids | sized)

    async def bring_bytes(self, content: bytes, application: str, kind: str, name: str | None) -> DocumentRef:
        """The same for a file that is here already. Raises `Problem`."""
        return await self._send(content, application, kind, name, {})

    async def _send(
        self, content: bytes | AsyncIterator[bytes], application: str, kind: str, name: str | None, ids: dict[str, str]
    ) -> DocumentRef:
        about = {"X-Key-Id": application, "Content-Type": "application/octet-stream"}
        outgoing = self._client.build_request(
            "PUT",
            f"{self._documents}/internal/applications/{application}/documents",
            params={"kind": kind} | ({"name": name} if name is not None else {}),
            headers=self._tokens.header() | ids | about,
            content=content,
            timeout=self._seconds,
        )
        return _document(await self._answer(outgoing))

    async def _answer(self, outgoing: httpx.Request) -> httpx.Response:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._client.send(outgoing)
        except (TimeoutError, httpx.TimeoutException, httpx.ConnectError) as error:
            log.warning("the documents service is away", error=type(error).__name__)
            raise _away() from None
        except httpx.HTTPError as error:
            log.warning("the documents service answered badly", error=type(error).__name__)
            raise Problem(502, "bad-gateway", "The documents service gave no readable answer.") from None


async def whole(request: Request) -> AsyncIterator[bytes]:
    """The body, part by part. Raises `Problem` 400 where the caller goes away in the middle, so that nobody takes what
    came until then for all of it.
    """
    try:
        async for part in request.stream():
            if part:
                yield part
    except ClientDisconnect:
        raise Problem(400, "upload-cut", "The file did not come whole; nothing was stored.") from None


async def digest(request: Request) -> str:
    """SHA-256 of a body that need not be stored again."""
    found = hashlib.sha256()
    async for part in whole(request):
        found.update(part)
    return found.hexdigest()


def _document(answer: httpx.Response) -> DocumentRef:
    """Raises `Problem`: what the documents service found wrong with the file, or 502 and 503."""
    try:
        told: Any = answer.json()
        if answer.status_code == 201:
            return DocumentRef.model_validate(told.get("document", told))
        if answer.status_code in TOLD:
            raise Problem(answer.status_code, str(told["code"]), str(told["detail"]), headers=_after(answer))
    except (ValueError, KeyError, AttributeError, TypeError, ValidationError):
        raise Problem(502, "bad-gateway", "The documents service gave no readable answer.") from None
    log.warning("the documents service took no upload", status=answer.status_code)
    raise _away()


def _after(answer: httpx.Response) -> dict[str, str]:
    return {"Retry-After": answer.headers["retry-after"]} if "retry-after" in answer.headers else {}


def _away() -> Problem:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    detail = "The service behind this route does not answer; repeat the request with the same key."
    return Problem(503, "unavailable", detail, headers=headers)
