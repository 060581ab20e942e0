"""`make bench ARGS="--recovery"`: how soon work goes on after a death, on a whole stack under a light steady load.

Progress is what a consumer group commits: a commit comes after the durable write and the publication, so an offset that
moves is work that is done. Watched are the partitions of the one who died.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from aiokafka import TopicPartition
from proofs.ending import orderly
from proofs.page import Ran
from rich.console import Console

from benchmarks.groups import GROUPS, LOST, Groups, Offsets
from benchmarks.recoveries import AWAY, BACK, BROKER, DATABASE, PAGE, Recovery, told
from benchmarks.sides import Lendrail, running
from benchmarks.steady import Load, Replicas, name_of
from lendrail.local import control
from lendrail.local.programs import KAFKA, MONGO
from lendrail.local.servers.ports import listening
from lendrail.local.state import State

LOOK_SECONDS = 0.05
PATIENCE = 60.0
SHARED_SECONDS = 180.0
"""At most so long until two replicas of each service have their shares."""
CALM_SECONDS = 4.0
FIRST = "application-received"
"""What the gateway publishes of each application that it takes."""
console = Console(highlight=False, width=140)


class Bench:
    def __init__(self, side: Lendrail, groups: Groups, load: Load) -> None:
        self._side, self._groups, self._load = side, groups, load
        self._replicas = Replicas(side)
        self.found: list[Recovery] = []

    async def run(self, times: int) -> None:
        try:
            for _ in range(times):
                for service in GROUPS:
                    await self._back(service)
            for _ in range(times):
                await self._server(BROKER, KAFKA)
            for _ in range(times):
                await self._server(DATABASE, MONGO)
            for _ in range(times):
                await self._away()
        finally:
            self._replicas.stop()

    async def _back(self, service: str) -> None:
        await self._calm()
        killed = self._kill(service)
        before = await self._groups.committed(service)
        again = asyncio.create_task(self._restart(service))
        await self._note(BACK, {service: before}, killed)
        await again

    async def _away(self) -> None:
        """One replica of each service at the same time: the groups know nothing of one another."""
        for service in GROUPS:
            self._replicas.start(service)
        shares = await self._shared()
        await self._calm()
        killed = time.monotonic()
        for service in GROUPS:
            self._replicas.kill(service)
        before = {
            service: {place: at for place, at in (await self._groups.committed(service)).items() if place in share}
            for service, share in shares.items()
        }
        await self._note(AWAY, before, killed)

    async def _shared(self) -> dict[str, set[TopicPartition]]:
        """What the second replicas have, once both of each service have some and nothing moves any more."""
        last: dict[str, set[TopicPartition]] = {}
        async with asyncio.timeout(SHARED_SECONDS):
            while True:
                await asyncio.sleep(3)
                now = {service: await self._groups.held_by(service, name_of(service)) for service in GROUPS}
                if all(now.values()) and now == last:
                    return now
                last = now

    async def _server(self, how: str, name: str) -> None:
        """Nothing is under way when it dies, so that no commit of before looks like one of after."""
        await self._calm()
        self._load.paused, self._load.rest = True, name == KAFKA
        await asyncio.sleep(CALM_SECONDS)
        before = {service: await self._groups.committed(service) for service in GROUPS}
        if name == KAFKA:  # the gateway has nothing to hear there; what it does is to publish what it took meanwhile
            before["gateway"] = await self._groups.ends(FIRST)
            await self._groups.close()
        killed, self._load.paused = self._kill(name), False
        again = asyncio.create_task(self._restart(name))
        opened = await _open(_port(self._side.kafka if name == KAFKA else self._side.mongo))
        await self._note(how, before, opened if name == KAFKA else killed, opened - killed)
        await again
        self._load.rest = False

    async def _note(
        self, how: str, before: Mapping[str, Mapping[TopicPartition, int]], begun: float, down: float = 0.0
    ) -> None:
        """Until each service has moved on, at most PATIENCE."""

        async def moved(service: str) -> float:
            while time.monotonic() - begun < PATIENCE:
                now = await self._stands(how, service)
                if any(now.get(place, 0) > at for place, at in before[service].items()):
                    return time.monotonic() - begun
                await asyncio.sleep(LOOK_SECONDS)
            return float("inf")

        for service, first in zip(before, await asyncio.gather(*map(moved, before)), strict=True):
            self.found.append(Recovery(how, service, first, down))
        said = ", ".join(f"{each.service} {each.first:.2f}" for each in self.found[-len(before) :])
        console.print(f"  {how}: {said}" + (f" (port closed for {down:.1f})" if down else ""))

    async def _stands(self, how: str, service: str) -> Offsets:
        """How far it is; nothing where the broker does not say."""
        try:
            if how == BROKER and service == "gateway":
                return await self._groups.ends(FIRST)
            return await self._groups.committed(service)
        except LOST:
            return {}

    def _kill(self, name: str) -> float:
        os.kill(self._side.read()["services"][name]["pid"], signal.SIGKILL)
        return time.monotonic()

    async def _restart(self, name: str) -> None:
        done, said = await asyncio.to_thread(control.ask, State(self._side.folder), "restart", name, {})
        if not done:
            raise RuntimeError(said)

    async def _calm(self) -> None:
        """All groups commit again before the next blow, so that one death is measured and not two."""
        await asyncio.sleep(CALM_SECONDS)
        before = {service: await self._groups.committed(service) for service in GROUPS}
        async with asyncio.timeout(PATIENCE):
            for service, at in before.items():
                while await self._groups.committed(service) == at:  # noqa: ASYNC110 - it is the broker who knows
                    await asyncio.sleep(0.2)


async def _open(port: int) -> float:
    """When it was: closed first, for what was killed takes a moment to die. Raises TimeoutError."""
    async with asyncio.timeout(2 * PATIENCE):
        for wanted in (False, True):
            while await asyncio.to_thread(listening, port) != wanted:  # noqa: ASYNC110 - nobody would tell us
                await asyncio.sleep(0.01)
    return time.monotonic()


def _port(address: str) -> int:
    return int(address.split("//")[-1].split("/")[0].split(",")[0].rsplit(":", 1)[1])


def run(times: int, page: Path = PAGE) -> bool:
    """Measure, tell, and write the page. Whether every target was kept."""
    orderly()
    ran = Ran()
    with running(Lendrail) as side:
        found = asyncio.run(_measured(side, times))
    return told(found, times, ran, page, console)


async def _measured(side: Lendrail, times: int) -> list[Recovery]:
    """What was seen of it, also where the run ended early."""
    load, groups = Load(side), Groups(side.kafka)
    bench = Bench(side, groups, load)
    steady = asyncio.create_task(load.run())
    try:
        await bench.run(times)
    except (*LOST, RuntimeError) as error:
        console.print(f"the run ended early: {error!r}", markup=False)
    finally:
        steady.cancel()
        await asyncio.gather(steady, return_exceptions=True)
        await groups.close()
    return bench.found
