"""A partner's address on a real socket, which notes who knocks with which key, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FrontDesk:
    """Answers every request alike. `keys` are those that came, in order."""

    def __init__(self, status: str, body: bytes) -> None:
        self.keys: list[str] = []
        self.url = ""
        self._answer = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
                await reader.readexactly(int(fields.get("content-length", 0)))
                self.keys.append(fields.get("api_key", ""))
                writer.write(self._answer)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def front_desk(status: str, body: bytes) -> AsyncIterator[FrontDesk]:
    desk = FrontDesk(status, body)
    server = await asyncio.start_server(desk._serve, "127.0.0.1", 0)
    desk.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield desk
    finally:
        server.close()
