"""The bytes of documents: kept by the documents service, sealed under the application's key, named by their hash."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from urllib.parse import quote

import httpx

from lendrail.contracts.sensitive import SealBroken
from lendrail.contracts.terms import DocumentRef
from lendrail.partners.exchange import Delivery, File
from lendrail.runtime.vault import Key

DEADLINE_SECONDS = 20.0
TOKEN_SECONDS = 20.0


class DocumentsAway(Exception):
    """The documents service does not answer; later it will."""


class Undeliverable(Exception):
    """This document can never be handed over; the text is a stable code."""


class Documents:
    """Fetches documents; each lane brings its own client."""

    def __init__(self, url: str, token: Callable[[], dict[str, str]]) -> None:
        """`token` gives the header by which our services know one another."""
        self._url, self._token = url.rstrip("/"), token
        self._header: tuple[float, dict[str, str]] = (0.0, {})

    async def file(self, client: httpx.AsyncClient, ref: DocumentRef, delivery: Delivery, key: Key) -> File:
        """Raises `DocumentsAway`, `Undeliverable`."""
        if delivery.by == "link":
            if ref.link is None:
                raise Undeliverable("document-without-link")
            return File(name=ref.name, kind=ref.kind, link=ref.link.reveal())
        return File(name=ref.name, kind=ref.kind, content=await self._bytes(client, ref, key))

    def _signed(self) -> dict[str, str]:
        """A token lives for a minute; signing one for each document would cost more than opening the document."""
        if time.monotonic() - self._header[0] > TOKEN_SECONDS or not self._header[1]:
            self._header = time.monotonic(), self._token()
        return self._header[1]

    async def _bytes(self, client: httpx.AsyncClient, ref: DocumentRef, key: Key) -> bytes:
        try:
            reply = await client.get(
                f"{self._url}/internal/documents/{quote(ref.id, safe='')}",
                headers=self._signed(),
                timeout=DEADLINE_SECONDS,
            )
        except httpx.HTTPError as error:
            raise DocumentsAway(type(error).__name__) from None
        if reply.status_code in (404, 410):
            raise Undeliverable("document-missing")
        if reply.status_code != 200:
            raise DocumentsAway(f"status {reply.status_code}")
        try:
            content = key.open_bytes(reply.content)
        except SealBroken:
            raise Undeliverable("document-damaged") from None
        if hashlib.sha256(content).hexdigest() != ref.sha256:
            raise Undeliverable("document-damaged")
        return content
