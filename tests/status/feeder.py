"""A partner with a feed, over a real socket: numbered entries in pages, read from a number on, perhaps acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.status.bench import PARTNER, Deal

from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Hint, Page, Reply, Request
from lendrail.partners.partner import Capability, Feed, Operation, Partner

PAGE = 3


@dataclass
class Feeder:
    """What the partner has to tell, and what it was asked. `answers` are given instead of the next ones."""

    entries: list[tuple[str, str, str]] = field(default_factory=list)
    gone: set[int] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    overlap: int = 1
    stuck: bool = False
    url: str = ""

    def tell(self, deal: Deal, word: str, reference: str = "") -> None:
        self.entries.append(("" if reference else deal.partner_id, word, reference))

    def page(self, after: int) -> bytes:
        left = [(n, each) for n, each in enumerate(self.entries, start=1) if n > after and n not in self.gone]
        shown = left[:PAGE]
        told = {"entries": [[n, *each] for n, each in shown], "more": len(left) > PAGE or self.stuck}
        return answer(200, json.dumps(told))

    def reply(self, method: str, target: str, body: bytes) -> bytes:
        self.asked.append(f"{method} {target}")
        if self.answers:
            return self.answers.pop(0)
        if method == "POST":
            self.gone |= set(json.loads(body))
            return answer(200, "{}")
        return self.page(int(parse_qs(urlsplit(target).query).get("after", ["0"])[0]))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                method, target, _ = head.split(" ", 2)
                length = head.partition("content-length: ")[2].split("\r\n")[0]
                body = await reader.readexactly(int(length or 0))
                writer.write(self.reply(method.upper(), target, body))
                await writer.drain()
        writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Feeder]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    def partner(self, *, acknowledged: bool = False, **changes: Any) -> Partner:
        """Forward Financing with this feed."""
        known = PARTNERS[PARTNER]
        harmless = Operation(capability=Capability.HARMLESS, deadline=5.0)
        feed = Feed(
            every=3600.0, request=self.request, page=self.read, acknowledge=acknowledge if acknowledged else None
        )
        operations = {**known.operations, "feed": harmless, "acknowledge": harmless}
        fields: dict[str, Any] = {"feed": feed, "operations": operations} | changes
        return replace(known, **fields)

    def request(self, cursor: str | None, now: dt.datetime) -> Request:
        after = max(int(cursor) - self.overlap, 0) if cursor else 0
        return Request(operation="feed", method="GET", path="/feed", query=(("after", str(after)),))

    def read(self, reply: Reply) -> Page | None:
        """Raises where a careless translation would."""
        if reply.status != 200 or not reply.content.startswith(b"{"):
            return None
        told = json.loads(reply.content)
        hints = tuple(Hint(each[1], each[2], each[3] or None) for each in told["entries"])
        numbers = [each[0] for each in told["entries"]]
        cursor = str(max(numbers)) if numbers and not self.stuck else None
        return Page(hints, cursor, told["more"], tuple(map(str, numbers)))


def acknowledge(entries: tuple[str, ...]) -> Request:
    content = json.dumps([int(each) for each in entries]).encode()
    return Request(operation="acknowledge", method="POST", path="/acknowledge", content=content)


def answer(status: int, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Any", f"content-length: {len(body.encode())}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
