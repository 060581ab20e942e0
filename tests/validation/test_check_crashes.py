"""kill -9 around a check, on real Kafka and MongoDB: each application gets one fact, whoever finishes the work."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import TopicAlreadyExistsError
from pymongo import AsyncMongoClient
from tests import make, support
from tests.sandbox.register import Register
from tests.validation.test_checks import CREDENTIAL, australian, credentials

from lendrail.contracts.event import read_envelope
from lendrail.runtime.settings import read_key
from lendrail.runtime.vault import LocalWrapper, Vault

HEARD = ("application-received", "application-amended")
FACTS = ("application-validated", "application-rejected")
WINDOWS = (
    "store.checks.after",
    "partner.before",
    "checks.told",
    "store.reports.after",
    "relay.reports.published",
)


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    running = Register(tmp_path_factory.mktemp("register"))
    running.start()
    yield running
    running.stop()


async def process_of(environment: dict[str, str], **more: str) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "lendrail.validation")
    told = os.environ | environment | more
    return await asyncio.create_subprocess_exec(*command, env=told, stdout=asyncio.subprocess.DEVNULL)


async def test_killed_between_claim_and_result(
    kafka: str, mongo: str, register: Register, tmp_path: Path, database_prefix: str
) -> None:
    with contextlib.suppress(TopicAlreadyExistsError):  # another test of this session made them
        await support.topics(kafka, *HEARD, *FACTS)
    environment = support.environment(
        tmp_path,
        kafka=kafka,
        mongo=mongo,
        prefix=database_prefix,
        instance=f"v{database_prefix}",
        credentials_file=str(credentials(tmp_path, register.asmx)),
        abn_credential=CREDENTIAL,
        abn_seconds="2",
    )
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo, w="majority", tz_aware=True)
    vault = Vault(client[f"{database_prefix}keys"]["data_keys"], LocalWrapper(read_key(tmp_path / "master.key")))
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka)
    consumer: Any = AIOKafkaConsumer(*FACTS, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await producer.start()
    await consumer.start()
    ours: set[bytes] = set()
    try:
        for nth, window in enumerate(WINDOWS):
            event = make.received(application=australian(amount=str(1000 + nth)))
            record = make.record(event, (await vault.create([event.key_id]))[event.key_id], "gateway")
            ours.add(record.key)
            await producer.send_and_wait(record.topic, record.value, key=record.key, headers=list(record.headers))
            process = await process_of(environment, LENDRAIL_FAULT_AT=window)
            assert await asyncio.wait_for(process.wait(), 40) == -signal.SIGKILL, window
        process = await process_of(environment)
        try:
            await support.eventually(lambda: _done(client[f"{database_prefix}validation"], len(WINDOWS)), 40)
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), 20)
        facts = await facts_of(consumer, ours)
        assert {key for key, _, _ in facts} == ours
        assert len(facts) == len(ours), "one fact each, and where it came twice the same bytes"
        assert {topic for _, topic, _ in facts} == {"application-validated"}
    finally:
        await producer.stop()
        await consumer.stop()
        for name in ("validation", "keys", "partners"):
            await client.drop_database(database_prefix + name)
        await client.close()


async def _done(database: Any, wanted: int) -> bool:
    """Everything reported, nothing waits, nothing is left to publish."""
    reports = database["reports"]
    waits = await database["checks"].count_documents({}) + await reports.count_documents({"pending": {"$exists": True}})
    done: int = await reports.count_documents({})
    return bool(waits == 0 and done == wanted)


async def facts_of(consumer: Any, ours: set[bytes]) -> set[tuple[bytes, str, tuple[str, bytes]]]:
    found: set[tuple[bytes, str, tuple[str, bytes]]] = set()
    while batch := await consumer.getmany(timeout_ms=2000):
        for records in batch.values():
            mine = [each for each in records if each.key in ours]
            found |= {(each.key, each.topic, (read_envelope(each.headers).id, each.value)) for each in mine}
    return found
