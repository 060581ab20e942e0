"""Partitions that nobody of a consumer group reads are shared out anew.

A static member that comes back is given what it had, and nobody looks at the topics. If it had nothing, because Kafka
had lost the topic when the group last shared out, it has nothing for good: aiokafka 0.14 watches the topics only in the
process that shared out (`GroupCoordinator._group_subscription`), and that one is gone. The same holds for partitions
that a topic got while nobody ran. So each process looks now and then, and asks its group to share out when there is a
partition that no member has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import KafkaError
from faststream.kafka.subscriber.usecase import BatchSubscriber

log = structlog.get_logger()
LOOK_SECONDS = 10.0
SHARED_OUT = "Stable"
Place = tuple[str, int]


class Sharing:
    """Looks after the groups of one process."""

    def __init__(self, bootstrap: str, subscribers: Sequence[BatchSubscriber], look_seconds: float = LOOK_SECONDS):
        self._bootstrap, self._subscribers, self._look_seconds = bootstrap, subscribers, look_seconds

    async def run(self) -> None:
        """As long as the service lives; while Kafka is away nobody can be asked."""
        while True:
            await asyncio.sleep(self._look_seconds)
            try:
                await self._look()
            except (KafkaError, OSError) as error:
                log.debug("consumer groups cannot be seen", error=type(error).__name__)

    async def _look(self) -> None:
        admin: Any = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            for subscriber in self._subscribers:
                # one group at a time: aiokafka 0.14 cannot read what is said of several
                [answer] = await admin.describe_consumer_groups([subscriber.group_id])
                [(_, _, state, _, _, members, *_)] = answer.groups
                if state == SHARED_OUT:
                    _claim(subscriber, set(_shared(members)))
        finally:
            await admin.close()


def _claim(subscriber: BatchSubscriber, shared: set[Place]) -> None:
    """Ask the group to share out anew if a partition that this one would read was given to nobody."""
    consumer: Any = subscriber.consumer
    topics = consumer.subscription()
    wanted = {(topic, place) for topic in topics for place in consumer.partitions_for_topic(topic) or ()}
    if left := wanted - shared:
        log.warning("partitions that nobody reads are shared out anew", group=subscriber.group_id, count=len(left))
        consumer._coordinator.request_rejoin()


def _shared(members: Sequence[Any]) -> Iterator[Place]:
    """What the members of a group have been given."""
    for *_, assignment in members:
        if assignment:
            for topic, places in ConsumerProtocol.ASSIGNMENT.decode(assignment).assignment:
                yield from ((topic, place) for place in places)
