"""Kafka away: 202, and everything arrives later. MongoDB away: 503, and nothing is half done. Killed: nothing lost."""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from pymongo import AsyncMongoClient
from tests import make, support
from tests.gateway.process import Gateway, new_key

from lendrail.contracts.topics import APPLICATION_RECEIVED, TOPICS
from lendrail.local.servers import Kafka, Mongo


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker of this module's own, since it is stopped here."""
    server = Kafka(tmp_path_factory.mktemp("kafka")).start()
    asyncio.run(support.topics(server.bootstrap, *(topic.name for topic in TOPICS), "intake-demo-crm"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    server = Mongo(tmp_path_factory.mktemp("mongo")).start()
    yield server
    server.stop()


@pytest.fixture
def gateway(tmp_path: Path, broker: Kafka, database: Mongo) -> Iterator[Gateway]:
    prefix = f"o{uuid.uuid4().hex[:8]}_"
    running = Gateway(tmp_path, kafka=broker.bootstrap, mongo=database.url, prefix=prefix).start()
    running.wait_ready()
    yield running
    running.stop()


async def published(bootstrap: str, wanted: set[str]) -> list[str]:
    """Keys of the received events, as often as they stand in the topic; waits until all `wanted` are there."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    consumer.assign(await support.places(bootstrap, APPLICATION_RECEIVED.name))
    await consumer.seek_to_beginning()
    found: list[str] = []

    async def all_there() -> bool:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            found.extend(record.key.decode() for record in records if record.key.decode() in wanted)
        return wanted <= set(found)

    try:
        await support.eventually(all_there, 40)
    finally:
        await consumer.stop()
    return found


async def post(caller: httpx.AsyncClient, **headers: str) -> httpx.Response:
    return await caller.post("/v1/applications", json=make.application_json(), headers=new_key() | headers)


async def test_kafka_away_while_applications_come(gateway: Gateway, broker: Kafka) -> None:
    broker.stop()
    try:
        async with gateway.caller() as caller:
            answers = [await post(caller) for _ in range(20)]
            assert {answer.status_code for answer in answers} == {202}
            assert (await caller.get("/ready")).status_code == 200
    finally:
        broker.start()
    wanted = {answer.json()["applicationId"] for answer in answers}
    assert sorted(await published(broker.bootstrap, wanted)) == sorted(wanted)


async def test_a_gateway_that_starts_without_kafka_takes_applications(
    tmp_path: Path, broker: Kafka, database: Mongo
) -> None:
    broker.stop()
    gateway = Gateway(tmp_path, kafka=broker.bootstrap, mongo=database.url, prefix=f"o{uuid.uuid4().hex[:8]}_").start()
    try:
        assert gateway.wait_ready() < 5
        async with gateway.caller() as caller:
            wanted = {(await post(caller)).json()["applicationId"]}
        broker.start()
        assert await published(broker.bootstrap, wanted) == list(wanted)
    finally:
        gateway.stop()
        broker.restart()


async def test_mongodb_away_means_503_and_nothing_half_done(gateway: Gateway, database: Mongo, broker: Kafka) -> None:
    keys = [new_key() for _ in range(5)]
    async with gateway.caller() as caller:
        await post(caller)
        database.stop()
        try:
            began = time.monotonic()
            answers = await asyncio.gather(*(post(caller, **key) for key in keys))
            took = time.monotonic() - began
            hook = await caller.post(f"/webhooks/forward-financing/{support.WEBHOOK_PATH}", content=b"{}")
            ready = await caller.get("/ready")
            read = await caller.get("/v1/applications")
            path = f"/v1/opportunities/{uuid.uuid4()}/withdraw"
            change = await caller.post(path, json={"reason": "found another way"}, headers=new_key())
        finally:
            database.start()
        assert {answer.status_code for answer in (*answers, hook, ready, read, change)} == {503}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in (*answers, hook, read, change))
        assert took < 10
        await support.eventually(lambda: _is_ready(caller))
        again = [await post(caller, **key) for key in keys]
    assert {answer.status_code for answer in again} == {202}
    client: AsyncMongoClient[Any] = AsyncMongoClient(database.url)
    stored = client[f"{gateway.environment['LENDRAIL_DATABASE_PREFIX']}gateway"]["applications"]
    assert await stored.count_documents({}) == 6
    await client.close()
    await published(broker.bootstrap, {answer.json()["applicationId"] for answer in again})


async def _is_ready(caller: httpx.AsyncClient) -> bool:
    return (await caller.get("/ready")).status_code == 200


async def test_killed_after_its_write_and_before_its_publish(tmp_path: Path, broker: Kafka, database: Mongo) -> None:
    prefix = f"o{uuid.uuid4().hex[:8]}_"
    places = {"kafka": broker.bootstrap, "mongo": database.url, "prefix": prefix}
    gateway = Gateway(tmp_path, **places, fault_at="publish.before").start()
    gateway.wait_ready()
    key = new_key()
    async with gateway.caller() as caller:
        with contextlib.suppress(httpx.HTTPError):  # the relay may die before the answer is out
            await post(caller, **key)
    await support.eventually(lambda: _dead(gateway))
    second = Gateway(tmp_path, **places).start()
    try:
        second.wait_ready()
        async with second.caller() as caller:
            answer = await post(caller, **key)
            assert answer.headers["idempotency-replayed"] == "true"
        wanted = {answer.json()["applicationId"]}
        assert await published(broker.bootstrap, wanted) == list(wanted)
    finally:
        second.stop()


async def test_an_import_killed_between_write_and_publish_publishes_what_was_stored(
    tmp_path: Path, broker: Kafka, database: Mongo
) -> None:
    from aiokafka import AIOKafkaProducer
    from tests.gateway.test_intake import SOURCE, body, headers

    from lendrail.contracts.intake import imported_application_id

    prefix, event = f"o{uuid.uuid4().hex[:8]}_", str(uuid.uuid4())
    places = {"kafka": broker.bootstrap, "mongo": database.url, "prefix": prefix}
    gateway = Gateway(tmp_path, **places, fault_at="intake.written").start()
    gateway.wait_ready()
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        value = body(make.application_json(), gateway.intake_key)
        await producer.send_and_wait("intake-demo-crm", value, headers=headers(event))
    await support.eventually(lambda: _dead(gateway), 40)
    application = imported_application_id("demo", SOURCE, event)
    client: AsyncMongoClient[Any] = AsyncMongoClient(database.url)
    stored = client[f"{prefix}gateway"]["applications"]
    said = {"chained": 0, "unchained": 0}  # the audit's own mark on an entry changes whenever its worker comes by
    before = await stored.find_one({"_id": str(application)}, said)
    second = Gateway(tmp_path, **places).start()
    try:
        await published(broker.bootstrap, {str(application)})
        assert json.dumps(before, default=str) == json.dumps(
            await stored.find_one({"_id": str(application)}, said), default=str
        )
    finally:
        second.stop()
        await client.close()


async def _dead(gateway: Gateway) -> bool:
    return gateway.ended


async def test_a_connection_may_rest_for_longer_than_our_own_clients_and_proxies_keep_it(gateway: Gateway) -> None:
    """Whoever sends on a connection in the moment in which we close it cannot know whether we took what was sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    for rest in (6.5, 0.0):
        writer.write(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        length = next(
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"
        )
        await reader.readexactly(length)
        await asyncio.sleep(rest)
    writer.close()
