"""One step on real Kafka and MongoDB: defects, outages, and the same records again after a crash."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer
from tests import support
from tests.runtime.stepping import OUT, TOPIC, Bench, Deliveries, about, at_least
from tests.runtime.stepping import _topics as _topics
from tests.runtime.stepping import bench as bench

from lendrail.contracts.event import Record
from lendrail.runtime.dead_letters import Original


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
    await support.eventually(lambda: at_least(bench.effects, len(codecs)))


async def test_a_redelivered_event_publishes_what_is_stored(bench: Bench) -> None:
    one = await bench.event()
    await bench.send(one, one)
    await bench.run(bench.reject)
    await support.eventually(lambda: at_least(bench.effects, 1))
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
    await support.eventually(lambda: at_least(bench.effects, 2))
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
    await support.eventually(lambda: at_least(bench.effects, 5))
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
