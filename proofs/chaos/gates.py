"""Two gates of a proxy: one that understands HTTP and sees single requests, one that only passes bytes on."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from proofs.chaos import wire
from proofs.chaos.shapes import Outcome
from proofs.chaos.toxics import Active, Direction, Toxics, first

CHUNK = 64 * 1024
MAIL_BYTES = 4096
"""So many bytes sent at a stretch are a mail; what is said to get that far is shorter."""
BROKEN = (OSError, asyncio.IncompleteReadError, wire.Malformed)
Writer = asyncio.StreamWriter


@dataclass(kw_only=True)
class Entry:
    """One line of the proxy's book; times are seconds since the epoch."""

    partner: str
    began: float
    ended: float = 0.0
    outcome: Outcome = "undelivered"
    toxic: str | None = None
    body: str = ""
    marks: tuple[str, ...] = ()


class Book:
    """What passed: every call to a partner by `note`, everything by numbers."""

    def __init__(self, note: Callable[[dict[str, Any]], None]) -> None:
        self._note = note
        self.passed: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()

    def close(self, entry: Entry) -> None:
        entry.ended = time.time()
        self._note(asdict(entry))

    def count(self, target: str, struck: bool) -> None:
        (self.struck if struck else self.passed)[target] += 1


class Client:
    """The end that called us."""

    def __init__(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        self.reader, self.writer = reader, writer

    @property
    def gone(self) -> bool:
        return self.reader.at_eof() or self.reader.exception() is not None or self.writer.is_closing()

    async def wait_gone(self) -> None:
        while not self.gone:  # noqa: ASYNC110 - a stream tells of its end only to who reads from it
            await asyncio.sleep(0.05)


class HttpGate:
    """Takes one request after the other, each on its way to the partner that its path begins with."""

    def __init__(self, to: int, toxics: Toxics, book: Book, marks: re.Pattern[bytes]) -> None:
        self._to, self._toxics, self._book, self._marks = to, toxics, book, marks

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        client = Client(reader, writer)
        try:
            while (request := await wire.request(reader)) is not None:
                if not await self._pass(request, client):
                    break
        except BROKEN:
            pass
        finally:
            writer.close()

    async def _pass(self, request: wire.Message, client: Client) -> bool:
        """Whether the connection may be used again."""
        partner = request.path.split("/")[1]
        struck = self._toxics.struck(partner)
        entry = Entry(
            partner=partner,
            began=time.time(),
            toxic=",".join(a.toxic.kind for a in struck) or None,
            body=hashlib.sha256(request.body).hexdigest(),
            marks=tuple({found.group().decode() for found in self._marks.finditer(request.raw)}),
        )
        try:
            return await self._exchange(request, client, struck, entry)
        finally:
            self._book.close(entry)
            self._book.count(partner, entry.outcome != "answered")

    async def _exchange(self, request: wire.Message, client: Client, struck: list[Active], entry: Entry) -> bool:
        if await _stopped(struck, "up", client):
            return False
        await self._toxics.slow(struck, "up", len(request.raw))
        if client.gone:
            return False
        reply = await self._ask(request, entry)
        if reply is None or await _dropped(struck, client) or await _stopped(struck, "down", client):
            return False
        await self._toxics.slow(struck, "down", len(reply.raw))
        cut = first(struck, "cut", "down")
        if client.gone or cut is not None:
            client.writer.write(reply.raw[: cut.toxic.bytes if cut else 0])
            await client.writer.drain()
            return False
        client.writer.write(reply.raw)
        await client.writer.drain()
        if reply.whole:
            entry.outcome = "answered"
        return reply.whole and not reply.closes and not request.closes

    async def _ask(self, request: wire.Message, entry: Entry) -> wire.Message | None:
        """What the partner says; a connection for each request, so that none meets one that it has just closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._to)
        try:
            entry.outcome = "unanswered"
            writer.write(request.raw)
            await writer.drain()
            return await wire.reply(reader, request.method)
        finally:
            writer.close()


async def _stopped(struck: list[Active], direction: Direction, client: Client) -> bool:
    """Whether nothing goes on in that direction; returns when the client need not wait any longer."""
    if first(struck, "reset", direction) is not None:
        reset(client.writer)
        return True
    hole = first(struck, "black-hole", direction)
    if hole is None:
        return False
    ends = [asyncio.ensure_future(hole.over.wait()), asyncio.ensure_future(client.wait_gone())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for each in ends:
        each.cancel()
    return True


async def _dropped(struck: list[Active], client: Client) -> bool:
    if first(struck, "drop-reply", "down") is None:
        return False
    client.writer.close()
    return True


def reset(writer: Writer) -> None:
    """Close with RST, as a network box does that has forgotten the connection."""
    known = writer.get_extra_info("socket")
    if known is not None and known.fileno() >= 0:
        with socket.fromfd(known.fileno(), socket.AF_INET, socket.SOCK_STREAM) as ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class ByteGate:
    """Passes bytes on for one target. For one that is reached by mail it notes each mail."""

    def __init__(self, target: str, to: int, toxics: Toxics, book: Book, *, mail: bool = False) -> None:
        self._target, self._to, self._toxics, self._book, self._mail = target, to, toxics, book, mail

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            reset(writer)
            return
        talk = Talk(self._target, self._toxics, self._book if self._mail else None, (writer, upstream[1]))
        pumps = [
            asyncio.ensure_future(talk.pump(reader, upstream[1], "up")),
            asyncio.ensure_future(talk.pump(upstream[0], writer, "down")),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            talk.end()
        if not self._mail:
            self._book.count(self._target, bool(talk.kinds))


class Talk:
    """One connection through a ByteGate."""

    def __init__(self, target: str, toxics: Toxics, book: Book | None, ends: tuple[Writer, Writer]) -> None:
        self._target, self._toxics, self._book, self._ends = target, toxics, book, ends
        self._struck: dict[Active, bool] = {}
        self.kinds: set[str] = set()
        self._stretch, self._began = 0, time.time()
        """Bytes sent up since the last that came down, and when the first of them was."""
        self._left: dict[Active, int] = {}

    async def pump(self, source: asyncio.StreamReader, sink: Writer, direction: Direction) -> None:
        """Until one end closes, or a toxic does."""
        try:
            while data := await source.read(CHUNK):
                if direction == "up":
                    self._began = time.time() if not self._stretch else self._began
                    self._stretch += len(data)
                passed = await self._through(data, direction)
                if passed is None:
                    return
                sink.write(passed)
                await sink.drain()
                if direction == "down":
                    self._close("answered")
        except OSError:
            return

    async def _through(self, data: bytes, direction: Direction) -> bytes | None:
        """What goes on of `data`; None: the connection has ended."""
        struck = [active for active in self._toxics.of(self._target) if self._strikes(active)]
        if first(struck, "reset", direction) is not None:
            self._break("reset", direction)
            return None
        if (hole := first(struck, "black-hole", direction)) is not None:
            self.kinds.add("black-hole")
            await hole.over.wait()
            self._break("black-hole", direction)
            return None
        if direction == "down":
            drop = first(struck, "drop-reply", "down")
            if drop is not None and self._stretch >= drop.toxic.bytes:
                self._break("drop-reply", direction)
                return None
            if (cut := first(struck, "cut", "down")) is not None:
                return self._cut(cut, data)
        slow = [a for a in struck if a.toxic.kind in ("latency", "bandwidth") and a.toxic.direction == direction]
        self.kinds.update(active.toxic.kind for active in slow)
        await self._toxics.slow(slow, direction, len(data))
        return data

    def _strikes(self, active: Active) -> bool:
        """Drawn once for each toxic."""
        if active not in self._struck:
            self._struck[active] = self._toxics.strikes(active.toxic)
        return self._struck[active]

    def _cut(self, cut: Active, data: bytes) -> bytes | None:
        left = self._left.get(cut, cut.toxic.bytes)
        self._left[cut] = left - len(data)
        if left >= len(data):
            self.kinds.add("cut")
            return data
        self._ends[0].write(data[: max(0, left)])
        self._break("cut", "down")
        return None

    def _break(self, kind: str, direction: Direction) -> None:
        self.kinds.add(kind)
        self._close("unanswered" if direction == "down" else "unknown")
        for end in self._ends:
            reset(end)

    def end(self) -> None:
        """Whatever was not answered will not be."""
        self._close("unknown" if self.kinds else "unanswered")
        for end in self._ends:
            end.close()

    def _close(self, outcome: Outcome) -> None:
        """A stretch has come to its end; one that was long enough was a mail."""
        if self._book is not None and self._stretch >= MAIL_BYTES:
            toxic = ",".join(sorted(self.kinds)) or None
            self._book.close(Entry(partner=self._target, began=self._began, outcome=outcome, toxic=toxic))
            self._book.count(self._target, outcome != "answered")
        self._stretch = 0
