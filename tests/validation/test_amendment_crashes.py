"""kill -9 around an amendment that comes before its application: one fact of each, whoever finishes the work.

Which of the two is published first is not asked here: who dies between storing and publishing publishes late.
"""

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import TopicAlreadyExistsError
from pymongo import AsyncMongoClient
from tests import make, support
from tests.validation.amended import amended, withdrawn
from tests.validation.sound import sound
from tests.validation.test_check_crashes import FACTS, HEARD, process_of

from lendrail.contracts.event import read_envelope
from lendrail.runtime.settings import read_key
from lendrail.runtime.vault import LocalWrapper, Vault

EARLY = ("store.amendments.before", "store.amendments.after", "store.amendments.claim.before")
"""Before the application is there."""
TOGETHER = ("store.reports.after", "store.reports.before", "store.reports.after", "relay.reports.published")
"""First the application's report, then the amendment's, which finds the lease of the one before."""


async def test_killed_while_it_waits_and_when_it_is_released(
    kafka: str, mongo: str, tmp_path: Path, database_prefix: str
) -> None:
    with contextlib.suppress(TopicAlreadyExistsError):  # another test of this session made them
        await support.topics(kafka, *HEARD, *FACTS)
    environment = support.environment(
        tmp_path, kafka=kafka, mongo=mongo, prefix=database_prefix, instance=f"v{database_prefix}"
    )
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo, w="majority", tz_aware=True)
    vault = Vault(client[f"{database_prefix}keys"]["data_keys"], LocalWrapper(read_key(tmp_path / "master.key")))
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka)
    consumer: Any = AIOKafkaConsumer(*FACTS, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await producer.start()
    await consumer.start()
    event = make.received(application=sound())
    key = (await vault.create([event.key_id]))[event.key_id]
    try:
        for each, windows in ((amended(event, 2, withdrawn()), EARLY), (event, TOGETHER)):
            record = make.record(each, key, "gateway")
            await producer.send_and_wait(record.topic, record.value, key=record.key, headers=list(record.headers))
            for window in windows:
                process = await process_of(environment, LENDRAIL_FAULT_AT=window)
                assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL, window
            if windows is EARLY:
                await _read_to_the_end(environment, kafka)
        process = await process_of(environment)
        try:
            await support.eventually(lambda: _done(client[f"{database_prefix}validation"]), 40)
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), 20)
        facts = await _told(consumer, event.key.encode())
        assert [topic for topic, _, _ in facts] == ["application-validated"] * 2, "where one came twice, the same bytes"
        assert {cause for _, cause, _ in facts} == {event.id, amended(event, 2, withdrawn()).id}
    finally:
        await producer.stop()
        await consumer.stop()
        for name in ("validation", "keys"):
            await client.drop_database(database_prefix + name)
        await client.close()


async def _read_to_the_end(environment: dict[str, str], kafka: str) -> None:
    """So that the amendment is found where it waits and nowhere else: Kafka does not bring it again."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()

    async def committed() -> bool:
        offsets = await admin.list_consumer_group_offsets("validation.application-amended")
        return any(each.offset > 0 for each in offsets.values())

    process = await process_of(environment)
    try:
        await support.eventually(committed, 60)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)
        await admin.close()


async def _done(database: Any) -> bool:
    reports = database["reports"]
    waits = await database["amendments"].count_documents({})
    waits += await reports.count_documents({"pending": {"$exists": True}})
    return bool(waits == 0 and await reports.count_documents({}) == 2)


async def _told(consumer: Any, key: bytes) -> set[tuple[str, str, bytes]]:
    """Topic, cause and bytes of each fact."""
    found: set[tuple[str, str, bytes]] = set()
    while batch := await consumer.getmany(timeout_ms=2000):
        for records in batch.values():
            mine = [each for each in records if each.key == key]
            found |= {(each.topic, read_envelope(each.headers).causation_id, each.value) for each in mine}
    return found
