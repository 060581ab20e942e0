"""HTTP/1.1 messages as bytes: where one ends, and the little of it that a proxy has to know."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 64 * 1024 * 1024


class Malformed(Exception):
    """No message that we can find the end of."""


@dataclass(frozen=True)
class Message:
    """One request or reply, byte for byte."""

    start: str
    headers: dict[str, str]
    head: bytes
    body: bytes
    """As it was sent: with the frames of its chunks, if it came in chunks."""
    whole: bool
    """False: the connection ended before the message did."""
    ends_with_connection: bool = False

    @property
    def raw(self) -> bytes:
        return self.head + self.body

    @property
    def method(self) -> str:
        return self.start.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.start.split(" ")[1]

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])

    @property
    def closes(self) -> bool:
        """Whether its sender uses the connection no more."""
        said = self.headers.get("connection", "").lower() == "close"
        return said or self.ends_with_connection or self.start.startswith("HTTP/1.0")


async def request(reader: asyncio.StreamReader) -> Message | None:
    """The next request; None when there is none any more, or not all of it. Raises Malformed."""
    head = await _head(reader)
    if head is None:
        return None
    start, headers = _read(head)
    if len(start.split(" ")) != 3:
        raise Malformed
    body, whole = b"", True
    if "content-length" in headers or "transfer-encoding" in headers:
        body, whole = await _body(reader, headers)
    return Message(start, headers, head, body, whole) if whole else None


async def reply(reader: asyncio.StreamReader, method: str) -> Message | None:
    """The reply to a request of that method, however much of it came; None: not even its head. Raises Malformed."""
    head = await _head(reader)
    if head is None:
        return None
    start, headers = _read(head)
    if not start.startswith("HTTP/1."):
        raise Malformed
    message = Message(start, headers, head, b"", True)
    if 100 <= message.status < 200:
        return await reply(reader, method)
    if method == "HEAD" or message.status in (204, 304):
        return message
    if "content-length" not in headers and "transfer-encoding" not in headers:
        return replace(message, body=await reader.read(), ends_with_connection=True)
    body, whole = await _body(reader, headers)
    return replace(message, body=body, whole=whole)


async def _head(reader: asyncio.StreamReader) -> bytes | None:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise Malformed from None


def _read(head: bytes) -> tuple[str, dict[str, str]]:
    start, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return start, {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> tuple[bytes, bool]:
    """What follows the head, and whether that is all."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _chunks(reader)
    length = headers.get("content-length", "")
    if not length.isdecimal() or int(length) > BODY_LIMIT:
        raise Malformed
    try:
        return await reader.readexactly(int(length)), True
    except asyncio.IncompleteReadError as cut:
        return cut.partial, False


async def _chunks(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    parts: list[bytes] = []
    try:
        while True:
            line = await reader.readuntil(b"\r\n")
            parts.append(line)
            size = int(line.split(b";")[0], 16)
            if size > BODY_LIMIT:
                raise Malformed
            if size == 0:
                return b"".join([*parts, await _trailer(reader)]), True
            parts.append(await reader.readexactly(size + 2))
    except asyncio.IncompleteReadError as cut:
        return b"".join([*parts, cut.partial]), False
    except ValueError:
        raise Malformed from None


async def _trailer(reader: asyncio.StreamReader) -> bytes:
    lines = [await reader.readuntil(b"\r\n")]
    while lines[-1] != b"\r\n":
        lines.append(await reader.readuntil(b"\r\n"))
    return b"".join(lines)
