"""A tenant's endpoint that keeps its own book of notices: under which id what came, and how often."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
Version = tuple[str, int]
"""An opportunity, or an application that has none; and the version of its truth."""


@dataclass
class Subscriber:
    """Listens on loopback, and answers 200 once it has noted what came."""

    url: str = ""
    told: Counter[str] = field(default_factory=Counter)
    """How often each id came."""
    versions: dict[Version, set[str]] = field(default_factory=dict)
    """Under which ids each version came."""
    contents: dict[str, set[str]] = field(default_factory=dict)
    order: dict[str, list[int]] = field(default_factory=dict)
    """The versions of each opportunity in the order in which they first came."""

    @contextlib.asynccontextmanager
    async def open(self) -> Any:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/notices"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = (line.partition(":") for line in head.splitlines()[1:] if line)
                headers = {name.lower(): value.strip() for name, _, value in lines}
                self._note(headers["webhook-id"], await reader.readexactly(int(headers["content-length"])))
                writer.write(OK)
                await writer.drain()
        writer.close()

    def _note(self, id: str, body: bytes) -> None:
        data = json.loads(body)["data"]
        about, version = data.get("opportunityId") or data["applicationId"], int(data["version"])
        self.told[id] += 1
        self.versions.setdefault((about, version), set()).add(id)
        self.contents.setdefault(id, set()).add(hashlib.sha256(body).hexdigest())
        if self.told[id] == 1:
            self.order.setdefault(about, []).append(version)

    def renumbered(self) -> list[str]:
        """Versions under several ids, and ids with several contents."""
        named = [f"{about} v{number}" for (about, number), ids in self.versions.items() if len(ids) > 1]
        return named + [id for id, contents in self.contents.items() if len(contents) > 1]

    def repeated(self) -> int:
        return sum(times - 1 for times in self.told.values())

    def disordered(self) -> list[str]:
        """Opportunities of which an older version first came behind a newer one."""
        return [about for about, numbers in self.order.items() if numbers != sorted(numbers)]
