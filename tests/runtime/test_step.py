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
from aiokafka.producer import message_accumulator
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
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
from lendrail.runtime.vault import Key, LocalWrapper, Vault

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
    letters, originals = await bench.letters(), await bench.originals()
    assert len({letter.id for letter in letters}) == len(letters) == 4
    assert all(letter.reason and "not json" not in repr(letter) for letter in letters)
    by_key = {each.key: each for each in originals}
    assert by_key[b"p3"].headers == (("ce_id", None), ("x", b"\xff\xfe"))
    assert by_key[b"p1"] == Original(TOPIC, b"p1", b"{not json", good[0].headers)


async def test_nothing_of_what_a_sender_chose_stands_in_a_reason_or_in_the_clear(bench: Bench) -> None:
    """Names of headers and of members, the key, and values that nobody sealed."""
    good, mark = await bench.event(), "Zqpoison"
    body = orjson.loads(good.value)
    body["application"]["metadata"] = {mark: [mark]}
    await bench.send(Record(TOPIC, mark.encode(), orjson.dumps(body), good.headers))
    await bench.send(Record(TOPIC, mark.encode(), good.value, (*good.headers, (f"x-{mark}", b"\xff"))))
    await bench.run(bench.reject)

    async def both() -> bool:
        return len(await bench.letters()) == 2

    await support.eventually(both)
    letters = await bench.read(f"{TOPIC}-dlq", lambda record: orjson.loads(record.value)["service"] == bench.service)
    assert not any(mark.encode() in part for r in letters for part in (r.key, r.value, repr(r.headers).encode()))
    assert {each.key for each in await bench.originals()} == {mark.encode()}


async def test_what_is_too_long_for_a_letter_stops_nothing(bench: Bench) -> None:
    """Also when it is the headers or the key: a letter that no broker takes would come again for ever."""
    good, long = await bench.event(), b"x" * 2_500_000
    await bench.send(Record(TOPIC, b"k", long, good.headers), Record(TOPIC, long, b"{", good.headers))
    await bench.send(Record(TOPIC, b"k", b"{", (*good.headers, ("x-long", long))), good)
    await bench.run(bench.reject)
    await support.eventually(lambda: _count(bench.effects, 1))

    async def all_three() -> bool:
        return len(await bench.letters()) == 3

    await support.eventually(all_three)
    assert sorted((letter.whole, *letter.sealed) for letter in await bench.letters()) == [
        (False, "key", "headers"), (False, "value"), (False, "value"),
    ]  # fmt: skip


async def test_what_is_sealed_under_another_key_is_a_letter_and_no_defect(bench: Bench) -> None:
    """However many there are: our code is not at fault, so the consumer goes on."""
    event, good = make.received(), await bench.event()
    await bench.vault.create([event.key_id])
    foreign = make.record(event, Key(event.key_id, b"another key, of thirty-two bytes"))
    await bench.send(*[foreign] * 5, good)
    await bench.run(bench.reject, defects=2)
    await support.eventually(lambda: _count(bench.effects, 1))
    assert ["seal_broken" in letter.reason for letter in await bench.letters()] == [True] * 5


class RawName(str):
    """A header's name as clients in C, Go or Rust may write it: any bytes."""

    def encode(self, *_: Any) -> bytes:
        return b"\xff\xfename"


async def test_a_header_whose_name_is_no_text_loses_nothing_of_its_batch(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's own reader breaks in the middle of it, and with it the consumer."""
    good = [await bench.event() for _ in range(4)]
    monkeypatch.setattr(message_accumulator, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
    producer: Any = AIOKafkaProducer(bootstrap_servers=bench.kafka, max_batch_size=1024 * 1024)
    await producer.start()
    batch = producer.create_batch()
    odd = [*good[1].headers, (RawName("name"), b"\xff")]
    for record, headers in ((good[0], good[0].headers), (good[1], odd), (good[2], good[2].headers)):
        assert batch.append(key=record.key, value=record.value, timestamp=None, headers=list(headers))
    await (await producer.send_batch(batch, TOPIC, partition=0))
    await producer.stop()
    await bench.send(good[3])
    await bench.run(bench.reject)
    await support.eventually(lambda: _count(bench.effects, 3))
    (original,) = await bench.originals()
    assert original.headers == (*good[1].headers, ("\udcff\udcfename", b"\xff"))


async def test_a_sender_may_compress_as_it_likes(bench: Bench) -> None:
    """Kafka keeps a batch as it was sent, and upstream systems choose for themselves."""
    codecs = ("gzip", "snappy", "lz4", "zstd")
    for codec in codecs:
        one = await bench.event()
        producer: Any = AIOKafkaProducer(bootstrap_servers=bench.kafka, compression_type=codec)
        await producer.start()
        await producer.send_and_wait(TOPIC, one.value, key=one.key, headers=list(one.headers))
        await producer.stop()
    await bench.run(bench.reject)
    await support.eventually(lambda: _count(bench.effects, len(codecs)))


async def test_headers_that_tell_of_another_application_than_the_body_are_not_believed(bench: Bench) -> None:
    one, other = await bench.event(), make.received()
    key = (await bench.vault.create([other.key_id]))[other.key_id]
    envelope = envelope_of(other, "test", make.NOW)
    swapped = encode(other, envelope, key)
    headers = tuple((n, b"live" if n == "ce_mode" else v) for n, v in swapped.headers)
    await bench.send(Record(TOPIC, b"k", swapped.value, headers), one)
    await bench.run(bench.reject)
    await support.eventually(lambda: _count(bench.effects, 1))
    (letter,) = await bench.letters()
    assert "ce_mode" in letter.reason


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
    assert [letter.reason for letter in await bench.letters()] == ["defect: ZeroDivisionError"]
    assert await bench.originals() == [Original(TOPIC, bad[0].key, bad[0].value, bad[0].headers)]
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
    assert await bench.letters() == []


async def test_a_list_that_the_store_lost_in_a_restart_is_an_outage_and_no_defect(bench: Bench) -> None:
    events, lost = [await bench.event() for _ in range(3)], 0
    await bench.effects.insert_many([{"n": number} for number in range(5)])

    async def handle(deliveries: Deliveries) -> list[Record]:
        nonlocal lost
        async with bench.effects.find({"n": {"$gte": 0}}).batch_size(2) as found:
            await anext(found)
            if lost < 2:
                lost += 1
                await bench.effects.database.command("killCursors", "effects", cursors=[found.cursor_id])
            await found.to_list()
        return await bench.reject(deliveries)

    await bench.send(*events)
    await bench.run(handle)
    await support.eventually(lambda: _read_all(bench, events))
    assert (lost, await bench.letters()) == (2, [])


async def _read_all(bench: Bench, events: list[Record]) -> bool:
    return len(await bench.read(OUT, about(events))) == len(events)
