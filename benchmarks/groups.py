"""What consumer groups have done, and who has which partitions: asked of the broker, with a connection that may die."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError

GROUPS = {
    "gateway": "gateway.intake",
    "validation": "validation.application-received",
    "documents": "documents.application-validated",
    "submission": "submission.submit",
    "status": "status.partner-ack",
    "notifications": "notifications.status-updated",
}
"""The group by which each service hears the way of an application."""
Offsets = dict[TopicPartition, int]
T = TypeVar("T")
PATIENCE = 60.0
ASK_SECONDS = 2.0
LOST = (KafkaError, OSError, TimeoutError)
"""What an answer can be lost by, while the broker is away or only just there again."""


class Groups:
    """One connection for each service that is asked about at the same time, made anew when it fails."""

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._admins: dict[str, Any] = {}
        self._consumer: Any = None

    async def committed(self, service: str) -> Offsets:
        """Where the group of a service stands. Raises one of LOST after PATIENCE, as all of these do."""

        async def ask() -> Offsets:
            found = await (await self._admin(service)).list_consumer_group_offsets(GROUPS[service])
            return {place: each.offset for place, each in found.items()}

        return await self._patiently(service, ask)

    async def held_by(self, service: str, instance: str) -> set[TopicPartition]:
        """The partitions of one replica."""

        async def ask() -> set[TopicPartition]:
            (response,) = await (await self._admin(service)).describe_consumer_groups([GROUPS[service]])
            held: set[TopicPartition] = set()
            for _id, client, _host, _wish, assigned in response.groups[0][5]:
                if client.startswith(instance) and assigned:  # nothing while the group is being shared out anew
                    held |= set(ConsumerProtocolMemberAssignment.decode(assigned).partitions())
            return held

        return await self._patiently(service, ask)

    async def ends(self, topic: str) -> Offsets:
        """Where a topic ends."""

        async def ask() -> Offsets:
            if self._consumer is None:
                consumer: Any = AIOKafkaConsumer(bootstrap_servers=self._kafka, enable_auto_commit=False)
                self._consumer = consumer  # so that it is stopped when it cannot start
                await consumer.start()
            places = [TopicPartition(topic, n) for n in self._consumer.partitions_for_topic(topic) or range(6)]
            return dict(await self._consumer.end_offsets(places))

        return await self._patiently("", ask)

    async def _admin(self, name: str) -> Any:
        if name not in self._admins:
            admin: Any = AIOKafkaAdminClient(bootstrap_servers=self._kafka, request_timeout_ms=3_000)
            self._admins[name] = admin
            await admin.start()
        return self._admins[name]

    async def _patiently(self, name: str, ask: Callable[[], Awaitable[T]]) -> T:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    return await ask()
            except LOST:
                if time.monotonic() > end:
                    raise
                await self._drop(name)
                await asyncio.sleep(0.05)

    async def _drop(self, name: str) -> None:
        with suppress(*LOST):
            async with asyncio.timeout(1):
                if name in self._admins:
                    await self._admins.pop(name).close()
                elif not name and self._consumer is not None:
                    consumer, self._consumer = self._consumer, None
                    await consumer.stop()

    async def close(self) -> None:
        for name in (*self._admins, ""):
            await self._drop(name)
