"""How far every group is on every topic that it reads: whether something waits, and whether anything stood still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

BLOCKED_SECONDS = 5.0
"""Of a machine that has time for us: while many others work on it, a second counts for as much of it as we get."""
LOOK_SECONDS = 0.5
SPIN_SECONDS = 0.01
Position = tuple[tuple[str, TopicPartition], int, bool]


class Watch:
    """Looks at positions now and then; `groups` names the topics that each one reads."""

    def __init__(self, kafka: str, groups: Mapping[str, Iterable[str]]) -> None:
        self._kafka, self._groups = kafka, groups
        self._stands: dict[tuple[str, TopicPartition], tuple[int, float]] = {}
        self.longest = 0.0
        self.blocked: list[str] = []
        """Partitions of a group that stood still, though something waited."""

    async def __aenter__(self) -> Watch:
        self._admin: Any = AIOKafkaAdminClient(bootstrap_servers=self._kafka)
        self._consumer: Any = AIOKafkaConsumer(bootstrap_servers=self._kafka, enable_auto_commit=False)
        await self._admin.start()
        await self._consumer.start()
        topics = sorted({topic for topics in self._groups.values() for topic in topics})
        self._places = [
            TopicPartition(each["topic"], part["partition"])
            for each in await self._admin.describe_topics(topics)
            for part in each["partitions"]
        ]
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._looking.cancel()
        await asyncio.gather(self._looking, return_exceptions=True)
        await self._consumer.stop()
        await self._admin.close()

    async def lag(self) -> bool:
        return any(waits for _, _, waits in await self._positions())

    async def reads(self, group: str) -> bool:
        """Whether each of its topics is read by a member of the group: new ones are found after a while."""
        (answer,) = await self._admin.describe_consumer_groups([group])
        found = {
            topic
            for *_, members in (each[:6] for each in answer.groups)
            for *_, assigned in (member[:5] for member in members)
            for topic, places in ConsumerProtocolMemberAssignment.decode(assigned).assignment
            if places
        }
        return found >= set(self._groups[group])

    async def _positions(self) -> list[Position]:
        """Of each partition of each group: how far it is, and whether something waits."""
        ends = await self._consumer.end_offsets(self._places)
        found: list[Position] = []
        for group, topics in self._groups.items():
            committed = await self._admin.list_consumer_group_offsets(group)
            for place in self._places:
                if place.topic in topics:
                    at = committed[place].offset if place in committed else 0
                    found.append(((group, place), max(at, 0), ends[place] > max(at, 0)))
        return found

    async def _look(self) -> None:
        """How long any partition stands still."""
        last, now = time.monotonic(), 0.0
        while True:
            self._note(await self._positions(), now)
            await asyncio.sleep(LOOK_SECONDS)
            share, last, before = _share(), time.monotonic(), last
            now += (last - before) * share

    def _note(self, positions: Iterable[Position], now: float) -> None:
        for place, at, waits in positions:
            before, since = self._stands.get(place, (-1, now))
            if at != before or not waits:
                self._stands[place] = at, now
                continue
            self.longest = max(self.longest, now - since)
            name = f"{place[0]} {place[1].topic} {place[1].partition} at {at}"
            if now - since > BLOCKED_SECONDS and name not in self.blocked:
                self.blocked.append(name)


def _share() -> float:
    """How much of a core this process gets at the moment, 1.0 on a quiet machine."""
    began, used = time.perf_counter(), time.process_time()
    while time.process_time() - used < SPIN_SECONDS:
        pass
    return min(1.0, (time.process_time() - used) / (time.perf_counter() - began))
