"""The proxy between us and the others, a process of its own: `python -m proofs.chaos.proxy CONFIG`.

Its own, because the driver's loop is full of traffic and answers late under load; a proxy that answers late would be a
fault that nobody planned. It is never killed and obeys one JSON line at a time on its control port.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from proofs.chaos.gates import Book, ByteGate, HttpGate
from proofs.chaos.toxics import Toxic, Toxics

HTTP, BYTES, MAIL = "http", "bytes", "mail"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Proxy:
    """Gates and the control port."""

    def __init__(self, note: Callable[[dict[str, Any]], None], marks: str, seed: int) -> None:
        self.toxics = Toxics(random.Random(seed))
        self.book = Book(note)
        self._marks = re.compile(marks.encode())
        self._servers: list[asyncio.Server] = []
        self._talks: set[asyncio.Task[Any]] = set()
        """Held here, since the loop alone would let go of a connection on which nothing happens for a while."""

    async def open(self, gate: dict[str, Any]) -> int:
        """Listen at the gate's `port` (0: any) for what goes `to` that port; the port."""
        made: HttpGate | ByteGate
        if gate["kind"] == HTTP:
            made = HttpGate(gate["to"], self.toxics, self.book, self._marks)
        else:
            made = ByteGate(gate["name"], gate["to"], self.toxics, self.book, mail=gate["kind"] == MAIL)
        return await self._listen(made.serve, gate["port"])

    async def control(self, port: int) -> int:
        return await self._listen(self._obey, port)

    async def close(self) -> None:
        self.toxics.clear()
        for server in self._servers:
            server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _listen(self, serve: Serve, port: int) -> int:
        def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(serve(reader, writer))
            self._talks.add(task)
            task.add_done_callback(self._talks.discard)

        server = await asyncio.start_server(talk, "127.0.0.1", port)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self.obey(json.loads(line))).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            pass
        finally:
            writer.close()

    def obey(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "on":
                return {"id": self.toxics.on(Toxic(**request["toxic"]))}
            case "off":
                self.toxics.off(request["id"])
            case "clear":
                self.toxics.clear()
        return {"passed": dict(self.book.passed), "struck": dict(self.book.struck)}


async def main(config: dict[str, Any], note: Callable[[dict[str, Any]], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    proxy = Proxy(note, config["marks"], config["seed"])
    for gate in config["gates"]:
        await proxy.open(gate)
    await proxy.control(config["control"])
    await stop.wait()
    await proxy.close()


def run(config: dict[str, Any]) -> None:
    with Path(config["notes"]).open("a", buffering=1) as notes:
        uvloop.run(main(config, lambda entry: print(json.dumps(entry), file=notes)))


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text()))
