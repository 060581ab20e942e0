"""The driver's side of the proxy: starts it, switches toxics, reads its book."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lendrail.local.servers.ports import listening
from lendrail.local.servers.process import Process, wait_until
from proofs.chaos.shapes import Call
from proofs.chaos.toxics import Toxic

UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
"""The form of our references."""
PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Gate:
    """`kind` is http, bytes or mail; `name` is the toxics' target, except for http, where the path names it."""

    name: str
    kind: str
    port: int
    to: int


@dataclass(frozen=True)
class Counts:
    """Calls or connections of each target since the proxy began."""

    passed: Mapping[str, int]
    struck: Mapping[str, int]


class Remote:
    """A running proxy."""

    def __init__(self, folder: Path, control: int, gates: Sequence[Gate], marks: str = UUID, seed: int = 0) -> None:
        self._config, self._notes = folder / "proxy.json", folder / "proxy-notes.jsonl"
        self._control = control
        self._told = {"control": control, "notes": str(self._notes), "marks": marks, "seed": seed}
        self._gates = [asdict(gate) for gate in gates]
        command = [sys.executable, "-m", "proofs.chaos.proxy", str(self._config)]
        environment = os.environ | {"PYTHONPATH": str(PROJECT)}
        self.process = Process("proxy", command, folder / "proxy.log", environment)

    def start(self) -> None:
        """Raises ServerError."""
        self._config.parent.mkdir(parents=True, exist_ok=True)
        self._config.write_text(json.dumps(self._told | {"gates": self._gates}))
        self.process.start()
        wait_until(20, "the proxy did not start", lambda: listening(self._control), self.process)

    def stop(self) -> None:
        self.process.stop()

    async def on(self, toxic: Toxic) -> str:
        """Its id."""
        return str((await self._ask(do="on", toxic=asdict(toxic)))["id"])

    async def off(self, toxic: str) -> None:
        await self._ask(do="off", id=toxic)

    async def clear(self) -> None:
        await self._ask(do="clear")

    async def counts(self) -> Counts:
        answer = await self._ask(do="counts")
        return Counts(answer["passed"], answer["struck"])

    async def _ask(self, **request: Any) -> dict[str, Any]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._control)
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(await reader.readline())
            return answer
        finally:
            writer.close()

    def calls(self) -> list[Call]:
        """All that the proxy has noted so far."""
        if not self._notes.exists():
            return []
        return [_call(json.loads(line)) for line in self._notes.read_text().splitlines()]


def _call(entry: dict[str, Any]) -> Call:
    times = {name: dt.datetime.fromtimestamp(entry[name], dt.UTC) for name in ("began", "ended")}
    return Call(**entry | times | {"marks": tuple(entry["marks"])})
