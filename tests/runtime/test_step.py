"""One step on real Kafka and MongoDB: poison, defects, outages, and the same records again after a crash."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pymongo import AsyncMongoClient
from tests import make, support

from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.event import Record, encode, envelope_of
from lendrail.contracts.topics import APPLICATION_RECEIVED
from lendrail.runtime.broker import make_broker
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
        producer: Any = AIOKafkaProducer(bootstrap_servers=self.kafka)
        await producer.start()
        for record in records:
            given = list(record.headers) if headers is None else headers
            await producer.send_and_wait(TOPIC, record.value, key=record.key, headers=given)
        await producer.stop()

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
    yield bench
    await bench.stop()
    await client.close()


def about(records: Sequence[Record]) -> Callable[[Any], bool]:
    keys = {record.key for record in records}
    return lambda record: record.key in keys


async def test_poison_goes_to_the_dead_letters_and_the_rest_goes_on(bench: Bench) -> None:
    good = [await bench.event() for _ in range(6)]
    await bench.send(good[0])
    await bench.send(Record(TOPIC, b"p1", b"{not json", good[0].headers))
    await bench.send(Record(TOPIC, b"p2", good[0].value, ()))
    await bench.send(Record(TOPIC, b"p3", b"1", ()), headers=[("ce_id", None), ("x", b"\xff\xfe")])
    await bench.send(Record(TOPIC, b"p4", good[1].value, good[2].headers))
    await bench.send(*good[1:])
    await bench.run(bench.reject)
    done = about(good)
    await support.eventually(lambda: _count(bench.effects, 6))
    assert len(await bench.read(OUT, done)) == 6
    letters = await bench.read(f"{TOPIC}-dlq", lambda r: r.key in (b"p1", b"p2", b"p3", b"p4"))
    assert len(letters) == 4
    bodies = [orjson.loads(letter.value) for letter in letters]
    assert all(body["reason"] and b"not json" not in orjson.dumps(body) for body in bodies)


async def _count(collection: Collection, wanted: int) -> bool:
    return await collection.count_documents({}) >= wanted


async def test_a_redelivered_event_publishes_what_is_stored(bench: Bench) -> None:
    one = await bench.event()
    await bench.send(one, one)
    await bench.run(bench.reject)
    await support.eventually(lambda: _count(bench.effects, 1))
    await bench.send(one)

    async def repeated() -> bool:
        return len(await bench.read(OUT, about([one]))) >= 2

    await support.eventually(repeated)
    out = await bench.read(OUT, about([one]))
    assert bench.computed == 1
    assert len({record.value for record in out}) == 1
    assert len({dict(record.headers)["ce_id"] for record in out}) == 1


async def test_a_defect_is_put_aside_and_too_many_stop_the_consumer(bench: Bench) -> None:
    good, bad = [await bench.event() for _ in range(3)], [await bench.event() for _ in range(4)]
    broken = {record.key for record in bad}

    async def handle(deliveries: Deliveries) -> list[Record]:
        if any(delivery.event.key.encode() in broken for delivery in deliveries):
            raise ZeroDivisionError
        return await bench.reject(deliveries)

    await bench.send(good[0], bad[0], good[1])
    await bench.run(handle, defects=2)
    await support.eventually(lambda: _count(bench.effects, 2))
    letters = await bench.read(f"{TOPIC}-dlq", about(bad))
    assert [orjson.loads(letter.value)["reason"] for letter in letters] == ["defect: ZeroDivisionError"]
    await bench.send(*bad[1:])
    await asyncio.sleep(0.5)
    await bench.send(good[2])
    await asyncio.sleep(1)
    assert await bench.effects.count_documents({}) == 2


async def test_an_outage_of_our_store_loses_nothing(bench: Bench) -> None:
    from pymongo.errors import AutoReconnect

    events, failures = [await bench.event() for _ in range(5)], 2

    async def handle(deliveries: Deliveries) -> list[Record]:
        nonlocal failures
        if failures:
            failures -= 1
            raise AutoReconnect("away")
        return await bench.reject(deliveries)

    await bench.send(*events)
    await bench.run(handle)
    await support.eventually(lambda: _count(bench.effects, 5))
    await support.eventually(lambda: _read_all(bench, events))
    assert await bench.read(f"{TOPIC}-dlq", about(events)) == []


async def _read_all(bench: Bench, events: list[Record]) -> bool:
    return len(await bench.read(OUT, about(events))) == len(events)
