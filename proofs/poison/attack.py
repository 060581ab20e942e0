"""Spoilt records onto every topic while good applications go their way; then all letters are counted by their place."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from tests.flow.stack import Stack, loan, opportunity, post, seen

from lendrail.contracts.topics import TOPICS
from lendrail.local.publish import public_key, to_kafka
from proofs.poison import examples
from proofs.poison.counting import Letters, Place, Sent, count, sent
from proofs.poison.mutations import MARK, Raw, spoilt

CONSUMERS = {topic.name: topic.consumers for topic in TOPICS} | {examples.INTAKE: ("gateway",)}
GROUPS = {
    f"{service}.{'intake' if topic == examples.INTAKE else topic}": topic
    for topic, services in CONSUMERS.items()
    for service in services
}
BLOCKED_SECONDS = 5.0
"""Of a machine that has time for us: while many others work on it, a second counts for as much of it as we get."""
LOOK_SECONDS = 0.5
SPIN_SECONDS = 0.01
AT_ONCE = 100


@dataclass
class Verdict:
    """What was counted. All of the first seven must be empty."""

    silent: list[str] = field(default_factory=list)
    """Records without a letter of a service that reads their topic."""
    repeated: list[str] = field(default_factory=list)
    """More than one letter of one service about one record."""
    unexplained: list[str] = field(default_factory=list)
    """A letter without a reason."""
    changed: list[str] = field(default_factory=list)
    """A letter that holds another record than the one that was sent."""
    stuck: list[str] = field(default_factory=list)
    """Good applications that did not come to their end."""
    blocked: list[str] = field(default_factory=list)
    """Partitions of a group that stood still, though something waited."""
    leaked: list[str] = field(default_factory=list)
    """Where something of a record's content stands in clear."""
    sent: int = 0
    letters: int = 0
    good: int = 0
    too_long: int = 0
    longest_stand: float = 0.0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def bad(self) -> dict[str, list[str]]:
        names = ("silent", "repeated", "unexplained", "changed", "stuck", "blocked", "leaked")
        return {name: found for name in names if (found := getattr(self, name))}


class Attack:
    """One run against a stack that is up."""

    def __init__(self, stack: Stack, seed: int, say: Callable[[str], None] = lambda _: None) -> None:
        self._stack, self._seed, self._say = stack, seed, say
        self._kafka = str(stack.endpoints["kafka"])
        self._placed: dict[Place, Sent] = {}
        self._good: dict[str, tuple[str, ...]] = {}
        """Applications, and how each may end."""
        self._planned = 0
        self._stands: dict[tuple[str, int], tuple[int, float]] = {}
        self._verdict = Verdict()

    async def run(self, client: httpx.AsyncClient, records: int, good: int, patience: float = 60.0) -> Verdict:
        """`records` spoilt ones onto each topic, `good` applications between them."""
        began = time.monotonic()
        own = examples.of_events()
        examples.unlock(self._stack.endpoints["mongo"], self._stack.folder, own)
        sources = self._sources(own)
        self._planned = records * len(sources)
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.gather(self._spoil(sources, records), self._apply(client, good))
            await self._settle(client, patience)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await self._count()
        self._verdict.seconds = time.monotonic() - began
        return self._verdict

    def _sources(self, own: dict[str, list[Raw]]) -> dict[str, Any]:
        everything = [raw for raws in own.values() for raw in raws]
        found = {
            topic: spoilt(raws, [raw for raw in everything if raw.topic != topic], f"{self._seed}|{topic}")
            for topic, raws in own.items()
        }
        found[examples.INTAKE] = spoilt(
            examples.of_intake(self._stack.folder), everything, f"{self._seed}|{examples.INTAKE}"
        )
        assert found.keys() == CONSUMERS.keys()
        return found

    async def _spoil(self, sources: dict[str, Any], records: int) -> None:
        """Turn by turn onto each topic, so that good ones always stand between."""
        producer: Any = AIOKafkaProducer(
            bootstrap_servers=self._kafka, enable_idempotence=True, max_request_size=4 * 1024 * 1024
        )
        await producer.start()
        try:
            for begin in range(0, records, AT_ONCE):
                for source in sources.values():
                    batch = [self._drawn(source) for _ in range(min(AT_ONCE, records - begin))]
                    await self._send(producer, batch)
                self._say(f"{len(self._placed)} spoilt records sent")
        finally:
            await producer.stop()

    @staticmethod
    def _drawn(source: Any) -> Raw:
        """One that nobody can read; what a fault left readable by chance is not sent."""
        while True:
            raw: Raw = next(source)
            if raw.topic == examples.INTAKE or not examples.readable(raw):
                return raw

    async def _send(self, producer: Any, batch: Sequence[Raw]) -> None:
        futures = [await producer.send(r.topic, r.value, key=r.key, headers=list(r.headers)) for r in batch]
        for raw, future in zip(batch, futures, strict=True):
            placed = await future
            self._placed[placed.topic, placed.partition, placed.offset] = sent(raw)
            self._verdict.kinds[raw.kind] += 1

    async def _apply(self, client: httpx.AsyncClient, good: int) -> None:
        """Through both doors, spread over the spoilt ones; some with a fault that validation finds, some that are
        withdrawn again.
        """
        key = public_key(self._stack.folder / "config" / "intake.jwk")
        for number in range(good):
            while len(self._placed) < self._planned * number // good:  # noqa: ASYNC110 - it comes batch by batch
                await asyncio.sleep(LOOK_SECONDS / 10)
            if number % 4 == 1:
                (known,) = await to_kafka(self._kafka, key, [loan("30000")])
                self._good[str(known.application_id)] = ("approved",)
            elif number % 4 == 2:
                faulty = loan("30000") | {"requestedFinance": {"purpose": "working-capital"}}
                (known,) = await to_kafka(self._kafka, key, [faulty])
                self._good[str(known.application_id)] = ("invalid",)
            else:
                application = await post(client, loan("30000"))
                self._good[application] = ("approved",)
                if number % 4 == 3:
                    await self._withdraw(client, application)

    async def _withdraw(self, client: httpx.AsyncClient, application: str) -> None:
        """It ends as whichever came first."""
        said = {"reason": "poison between"}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        path = f"/v1/applications/{application}/withdraw"
        answer = await client.post(path, json=said, headers=headers)
        if answer.status_code == 202:
            self._good[application] = ("approved", "withdrawn")

    async def _settle(self, client: httpx.AsyncClient, patience: float) -> None:
        """Until every good one ended and every group has read its topic."""
        deadline = time.monotonic() + patience
        waiting = dict(self._good)
        while time.monotonic() < deadline and (waiting or await self._lag()):
            for application in list(waiting):
                try:
                    view = await seen(client, application)
                except (AssertionError, httpx.TransportError):
                    continue  # the intake has it not read yet
                if {view["status"], opportunity(view).get("status")} & set(waiting[application]):
                    del waiting[application]
            await asyncio.sleep(0.2)
        self._verdict.good = len(self._good)
        self._verdict.stuck = sorted(waiting)

    async def _lag(self) -> bool:
        return any(waits for _, _, waits in await self._positions())

    async def _positions(self) -> list[tuple[tuple[str, int], int, bool]]:
        """Of each partition of each group: how far it is, and whether something waits."""
        ends = await self._consumer.end_offsets(self._places)
        found = []
        for group, topic in GROUPS.items():
            committed = await self._admin.list_consumer_group_offsets(group)
            for place in self._places:
                if place.topic == topic:
                    at = committed[place].offset if place in committed else 0
                    found.append(((group, place.partition), max(at, 0), ends[place] > max(at, 0)))
        return found

    async def _watch(self) -> None:
        """How long any partition stands still."""
        self._admin: Any = AIOKafkaAdminClient(bootstrap_servers=self._kafka)
        self._consumer: Any = AIOKafkaConsumer(bootstrap_servers=self._kafka, enable_auto_commit=False)
        await self._admin.start()
        await self._consumer.start()
        self._places = [
            TopicPartition(each["topic"], part["partition"])
            for each in await self._admin.describe_topics(list(CONSUMERS))
            for part in each["partitions"]
        ]
        last, now = time.monotonic(), 0.0
        try:
            while True:
                self._note(await self._positions(), now)
                await asyncio.sleep(LOOK_SECONDS)
                share, last, before = _share(), time.monotonic(), last
                now += (last - before) * share
        finally:
            await self._consumer.stop()
            await self._admin.close()

    def _note(self, positions: list[tuple[tuple[str, int], int, bool]], now: float) -> None:
        for place, at, waits in positions:
            before, since = self._stands.get(place, (-1, now))
            if at != before or not waits:
                self._stands[place] = at, now
                continue
            stood = now - since
            self._verdict.longest_stand = max(self._verdict.longest_stand, stood)
            name = f"{place[0]} {place[1]} at {at}"
            if stood > BLOCKED_SECONDS and name not in self._verdict.blocked:
                self._verdict.blocked.append(name)

    async def _count(self) -> None:
        """Every letter; and whatever an attacker wrote is in no log."""
        verdict, endpoints = self._verdict, self._stack.endpoints
        found: Letters = await count(self._kafka, endpoints["mongo"], self._stack.folder, self._placed, CONSUMERS)
        verdict.sent, verdict.letters, verdict.too_long = len(self._placed), found.count, found.too_long
        verdict.silent, verdict.repeated, verdict.reasons = found.silent, found.repeated, found.reasons
        verdict.unexplained, verdict.changed, verdict.leaked = found.unexplained, found.changed, found.leaked
        for file in sorted((self._stack.folder / "logs").glob("*.log")):
            if MARK.encode() in file.read_bytes():
                verdict.leaked.append(file.name)


def _share() -> float:
    """How much of a core this process gets at the moment, 1.0 on a quiet machine."""
    began, used = time.perf_counter(), time.process_time()
    while time.process_time() - used < SPIN_SECONDS:
        pass
    return min(1.0, (time.process_time() - used) / (time.perf_counter() - began))


def attack_seed(text: str | None) -> int:
    return int(text) if text else random.SystemRandom().randrange(10**9)
