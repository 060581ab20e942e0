"""The service as it is run, on real Kafka and MongoDB: heard once however often it is delivered, poison set aside."""

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from tests import make, support
from tests.sandbox.process import Sandbox
from tests.submission.desk import Desk, Shelf, submit
from tests.submission.test_crashes import end

from lendrail.contracts.event import Record, decode
from lendrail.contracts.partner_ack import PartnerAck
from lendrail.contracts.submit import Send
from lendrail.contracts.terms import FieldProblem
from lendrail.local.servers.ports import free_port

pytestmark = pytest.mark.asyncio
UNMADE = FieldProblem(pointer="/uploads/0", code="unreadable", message="cannot be read")


async def publish(kafka: str, *records: Record) -> list[tuple[int, int]]:
    """Where each came to stand: partition and offset."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    places = []
    for each in records:
        placed = await producer.send_and_wait(each.topic, each.value, key=each.key, headers=list(each.headers))
        places.append((placed.partition, placed.offset))
    await producer.stop()
    return places


async def test_heard_once_sent_once_told_once(
    tmp_path: Path, kafka: str, mongo: str, database_prefix: str, shared: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    shared.reset()
    await support.topics(kafka, "submit", "partner-ack", "status-updated")
    async with Shelf().open() as shelf:
        desk = Desk(tmp_path, mongo, database_prefix, shared, shelf, port=str(free_port()))
        desk.environment["KAFKA_BOOTSTRAP_SERVERS"] = kafka
        events = [submit() for _ in range(3)] + [submit(intent=Send(application=make.application(), unmade=(UNMADE,)))]
        records = [make.record(each, await desk.key(each)) for each in events]
        poison = Record("submit", b"key", b"{}", records[0].headers)
        placed = await publish(kafka, records[0], poison, *records, *records)
        process = desk.process(instance=f"submission-{uuid.uuid4().hex[:6]}")
        try:
            await _ready(desk.environment["LENDRAIL_PORT"])
            for event in events:
                await desk.until(event, "cancelled" if event is events[3] else "acked", seconds=30)
            told = await _told(kafka, {each.key_id for each in events}, 4)
        finally:
            end(process)
        for event in events[:3]:
            assert len((await desk.ledger(event))["leads"]) == 1
        by_key = {each.key_id: await desk.key(each) for each in events}
        acks = [decode(PartnerAck, value, by_key[subject]) for subject, value in told]
        assert sorted(each.outcome for each in acks) == ["accepted"] * 3 + ["not-sent"]
        assert len({each.id for each in acks}) == 4
        assert len(await _read(kafka, "submit-dlq", 1, lambda letter: _place(letter) == placed[1])) == 1
        await desk.client.close()


async def _ready(port: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:

        async def answers() -> bool:
            try:
                return (await client.get(f"http://127.0.0.1:{port}/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await support.eventually(answers, 30)


async def _told(kafka: str, subjects: set[str], count: int) -> list[tuple[str, bytes]]:
    found = await _read(kafka, "partner-ack", count, lambda each: each.key.decode() in subjects)
    return [(key.decode(), value) for key, value in found]


def _place(letter: Any) -> tuple[int, int]:
    """Of the record that a dead letter is about."""
    body = orjson.loads(letter.value)
    return body["partition"], body["offset"]


async def _read(kafka: str, topic: str, count: int, ours: Callable[[Any], bool]) -> list[tuple[bytes, bytes]]:
    """`count` records of ours and whatever comes within a second after them."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    found: list[tuple[bytes, bytes]] = []
    deadline = time.monotonic() + 20
    try:
        while time.monotonic() < deadline:
            batch = await consumer.getmany(timeout_ms=1000)
            found += [(each.key, each.value) for records in batch.values() for each in records if ours(each)]
            if len(found) >= count and not batch:
                return found
    finally:
        await consumer.stop()
    raise AssertionError(f"{len(found)} records in {topic}")
