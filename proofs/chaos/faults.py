"""Carries faults out and undoes them. Touches only processes that the ground started, by pid and time of their start.

The clock of a fault: it begins when the signal goes out or the toxic is on. It ends when a service's process has been
started again (its way to being ready counts as time to progress), when a server serves again, when a frozen process
may go on, when a toxic or dial is off.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from lendrail.local import control
from lendrail.local.programs import SERVICES
from lendrail.local.servers import ServerError
from lendrail.local.servers.process import started_at
from lendrail.local.state import read_json
from proofs.chaos.ground import Ground
from proofs.chaos.plan import SERVERS
from proofs.chaos.progress import Progress
from proofs.chaos.shapes import Carried, Fault
from proofs.chaos.toxics import Toxic

STOP_SECONDS, WELL_SECONDS = 15.0, 120.0
SHIM = Path(__file__).parent / "skew"
"""Holds a `sitecustomize.py` that moves the clocks of the Python that finds it."""
TROUBLE = (OSError, ServerError, httpx.HTTPError, TimeoutError)
AGAIN_SECONDS = 5.0


class Unwell(Exception):
    """Something did not come back; the message names it."""


class Faults:
    """Use as `async with`: whatever happens inside, all is well again behind it."""

    def __init__(self, ground: Ground, told: Callable[[Carried], None] = lambda _: None) -> None:
        self.carried: list[Carried] = []
        self.under_way: list[Fault] = []
        self.troubles: list[str] = []
        """What went wrong with a fault itself: it was not made, or not as planned."""
        self.spoilt: list[Carried] = []
        """Faults that were not made to their end. What they did may have been felt all the same."""
        self.progress = Progress(ground)
        self._ground, self._told = ground, told
        self.start, self._began = dt.datetime.now(dt.UTC), time.monotonic()
        """One moment by both clocks: the clock of the run counts from it."""
        self._locks: dict[tuple[bool, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._measures: set[asyncio.Task[None]] = set()
        self._ill: set[str] = set()
        """Services that run with a label or a clock that is not theirs."""
        self._killed: dict[str, float] = {}
        """When each service was killed last: it lives, and may begin a call, until then."""
        self._dials: set[str] = set()
        """Those that are on."""
        fresh = httpx.Limits(max_keepalive_connections=0)  # the sandbox closes what is idle, also just before a call
        self._sandbox = httpx.AsyncClient(base_url=ground.sandbox, trust_env=False, timeout=30, limits=fresh)

    async def __aenter__(self) -> Self:
        self._following = asyncio.create_task(self.progress.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        try:
            await self.well()
        finally:
            for task in (self._following, *self._measures):
                task.cancel()
            await asyncio.gather(self._following, *self._measures, return_exceptions=True)
            await self._sandbox.aclose()

    def now(self) -> float:
        """The clock of the run."""
        return time.monotonic() - self._began

    async def carry(self, faults: Iterable[Fault]) -> None:
        """Make each at its time; returns when the last has ended and its progress was measured."""
        self.start, self._began = dt.datetime.now(dt.UTC), time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                group.create_task(self._one(fault))
        await asyncio.gather(*self._measures)

    async def _one(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at - self.now())
        process = fault.target in (*SERVICES, *SERVERS) and fault.kind != "network"
        async with self._locks[process, fault.target]:
            self.under_way.append(fault)
            began = self.now()
            try:
                await self._make(fault)
            except TROUBLE as error:
                self.troubles.append(f"{fault.kind} of {fault.target} at {fault.at:.0f} s: {error!r:.300}")
                self.spoilt.append(Carried(fault=fault, began=began, ended=self.now()))
                return
            finally:
                self.under_way.remove(fault)
            if fault.kind == "kill":
                began = self._killed[fault.target]
            measure = asyncio.create_task(self._measured(fault, began, self.now()))
            self._measures.add(measure)

    async def _measured(self, fault: Fault, began: float, ended: float) -> None:
        progress = None
        try:
            progress = await self.progress.since(fault.target)
        except TROUBLE as error:
            self.troubles.append(f"progress of {fault.target} after {fault.kind}: {error!r:.300}")
        made = Carried(fault=fault, began=began, ended=ended, progress=progress)
        self.carried.append(made)
        self._told(made)

    async def _make(self, fault: Fault) -> None:
        match fault.kind:
            case "kill":
                self._signal(fault.target, signal.SIGKILL)
                self._killed[fault.target] = self.now()
                await asyncio.sleep(fault.seconds)
                await self._start(fault.target)
            case "kill-at":
                await self._kill_at(fault)
            case "freeze":
                await self._freeze(fault)
            case "server-kill":
                server = self._ground.server(fault.target)
                await asyncio.to_thread(server.kill)
                await asyncio.sleep(fault.seconds)
                await asyncio.to_thread(server.start)
            case "network":
                await self._network(fault)
            case "partner" | "webhooks":
                await self._dial(fault)
            case "skew":
                await self._skew(fault)

    async def _kill_at(self, fault: Fault) -> None:
        """Started again to die at its label. When it has not come there in time it is started again all the same."""
        self._ill.add(fault.target)
        label = f"{fault.detail['label']}#{fault.detail['count']}"
        await self._start(fault.target, LENDRAIL_FAULT_AT=label)
        if not await self._died(fault.target, fault.seconds):
            self.troubles.append(f"{fault.target} did not come to {label} within {fault.seconds:.0f} s")
        await self._start(fault.target)
        self._ill.discard(fault.target)

    async def _freeze(self, fault: Fault) -> None:
        self._signal(fault.target, signal.SIGSTOP)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            self._signal(fault.target, signal.SIGCONT)

    async def _network(self, fault: Fault) -> None:
        name = await self._ground.proxy.on(Toxic(target=fault.target, **fault.detail))
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            await self._ground.proxy.off(name)

    async def _dial(self, fault: Fault) -> None:
        reply = await self._sandbox.post(f"/_dials/{fault.target}", json={"dials": [dict(fault.detail)]})
        dials = {f"/_dials/{fault.target}/{each['id']}" for each in reply.raise_for_status().json()["dials"]}
        self._dials |= dials
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            await self._take_away(dials)

    async def _take_away(self, dials: set[str]) -> None:
        for dial in dials:
            (await self._sandbox.delete(dial)).raise_for_status()
            self._dials.discard(dial)

    async def _skew(self, fault: Fault) -> None:
        """Stopped politely both times, as for an upgrade: that too has to lose nothing."""
        self._ill.add(fault.target)
        path = os.pathsep.join(filter(None, [str(SHIM), os.environ.get("PYTHONPATH")]))
        await self._stop(fault.target)
        await self._start(fault.target, PYTHONPATH=path, PROOFS_SKEW_SECONDS=str(fault.detail["skew"]))
        await asyncio.sleep(fault.seconds)
        await self._stop(fault.target)
        await self._start(fault.target)
        self._ill.discard(fault.target)

    async def _start(self, service: str, **environment: str) -> None:
        """Without waiting until it is ready; one that still lives is stopped first. Raises ServerError."""
        if environment:
            self._signal(service, signal.SIGKILL)
        done, said = await asyncio.to_thread(control.ask, self._ground.state, "start", service, environment)
        if not done:
            raise ServerError(said)

    async def _stop(self, service: str) -> None:
        self._signal(service, signal.SIGTERM)
        await self._died(service, STOP_SECONDS)

    async def _died(self, service: str, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self.pid(service) is not None:
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.02)
        return True

    def pid(self, name: str) -> int | None:
        """Of a process that the ground started and that lives."""
        if name in SERVERS:
            process = self._ground.server(name).process
            return process.pid if process.alive() else None
        known = read_json(self._ground.state.processes).get(name, {})
        alive = known.get("pid") and started_at(known["pid"]) == known["started"]
        return int(known["pid"]) if alive else None

    def _signal(self, name: str, number: signal.Signals) -> None:
        """Nothing when it does not live."""
        pid = self.pid(name)
        if pid is not None:
            os.kill(pid, number)

    async def well(self) -> None:
        """Undo everything, start what is dead, wait until all is ready. Raises Unwell."""
        await self._quietly(self._ground.proxy.clear())
        await self._quietly(self._take_away(set(self._dials)))
        for name in (*SERVICES, *SERVERS):
            self._signal(name, signal.SIGCONT)
        for name in SERVERS:
            if self.pid(name) is None:
                await self._quietly(asyncio.to_thread(self._ground.server(name).start))
        for service in SERVICES:
            if self.pid(service) is None or service in self._ill:
                await self._quietly(self._start(service))
        self._ill.clear()
        await self._all_ready()

    async def _quietly(self, work: Any) -> None:
        try:
            await work
        except TROUBLE as error:
            self.troubles.append(f"while all was made well again: {error!r:.300}")

    async def _all_ready(self) -> None:
        end, looked = time.monotonic() + WELL_SECONDS, time.monotonic()
        while missing := [each for each in SERVICES if not await self.progress.ready(each)]:
            if time.monotonic() > end:
                raise Unwell(f"not ready after {WELL_SECONDS:.0f} s: {', '.join(missing)}; {'; '.join(self.troubles)}")
            if time.monotonic() - looked > AGAIN_SECONDS:
                looked = time.monotonic()
                for service in missing:
                    if self.pid(service) is None:
                        await self._quietly(self._start(service))
            await asyncio.sleep(0.2)
