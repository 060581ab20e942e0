"""Outcomes on a real Kafka: the consumer of docs/outcomes.md reads them through kill -9; a topic that is missing and a
broker that is away lose none.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from jsonschema import Draft202012Validator
from pymongo import AsyncMongoClient
from tests import make, support

from lendrail.contracts.json_schemas import schemas
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.local.servers import Kafka
from lendrail.notifications import lanes
from lendrail.notifications.outcome import outcome_of
from lendrail.runtime.settings import read_key
from lendrail.runtime.vault import LocalWrapper, Vault

from .conftest import Document, updated
from .outcomes import blocks, switch

WINDOWS = ("outcome.before", "outcome.after", "store.deliveries.before")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker of this file's own: it is killed, and its consumer groups are nobody else's."""
    server = Kafka(tmp_path_factory.mktemp("kafka")).start()
    yield server
    server.stop()


@contextlib.asynccontextmanager
async def _process(*command: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, env=os.environ | environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.wait(), 20)


async def _topic(kafka: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 3, 1)])
    finally:
        await admin.close()


async def _publish(kafka: str, vault: Vault, event: StatusUpdated) -> None:
    record = make.record(event, (await vault.create([event.key_id]))[event.key_id], "status")
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    await producer.send_and_wait(record.topic, record.value, key=record.key, headers=list(record.headers))
    await producer.stop()


async def _read(kafka: str, topic: str, count: int) -> list[tuple[str, str]]:
    """Id and application of the first `count` records, or of as many as there are after ten seconds."""
    consumer: Any = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest")
    found: list[tuple[str, str]] = []
    async with consumer:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                while len(found) < count:
                    record = await consumer.getone()
                    found.append((dict(record.headers)["ce_id"].decode(), record.key.decode()))
    return found


async def test_the_consumer_of_the_page_has_each_outcome_once_through_kill_9(
    broker: Kafka, mongo: str, tmp_path: Path, database_prefix: str, project: Path
) -> None:
    kafka = broker.bootstrap
    program, _ = blocks(project / "docs" / "outcomes.md", "python")
    assert sum(bool(line) for line in program.splitlines()) == 10
    environment = support.environment(
        tmp_path,
        kafka=kafka,
        mongo=mongo,
        prefix=database_prefix,
        instance=f"n{database_prefix}",
        smtp_host="localhost",
        smtp_sender="lendrail@demo.example.test",
        outcome_seconds="3",
        outcome_retry_seconds="[0.2]",
    )
    topic = switch(tmp_path, on=True, tenant=f"demo-{database_prefix}")
    await support.topics(kafka, "status-updated", "notify")
    await _topic(kafka, topic)
    ledger, page = tmp_path / "ledger.sqlite", tmp_path / "consumer.py"
    page.write_text(program)
    client: AsyncMongoClient[Document] = AsyncMongoClient(mongo, w="majority", tz_aware=True)
    vault = Vault(client[f"{database_prefix}keys"]["data_keys"], LocalWrapper(read_key(tmp_path / "master.key")))
    application = make.new_id()
    told: list[StatusUpdated] = []

    def rows() -> list[tuple[str, str]]:
        with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(sqlite3.connect(ledger)) as found:
            stored = found.execute("SELECT id, said FROM outcomes ORDER BY rowid").fetchall()
            return [(name.decode(), said.decode()) for name, said in stored]
        return []

    async def all_there() -> bool:
        return len(rows()) >= len(told)

    async with _process(str(page), kafka, topic, str(ledger)):
        for version, window in enumerate((*WINDOWS, None), 1):
            told.append(updated(version, application_id=application, tenant_id=topic.removeprefix("outcomes-")))
            await _publish(kafka, vault, told[-1])
            kill = {"LENDRAIL_FAULT_AT": window} if window else {}
            async with _process("-m", "lendrail.notifications", **environment, **kill) as service:
                if window:
                    assert await asyncio.wait_for(service.wait(), 30) == -9, window
                else:
                    await support.eventually(all_there, 40)
    said = [json.loads(text) for _, text in rows()]
    assert [each["version"] for each in said] == [event.version for event in told]
    assert {each["applicationId"] for each in said} == {str(application)}
    for each in said:
        Draft202012Validator(schemas()["outcome"]).validate(each)
    records = await _read(kafka, topic, len(told) + len(WINDOWS))
    assert {each for each, _ in records} == {each for each, _ in rows()}
    assert len(told) < len(records) <= len(told) + len(WINDOWS), "killed after a write, it is written again"
    await client.close()


def test_the_records_of_the_page_fit_the_schema(project: Path) -> None:
    for example in blocks(project / "docs" / "outcomes.md", "json"):
        Draft202012Validator(schemas()["outcome"]).validate(json.loads(example))


async def test_a_topic_that_is_missing_gets_all_once_it_is_there(
    broker: Kafka, start: Any, tmp_path: Path, database_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "LONGEST_HOLD", 0.1)
    tenant = f"late-{database_prefix}"
    kafka = broker.bootstrap
    running = await start(kafka=kafka, outcome_seconds="2", outcome_retry_seconds="[0.2]")
    topic = switch(tmp_path, on=True, tenant=tenant)
    await running.work()
    events = [updated(tenant_id=tenant) for _ in range(3)]
    await running.publish(*events)

    async def refused() -> Any:
        return await running.deliveries.find_one({"notices.outcome": "unknown-topic-or-partition"})

    await support.eventually(refused)
    await _topic(kafka, topic)
    for event in events:
        await running.state(event, "delivered", 20)
    found = await _read(kafka, topic, len(events))
    assert sorted(key for _, key in found) == sorted(event.subject for event in events)


async def test_a_kafka_that_is_away_loses_none_and_changes_no_order(
    broker: Kafka, start: Any, tmp_path: Path, database_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "LONGEST_HOLD", 0.1)
    tenant = f"away-{database_prefix}"
    running = await start(kafka=broker.bootstrap, outcome_seconds="2", outcome_retry_seconds="[0.2]")
    topic = switch(tmp_path, on=True, tenant=tenant)
    await _topic(broker.bootstrap, topic)
    await running.work()
    application = make.new_id()
    events = [updated(n, application_id=application, tenant_id=tenant) for n in range(1, 7)]
    await running.publish(events[0])
    await running.state(events[0], "delivered", 20)
    broker.kill()
    await running.publish(*events[1:])

    async def failed() -> Any:
        waiting = {"$elemMatch": {"state": "waiting", "tries": {"$gt": 1}}}
        return await running.deliveries.find_one({"notices": waiting})

    await support.eventually(failed, 20)
    broker.start()
    await running.state(events[-1], "delivered", 40)
    found = [each for each, _ in await _read(broker.bootstrap, topic, len(events))]
    assert list(dict.fromkeys(found)) == [_id(event) for event in events]


def _id(event: StatusUpdated) -> str:
    return outcome_of(event, "https://api.example.test").id
