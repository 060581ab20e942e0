"""A replica that comes back reads what is there now, not what its group knew when it last shared out."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from tests import support

from lendrail.runtime.broker import Batch, assigned, make_broker, subscribe
from lendrail.runtime.settings import ServiceSettings
from lendrail.runtime.sharing import Sharing

OTHER = "shared-other"
"""What its other groups read: a process has several."""


class Replica:
    """One process's consumer of one topic, with a name that it keeps across restarts."""

    def __init__(self, settings: ServiceSettings, topic: str) -> None:
        self.settings, self.topic = settings, topic
        self.heard: list[bytes] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Any]:
        """Its consumer."""
        broker = make_broker(self.settings, "test")
        subscriber = subscribe(broker, self._hear, group=self.topic, settings=self.settings, topic=self.topic)
        others = [
            subscribe(broker, self._hear, group=f"{self.topic}-{n}", settings=self.settings, topic=OTHER) for n in "ab"
        ]
        await broker.start()
        sharing = Sharing(self.settings.kafka_bootstrap_servers, [*others, subscriber], 0.5)
        watch = asyncio.create_task(sharing.run())

        async def joined() -> bool:
            return assigned(subscriber)

        await support.eventually(joined)
        try:
            yield subscriber.consumer
        finally:
            watch.cancel()
            await broker.stop()

    async def _hear(self, batch: Batch) -> None:
        self.heard += [record.value for record in batch if record.value]

    async def hears(self, *values: bytes) -> None:
        async def all_heard() -> bool:
            return set(values) <= set(self.heard)

        await support.eventually(all_heard)


@pytest.fixture(scope="module", autouse=True)
def _other(kafka: str) -> None:
    asyncio.run(support.topics(kafka, OTHER))


@pytest.fixture
def replica(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Replica:
    for name, value in support.environment(tmp_path, kafka=kafka, instance="test-1").items():
        monkeypatch.setenv(name, value)
    return Replica(ServiceSettings(), f"shared-{uuid.uuid4().hex}")


@asynccontextmanager
async def admin(kafka: str) -> AsyncIterator[Any]:
    client: Any = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    yield client
    await client.close()


async def tell(kafka: str, topic: str, place: int, value: bytes) -> None:
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    await producer.send_and_wait(topic, value, partition=place)
    await producer.stop()


async def test_a_topic_that_was_lost_and_made_anew_is_read_by_a_replica_that_comes_back(
    kafka: str, replica: Replica
) -> None:
    await support.topics(kafka, replica.topic)
    async with replica.running() as consumer:
        await tell(kafka, replica.topic, 0, b"first")
        await replica.hears(b"first")
        async with admin(kafka) as client:
            await client.delete_topics([replica.topic])

        async def has_nothing() -> bool:
            await consumer._client.force_metadata_update()
            return not consumer.assignment()

        await support.eventually(has_nothing)
    async with admin(kafka) as client:
        await client.create_topics([NewTopic(replica.topic, 2, 1)])
    await tell(kafka, replica.topic, 1, b"again")
    async with replica.running():
        await replica.hears(b"again")


async def test_partitions_that_came_while_nobody_ran_are_read(kafka: str, replica: Replica) -> None:
    await support.topics(kafka, replica.topic)
    async with replica.running():
        await tell(kafka, replica.topic, 0, b"first")
        await replica.hears(b"first")
    async with admin(kafka) as client:
        await client.create_partitions({replica.topic: NewPartitions(3)})
    await tell(kafka, replica.topic, 2, b"new place")
    async with replica.running():
        await replica.hears(b"new place")


async def test_a_group_in_which_all_is_read_is_left_alone(
    kafka: str, replica: Replica, capsys: pytest.CaptureFixture[str]
) -> None:
    await support.topics(kafka, replica.topic)
    async with replica.running():
        await tell(kafka, replica.topic, 0, b"first")
        await replica.hears(b"first")
        await asyncio.sleep(2)
    assert "shared out anew" not in capsys.readouterr().out
