"""The service as a process on real Kafka and MongoDB: killed in each window, what it tells stays the same."""

import uuid
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from tests import make, support
from tests.status.bench import Bench, Deal
from tests.status.process import Process
from tests.status.process import _topics as _topics
from tests.status.process import process as process

from lendrail.contracts.event import Event
from lendrail.contracts.topics import PARTNER_ACK


async def state(kafka: str, bench: Bench, *events: Event) -> None:
    """Publish events as other services do."""
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    await producer.start()
    for event in events:
        key = (await bench.service.vault.create([event.key_id]))[event.key_id]
        record = make.record(event, key)
        await producer.send_and_wait(record.topic, record.value, key=record.key, headers=list(record.headers))
    await producer.stop()


async def updates(kafka: str, deal: Deal) -> list[tuple[str, bytes]]:
    """Id and body of each `status-updated` record about this application, in the order of the topic."""
    consumer: Any = AIOKafkaConsumer("status-updated", bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    found = []
    polled = await consumer.getmany(timeout_ms=1500)
    while polled:
        records = [record for of_partition in polled.values() for record in of_partition]
        mine = [record for record in records if record.key == str(deal.application_id).encode()]
        found += [(dict(record.headers)["ce_id"].decode(), record.value) for record in mine]
        polled = await consumer.getmany(timeout_ms=300)
    await consumer.stop()
    return found


@pytest.mark.parametrize(
    "window",
    [
        "store.opportunities.before",
        "store.opportunities.after",
        "relay.opportunities.published",
        "step.partner-ack.written",
        "step.partner-ack.published",
    ],
)
async def test_killed_in_a_window(process: Process, bench: Bench, kafka: str, window: str) -> None:
    deal, later = Deal(), Deal()
    process.start(kill_at=window)
    await support.eventually(process.ready)
    await state(kafka, bench, deal.ack())
    await support.eventually(process.died)
    stored = await bench.opportunities.find_one({"_id": str(deal.id)})
    process.start()
    await state(kafka, bench, later.ack())  # behind the other one in its partition: then that one has come again

    async def settled() -> bool:
        found = await bench.opportunities.find({"_id": {"$in": [str(deal.id), str(later.id)]}}).to_list()
        return len(found) == 2 and not any("pending" in document for document in found)

    await support.eventually(settled, 30)
    document = await bench.document(deal.id)
    assert (document["status"], document["version"], len(document["observations"])) == ("submitted", 1, 1)
    if stored is not None:
        assert (document["outbox"], document["rev"]) == (stored["outbox"], stored["rev"]), "nothing is computed again"
    told = await updates(kafka, deal)
    assert set(told) == {(_id(document), document["outbox"][0]["value"])}


def _id(document: dict[str, Any]) -> str:
    return str(document["outbox"][0]["headers"]["ce_id"].decode())


async def test_a_poisoned_record_stops_nothing(process: Process, bench: Bench, kafka: str) -> None:
    process.start()
    await support.eventually(process.ready)
    deal, later = Deal(), Deal()
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    await producer.send_and_wait(PARTNER_ACK.name, b"\xff{", key=str(uuid.uuid4()).encode())
    await producer.stop()
    await state(kafka, bench, deal.validated(), later.rejected(), deal.ack(), deal.webhook("nobody"))

    async def done() -> bool:
        found = await bench.opportunities.find_one({"_id": str(deal.id), "status": "submitted"})
        invalid = await bench.opportunities.find_one({"_id": str(later.application_id), "status": "invalid"})
        orphan = await bench.parts.orphans.find_one({"partner_id": "nobody"})
        return bool(found and invalid and orphan)

    await support.eventually(done)
    assert len({told_id for told_id, _ in await updates(kafka, deal)}) == (await bench.document(deal.id))["version"]
