"""The run itself: what it can carry, ten times of that, and then silence until nothing is left to do."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from pymongo import MongoClient
from tests.flow.stack import PARTNER, Stack

from lendrail.contracts.terms import attempt_id, opportunity_id
from lendrail.local.configure import CLIENT
from lendrail.local.publish import Api
from proofs.overload.burst import Book, Burst, Door, Template
from proofs.overload.gauges import SERVICES, Decided, Groups, Health, Memory, running

ACCOUNT = "demo-ff"
CALLERS = 32
QUIET = "quiet"
"""The tenant that does not take part in the burst: one application a second."""
UNTIL_QUIET = 3600.0
CALM, BURST, DRAIN = "calm", "burst", "drain"
Say = Callable[[str], None]


@dataclass
class Outcome:
    """Everything that was seen."""

    factor: float
    seconds: float
    through: float = 0.0
    """Applications a second from the door to a shown decision, at what the pipeline carries."""
    body: int = 0
    calm: Book = field(default_factory=Book)
    burst: Book = field(default_factory=Book)
    quiet: Book = field(default_factory=Book)
    took: float = 0.0
    """Seconds that the burst lasted."""
    most_waiting: int = 0
    """Accepted and not decided, at most."""
    drained: float | None = None
    """Seconds after the burst until nothing was left; None: not in time."""
    left: str = ""
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    memory: Memory = field(default_factory=lambda: Memory({}))
    groups: Groups = field(default_factory=lambda: Groups(""))
    health: Health = field(default_factory=lambda: Health(""))

    @property
    def accepted(self) -> set[str]:
        return self.calm.accepted.keys() | self.burst.accepted.keys()


class Overload:
    def __init__(self, stack: Stack, seconds: float, factor: float, say: Say) -> None:
        self._stack, self._say = stack, say
        self.found = Outcome(factor, seconds)

    async def run(self, sample: int) -> Outcome:
        """`sample`: applications by which it is measured what the pipeline carries."""
        found, endpoints = self.found, self._stack.endpoints
        pids = {name: endpoints["services"][name]["pid"] for name in SERVICES}
        found.memory, found.groups = Memory(pids), Groups(endpoints["kafka"])
        found.health, self._decided = Health(endpoints["gateway"]), Decided(endpoints["kafka"])
        self._stack.dial(kind="decision_delay", ms=0)
        tokens = [await self._token(CLIENT), await self._quiet_token()]
        async with running(found.memory, found.groups, found.health, self._decided):
            await self._measure(tokens[0], sample)
            await self._overload(*tokens)
            await self._drain()
        await asyncio.to_thread(self._count)
        return found

    async def _measure(self, token: str, sample: int) -> None:
        """Twice: the first time everything is cold."""
        found = self.found
        door, template = Door(self._stack.gateway), Template(self._stack.gateway, token, [PARTNER])
        burst, found.body, found.memory.phase = Burst(door, template, found.calm), template.size, CALM
        self._burst, self._door = burst, door
        for count in (sample // 4, sample):
            begun, before = time.monotonic(), len(found.calm.accepted)
            await burst.closed(count, CALLERS)
            await self._until_decided(120 + count / 5)
            found.through = (len(found.calm.accepted) - before) / (time.monotonic() - begun)
        self._say(f"it carries {found.through:.0f} applications a second from the door to a shown decision")

    async def _until_decided(self, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while not self.found.accepted <= self._decided.at.keys():  # noqa: ASYNC110 - a set that grows
                await asyncio.sleep(0.1)

    async def _overload(self, token: str, quiet: str) -> None:
        found = self.found
        rate = found.through * found.factor
        self._say(f"now {rate:.0f} new clients a second for {found.seconds:.0f} s")
        found.memory.phase, self._burst.book, begun = BURST, found.burst, time.monotonic()
        beside = asyncio.create_task(self._one_a_second(quiet, found.seconds))
        board = asyncio.create_task(self._tell())
        await self._burst.open(rate, found.seconds)
        found.took = time.monotonic() - begun
        await beside
        board.cancel()
        self._door.close()

    async def _one_a_second(self, token: str, seconds: float) -> None:
        """A tenant that has nothing to do with it all, and does not come again."""
        door, template = Door(self._stack.gateway, 50), Template(self._stack.gateway, token, [])
        end, calls = time.monotonic() + seconds, list[asyncio.Task[None]]()

        async def one(number: int) -> None:
            self.found.quiet.offered += 1
            self.found.quiet.note(await door.ask(template.request(number, str(uuid.uuid4()))))

        while time.monotonic() < end:
            calls.append(asyncio.create_task(one(9_000_000 + len(calls))))
            await asyncio.sleep(random.uniform(0.5, 1.5))
        await asyncio.gather(*calls)
        door.close()

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(10)
            book = self.found.burst
            waiting = self._waiting()
            self.found.most_waiting = max(self.found.most_waiting, waiting)
            now = {name: f"{values[-1]:.0f}" for name in SERVICES if (values := self.found.memory.of(BURST, name))}
            told = f"{book.offered} offered, {len(book.accepted)} accepted, {book.refused} refusals, {waiting} to do"
            self._say(f"  {told}; MB {json.dumps(now)}")

    def _waiting(self) -> int:
        return len(self.found.accepted - self._decided.at.keys())

    async def _drain(self) -> None:
        found, begun, told = self.found, time.monotonic(), 0.0
        found.memory.phase, found.most_waiting = DRAIN, max(found.most_waiting, self._waiting())
        while time.monotonic() - begun < UNTIL_QUIET:
            found.left = await asyncio.to_thread(self._left)
            if not found.left:
                found.drained = time.monotonic() - begun
                self._say(f"nothing left after {found.drained:.0f} s")
                return
            if time.monotonic() - told > 20:
                told = time.monotonic()
                self._say(f"  left: {found.left}")
            await asyncio.sleep(1)

    def _left(self) -> str:
        """What is still to be done, in words; empty when nothing is."""
        with MongoClient[dict[str, Any]](self._stack.endpoints["mongo"]) as client:
            left = {
                "not decided": self._waiting(),
                "outboxes of the gateway": client["gateway"]["applications"].count_documents(
                    {"pending": {"$exists": True}}
                ),
                "due at partners": client["submission"]["opportunities"].count_documents({"due": {"$type": "date"}}),
                "outboxes of status": client["status"]["opportunities"].count_documents({"pending": {"$exists": True}}),
            }
        return ", ".join(f"{count} {name}" for name, count in left.items() if count)

    def _count(self) -> None:
        """By the partner's own ledger."""
        found = self.found
        taken = Counter(lead["reference"] for lead in self._stack.ledger(PARTNER)["leads"])
        found.doubled = [reference for reference, count in taken.items() if count > 1]
        found.lost = [id for id in found.accepted if not taken[reference(id)]]

    async def _token(self, client: str, secret: str = "") -> str:
        if not secret:
            return (await Api(self._stack.endpoints).headers())["Authorization"].removeprefix("Bearer ")
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(self._stack.endpoints["oauth"]["token_url"], data=form)
        return str(answer.raise_for_status().json()["access_token"])

    async def _quiet_token(self) -> str:
        """A second tenant, written into the file that the services follow."""
        secret = str(uuid.uuid4())
        add_tenant(self._stack, secret)
        for _ in range(50):
            try:
                return await self._token(QUIET, secret)
            except httpx.HTTPStatusError:
                await asyncio.sleep(0.2)
        raise RuntimeError("the gateway does not know the second tenant")


def add_tenant(stack: Stack, secret: str) -> None:
    file = stack.folder / "config" / "tenants.json"
    content = json.loads(file.read_text())
    client = {
        "clientId": QUIET,
        "secretSha256": hashlib.sha256(secret.encode()).hexdigest(),
        "scopes": ["applications:write", "applications:read"],
    }
    tenant = {"id": QUIET, "name": "Quiet", "mode": "test", "clients": [client], "upstreams": [], "partners": []}
    content["tenants"].append(tenant)
    file.write_text(json.dumps(content))


def reference(application: str) -> str:
    """What the partner knows it by."""
    return str(attempt_id(opportunity_id(UUID(application), PARTNER, ACCOUNT), "create", "", 1))
