"""Versions of the truth as status publishes them: followed while a run goes on, and read whole at its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

TOPIC, PARTITIONS = "status-updated", 6
QUIET = frozenset({"received", "submitting"})
"""Of these nobody is told where there is nothing to add."""
Entity = tuple[str, str]
"""An application, and one of its opportunities."""


@dataclass(frozen=True)
class Version:
    """One version of the truth about one opportunity."""

    number: int
    partner: str
    status: str
    told: bool
    """Whether recipients are told of it."""
    person: bool
    """Whether it waits for one, or for word from the partner alone."""


class Truth:
    """All versions by entity; a version that comes twice is one."""

    def __init__(self) -> None:
        self._versions: dict[str, dict[str, dict[int, Version]]] = {}
        """By application and opportunity."""
        self.count = 0

    def hear(self, value: bytes) -> None:
        said: dict[str, Any] = json.loads(value)
        if said.get("opportunityId") is None:
            return
        flags = said.get("flags") or ()
        version = Version(
            number=said["stateVersion"],
            partner=said.get("partner") or "",
            status=said["status"],
            told=said["status"] not in QUIET or bool(flags or said.get("problems")),
            person=said.get("plan") in ("person", "wait") or "partner-id-unknown" in flags,
        )
        known = self._versions.setdefault(said["applicationId"], {}).setdefault(said["opportunityId"], {})
        self.count += version.number not in known
        known[version.number] = version

    def newest(self, application: str) -> Mapping[str, tuple[str, Version]]:
        """By partner: the opportunity and its newest version."""
        found = {}
        for opportunity, versions in list(self._versions.get(application, {}).items()):
            newest = versions[max(versions)]
            found[newest.partner] = opportunity, newest
        return found

    def people(self) -> int:
        """How many opportunities wait for a person, or for the partner's word."""
        entities = [versions for each in list(self._versions.values()) for versions in list(each.values())]
        return sum(versions[max(versions)].person for versions in entities)

    def to_tell(self, entity: Entity) -> tuple[int, ...]:
        """Versions of which recipients must hear. Numbers run from 1 without a gap, so one that is missing here was
        lost on its way, and stands among them too.
        """
        application, opportunity = entity
        known = self._versions.get(application, {}).get(opportunity, {})
        return tuple(n for n in range(1, max(known, default=0) + 1) if n not in known or known[n].told)

    async def follow(self, kafka: str) -> None:
        """For ever; after an outage from the beginning again, which changes nothing."""
        while True:
            with suppress(KafkaError, OSError, TimeoutError, ValueError):
                async for value in _values(kafka, for_ever=True):
                    self.hear(value)
            await asyncio.sleep(0.5)


async def read(kafka: str) -> Truth:
    """All that is there now."""
    truth = Truth()
    async with asyncio.timeout(300):
        async for value in _values(kafka, for_ever=False):
            truth.hear(value)
    return truth


async def _values(kafka: str, *, for_ever: bool) -> Any:
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        known = consumer.partitions_for_topic(TOPIC) or range(PARTITIONS)
        places = [TopicPartition(TOPIC, number) for number in known]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while for_ever or any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    yield record.value
    finally:
        await consumer.stop()
