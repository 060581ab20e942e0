"""A step of its own on real Kafka and MongoDB: it rejects each application that it hears of."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from pymongo import AsyncMongoClient
from tests import make, support

from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.event import Record, encode, envelope_of
from lendrail.contracts.topics import APPLICATION_RECEIVED
from lendrail.runtime.broker import make_broker
from lendrail.runtime.dead_letters import Letter, Original, read_letter
from lendrail.runtime.failures import DefectMeter
from lendrail.runtime.inbox import once
from lendrail.runtime.mongo import Collection, Document
from lendrail.runtime.publisher import KafkaPublisher
from lendrail.runtime.settings import ServiceSettings
from lendrail.runtime.step import Delivery, Steps
from lendrail.runtime.vault import LocalWrapper, Vault

Deliveries = Sequence[Delivery[ApplicationReceived]]
TOPIC, OUT = "application-received", "application-rejected"


@pytest.fixture(scope="module", autouse=True)
def _topics(kafka: str) -> None:
    asyncio.run(support.topics(kafka, TOPIC, OUT))


class Bench:
    """A step under test with its servers, and a look into the topics."""

    def __init__(self, kafka: str, folder: Path, client: AsyncMongoClient[Document], prefix: str) -> None:
        os.environ.update(support.environment(folder, kafka=kafka))
        self.settings = ServiceSettings()
        self.kafka = kafka
        self.effects: Collection = client[f"{prefix}test"]["effects"]
        self.vault = Vault(client[f"{prefix}keys"]["data_keys"], LocalWrapper(b"0" * 32))
        self.publisher = KafkaPublisher(kafka, "test")
        self.broker = make_broker(self.settings, "test")
        self.service = f"test-{prefix}"
        self.computed = 0
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Let the group stand where the topic ends now: what other tests left is not ours."""
        group = f"{self.service}.{TOPIC}"
        consumer: Any = AIOKafkaConsumer(bootstrap_servers=self.kafka, group_id=group, enable_auto_commit=False)
        await consumer.start()
        places = await support.places(self.kafka, TOPIC)
        consumer.assign(places)
        await consumer.commit(await consumer.end_offsets(places))
        await consumer.stop()

    async def run(self, handle: Callable[[Deliveries], Any], defects: int = 20) -> None:
        self._task = asyncio.create_task(self.publisher.run())
        meter = DefectMeter(limit=defects)
        Steps(self.service, self.settings, self.broker, self.publisher, self.vault, meter).on(
            APPLICATION_RECEIVED, handle
        )
        await self.broker.start()

    async def stop(self) -> None:
        with contextlib.suppress(TimeoutError):  # a consumer that defects stopped never finishes its batch
            await asyncio.wait_for(self.broker.stop(), 2)
        if self._task is not None:
            self._task.cancel()
        await self.publisher.stop()

    async def reject(self, deliveries: Deliveries) -> list[Record]:
        async def effects(fresh: Deliveries) -> list[tuple[Document, list[Record]]]:
            self.computed += len(fresh)
            return [({"n": 1}, [self._rejected(delivery)]) for delivery in fresh]

        return await once(self.effects, deliveries, effects)

    def _rejected(self, delivery: Delivery[ApplicationReceived]) -> Record:
        event = delivery.event
        fact = ApplicationRejected(
            application_id=event.application_id,
            tenant_id=event.tenant_id,
            mode=event.mode,
            revision=1,
            received_at=event.received_at,
            problems=(),
        )
        return encode(fact, envelope_of(fact, "test", make.NOW, delivery.envelope), delivery.key)

    async def event(self) -> Record:
        event = make.received()
        key = (await self.vault.create([event.key_id]))[event.key_id]
        return make.record(event, key)

    async def send(self, *records: Record, headers: Any = None) -> None:
        producer: Any = AIOKafkaProducer(bootstrap_servers=self.kafka, max_request_size=4 * 1024 * 1024)
        await producer.start()
        for record in records:
            given = list(record.headers) if headers is None else headers
            await producer.send_and_wait(TOPIC, record.value, key=record.key, headers=given)
        await producer.stop()

    async def committed(self, record: Any) -> int:
        """How far its group has read where this record stands."""
        admin: Any = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        offsets = await admin.list_consumer_group_offsets(f"{self.service}.{TOPIC}")
        await admin.close()
        return int(offsets[TopicPartition(TOPIC, record.partition)].offset)

    async def letters(self) -> list[Letter]:
        """The dead letters of this service."""
        found = await self.read(f"{TOPIC}-dlq", lambda record: orjson.loads(record.value)["service"] == self.service)
        return [read_letter(record) for record in found]

    async def originals(self) -> list[Original]:
        """What they are about, opened."""
        letters = await self.letters()
        keys = await self.vault.find({letter.key_id for letter in letters})
        return [letter.opened(keys[letter.key_id]) for letter in letters]

    async def read(self, topic: str, ours: Callable[[Any], bool]) -> list[Any]:
        consumer: Any = AIOKafkaConsumer(topic, bootstrap_servers=self.kafka, auto_offset_reset="earliest")
        await consumer.start()
        found: list[Any] = []
        while batch := await consumer.getmany(timeout_ms=400):
            found += [record for records in batch.values() for record in records if ours(record)]
        await consumer.stop()
        return found


@pytest.fixture
async def bench(kafka: str, mongo: str, tmp_path: Path, database_prefix: str) -> AsyncIterator[Bench]:
    client: AsyncMongoClient[Document] = AsyncMongoClient(mongo, w="majority", journal=True, tz_aware=True)
    bench = Bench(kafka, tmp_path, client, database_prefix)
    await bench.begin()
    yield bench
    await bench.stop()
    await client.close()


def about(records: Sequence[Record]) -> Callable[[Any], bool]:
    keys = {record.key for record in records}
    return lambda record: record.key in keys


async def at_least(collection: Collection, wanted: int) -> bool:
    return await collection.count_documents({}) >= wanted
