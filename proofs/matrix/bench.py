"""One stack for many cells: the service is started armed, one application comes by, and all must hold of it."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import psutil
from tests.flow.stack import Stack, post

from lendrail.local import publish
from lendrail.local.programs import SERVICES
from lendrail.runtime.faults import PASSED, STRUCK, TELL, VARIABLE
from proofs.matrix.cells import Cell
from proofs.matrix.judge import Subscriber, ended, last_told, opportunities, problems
from proofs.matrix.ways import KEYED, WAYS, Way

REACH_SECONDS = 45.0
"""For an application to come by, behind whatever is left over from the one before."""
END_SECONDS = 90.0
"""From the fault to the end: a lease, a partner's longest processing time, a retry, and a machine that is busy."""
TOLD_SECONDS = 30.0
CALM_SECONDS = 1.0
"""After the end of an application: what comes by then was not waited for by anybody."""
LOOK_SECONDS = 0.1
Outcome = Literal["held", "broken", "not reached", "not passed"]


@dataclass(frozen=True)
class Result:
    """What came of a cell. `not passed`: no application of its class comes by when nothing is wrong, so none was sent;
    `not reached`: one was sent and did not come by.
    """

    cell: Cell
    outcome: Outcome
    why: tuple[str, ...] = ()
    seconds: float = 0.0


class Bench:
    def __init__(self, stack: Stack, subscriber: Subscriber) -> None:
        self._stack, self._subscriber = stack, subscriber
        self._armed: set[str] = set()
        self._client: httpx.AsyncClient

    async def run(self, cell: Cell) -> Result:
        """Send one application past the armed point, whether anybody comes by in calm or not."""
        began = time.monotonic()
        async with self._signed_in():
            struck, why = await self._run(cell)
        outcome: Outcome = "broken" if why else "held" if struck else "not reached"
        return Result(cell, outcome, tuple(why), time.monotonic() - began)

    async def _run(self, cell: Cell) -> tuple[bool, list[str]]:
        """Whether it was struck, and what does not hold."""
        struck, log = False, self._log(cell.service)
        start = log.stat().st_size
        self._stack.dials_off()
        await self._arm(cell)
        posting = asyncio.create_task(self._post(WAYS[cell.of]))
        try:
            struck = await self._wait_until_struck(cell, posting, log, start)
            return struck, await self._judged(cell, await posting)
        except (AssertionError, TimeoutError) as error:  # it was not taken, or nothing is shown any more
            return struck, [str(error)]
        finally:
            posting.cancel()

    @asynccontextmanager
    async def _signed_in(self) -> AsyncIterator[None]:
        """With a token that lasts: of a long run one for each cell."""
        async with self._stack.client() as self._client:
            yield

    async def disarm(self) -> None:
        """Start again, unarmed, what is armed still or dead."""
        for service in sorted(self._armed | {each for each in SERVICES if not self._alive(each)}):
            await asyncio.to_thread(self._stack.restart, service)
        self._armed.clear()

    async def trace(self, way: Way) -> dict[str, dict[str, int]]:
        """How often an application passes each point; all services tell."""
        starts = {service: self._log(service).stat().st_size for service in SERVICES}
        async with self._signed_in():
            await self._end(way, await self._post(way))
        await asyncio.sleep(3 * CALM_SECONDS)
        return self._passed(starts)

    def _passed(self, starts: dict[str, int]) -> dict[str, dict[str, int]]:
        """How often each service passed each point, by its log from there on."""
        return {name: dict(sorted(_passed(self._log(name), start).items())) for name, start in starts.items()}

    async def tell(self) -> dict[str, dict[str, int]]:
        """Let all services tell what they pass, until `disarm`; what they pass at their start."""
        starts = {service: self._log(service).stat().st_size for service in SERVICES}
        for service in SERVICES:
            await asyncio.to_thread(self._stack.restart, service, **{VARIABLE: TELL})
            self._armed.add(service)
        return self._passed(starts)

    async def _arm(self, cell: Cell) -> None:
        for service in self._armed - {cell.service}:
            await asyncio.to_thread(self._stack.restart, service)
        self._armed = {cell.service}
        await asyncio.to_thread(self._stack.restart_to_die, cell.service, str(cell.fault))

    async def _post(self, way: Way) -> str:
        if way.pays:
            self._stack.dial(KEYED, kind="outcome", operation="create", outcome="fund", times=1)
        if way.by_kafka:
            key = publish.public_key(self._stack.folder / "config" / "intake.jwk")
            (sent,) = await publish.to_kafka(self._stack.endpoints["kafka"], key, [way.body()])
            return str(sent.application_id)
        return await post(self._client, way.body())

    async def _wait_until_struck(self, cell: Cell, posting: asyncio.Task[str], log: Path, start: int) -> bool:
        """Whether it was struck; who was killed is started again, as its supervisor would."""
        end, calm = time.monotonic() + REACH_SECONDS, None
        while time.monotonic() < end:
            if f'"{cell.fault}"' in _since(log, start, STRUCK):
                await self._struck(cell)
                return True
            if posting.done() and ended(WAYS[cell.of], await self._look(posting.result())):
                calm = calm or time.monotonic()
                if time.monotonic() - calm > CALM_SECONDS:
                    return False
            await asyncio.sleep(LOOK_SECONDS)
        return False

    async def _struck(self, cell: Cell) -> None:
        if cell.kind == "kill":
            await _until(lambda: not self._alive(cell.service), REACH_SECONDS)
            await asyncio.to_thread(self._stack.restart, cell.service)
        self._armed.discard(cell.service)  # it strikes once

    async def _judged(self, cell: Cell, application: str) -> list[str]:
        way = WAYS[cell.of]
        view = await self._end(way, application)
        ledgers = {name: await asyncio.to_thread(self._stack.ledger, name) for name in dict(way.once)}
        return problems(way, view, ledgers, self._subscriber.told_all, may_be_unknown=cell.may_be_unknown)

    async def _end(self, way: Way, application: str) -> dict[str, Any]:
        """The view when nothing more is to come and all of it was told; or when time is up."""
        end, view = time.monotonic() + END_SECONDS, await self._view(application)
        while not ended(way, view) and time.monotonic() < end:
            await asyncio.sleep(LOOK_SECONDS)
            view = await self._view(application)
        await _until(lambda: self._all_told(view), TOLD_SECONDS)
        return await self._view(application)

    def _all_told(self, view: dict[str, Any]) -> bool:
        return all(last_told(deal, self._subscriber.told_all) for deal in opportunities(view).values())

    async def _view(self, application: str) -> dict[str, Any]:
        """As the gateway shows it, once it does. Raises TimeoutError."""
        end = time.monotonic() + END_SECONDS
        while not (found := await self._look(application)):
            if time.monotonic() > end:
                raise TimeoutError("the gateway does not show it")
            await asyncio.sleep(LOOK_SECONDS)
        return found

    async def _look(self, application: str) -> dict[str, Any]:
        """As the gateway shows it now; empty where it does not."""
        try:
            reply = await self._client.get(f"/v1/applications/{application}")
        except httpx.TransportError:
            return {}
        return dict(reply.json()) if reply.status_code == 200 else {}

    def _alive(self, service: str) -> bool:
        try:
            process = psutil.Process(self._stack.endpoints["services"][service]["pid"])
            return process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def _log(self, service: str) -> Path:
        return self._stack.folder / "logs" / f"{service}.log"


async def _until(check: Callable[[], bool], seconds: float) -> None:
    """Until it holds, or time is up."""
    end = time.monotonic() + seconds
    while True:
        if check() or time.monotonic() > end:
            return
        await asyncio.sleep(LOOK_SECONDS)


def _since(log: Path, start: int, said: str) -> str:
    """The lines of a log from `start` on that say this."""
    with log.open("rb") as file:
        file.seek(start)
        return "\n".join(line for line in file.read().decode(errors="replace").splitlines() if said in line)


def _passed(log: Path, start: int) -> Counter[str]:
    return Counter(re.findall(r'"label": "([^"]+)"', _since(log, start, PASSED)))


@asynccontextmanager
async def bench(stack: Stack) -> AsyncIterator[Bench]:
    """On a stack that is up; a subscriber of its own hears all notices meanwhile."""
    subscriber = Subscriber()
    with subscriber:
        async with stack.client() as client:
            key = {"Idempotency-Key": str(uuid.uuid4())}
            reply = await client.post("/v1/endpoints", json={"url": subscriber.url}, headers=key)
            reply.raise_for_status()
            subscriber.secret = reply.json()["secret"]
        made = Bench(stack, subscriber)
        try:
            yield made
        finally:
            await made.disarm()
            async with stack.client() as client:
                (await client.delete(f"/v1/endpoints/{reply.json()['id']}")).raise_for_status()


async def run_all(made: Bench, cells: Iterable[Cell]) -> AsyncIterator[Result]:
    """One after the other; what nobody passes costs nothing."""
    for cell in cells:
        if cell.passed:
            yield await made.run(cell)
        else:
            yield Result(cell, "not passed")
