"""Calls of partners while MongoDB and Kafka are both away, and the process killed at the worst moments: whatever was
answered 200 is in MongoDB in the end, once, as if it had been written at once.
"""

import asyncio
import contextlib
import json
import random
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from pymongo import AsyncMongoClient
from tests import support
from tests.gateway.process import Gateway

from lendrail.contracts.topics import PARTNER_WEBHOOK, TOPICS
from lendrail.local.servers import Kafka, Mongo
from lendrail.local.servers.ports import free_port

PATH = f"/webhooks/forward-financing/{support.WEBHOOK_PATH}"
CANARY = "Canarywitz900000018"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    """One of this module's own, not started yet."""
    server = Mongo(tmp_path_factory.mktemp("mongo"))
    yield server
    server.stop()


class Stage:
    """A gateway that is started again and again over one spool."""

    def __init__(self, folder: Path, database: Mongo, kafka: str = "127.0.0.1:1") -> None:
        self.folder, self.database, self.kafka = folder, database, kafka
        self.prefix = f"s{uuid.uuid4().hex[:8]}_"
        self.answered: set[str] = set()
        self.gateway: Gateway | None = None

    def start(self, **more: str) -> Gateway:
        spool = {"webhook_spool": str(self.folder / "spool")}
        spool |= {"webhook_spool_key_file": str(support.key_file(self.folder, "spool.key"))}
        places = {"kafka": self.kafka, "mongo": self.database.url, "prefix": self.prefix}
        self.gateway = Gateway(self.folder, **places, **spool, **more).start()
        return self.gateway

    def files(self) -> list[Path]:
        return sorted((self.folder / "spool").glob("calls-*"))

    async def call(self, client: httpx.AsyncClient, lead: str) -> int:
        """The status, 0 where the process died; what was answered well is remembered."""
        body = json.dumps({"lead_id": lead, "event_type": "Approved", "note": CANARY})
        try:
            answer = await client.post(PATH, content=body)
        except httpx.HTTPError:
            return 0
        if answer.status_code == 200:
            self.answered.add(lead)
        return answer.status_code

    async def calls(self, count: int, together: int = 8) -> list[int]:
        """So many calls, some at a time, each about another lead."""
        assert self.gateway is not None
        room = asyncio.Semaphore(together)
        async with httpx.AsyncClient(base_url=self.gateway.url, trust_env=False, timeout=30) as client:

            async def one() -> int:
                async with room:
                    return await self.call(client, str(uuid.uuid4()))

            return list(await asyncio.gather(*(one() for _ in range(count))))

    @contextlib.asynccontextmanager
    async def stored(self) -> AsyncIterator[Any]:
        client: AsyncMongoClient[Any] = AsyncMongoClient(self.database.url, tz_aware=True)
        yield client[f"{self.prefix}gateway"]["webhooks"]
        await client.close()

    async def leads(self) -> list[str]:
        """What is in MongoDB, as often as it is there."""
        async with self.stored() as webhooks:
            said = [json.loads(each["outbox"][0]["value"]) async for each in webhooks.find()]
        return [each["foreignId"] for each in said]

    async def all_there(self) -> None:
        """Everything that was answered is stored, nothing twice, and the spool is empty."""

        async def drained() -> bool:
            return not self.files()

        await support.eventually(drained, 60)
        leads = await self.leads()
        assert self.answered <= set(leads), "what was answered is lost"
        assert len(set(leads)) == len(leads), "something was stored twice"

    def stop(self) -> None:
        if self.gateway is not None:
            self.gateway.stop()


@pytest.fixture
def stage(tmp_path: Path, database: Mongo) -> Iterator[Stage]:
    """Both servers are away; the broker for good."""
    database.stop()
    made = Stage(tmp_path, database)
    yield made
    made.stop()


async def _dead(gateway: Gateway) -> bool:
    return gateway.ended


async def test_a_gateway_that_starts_with_nothing_takes_calls(stage: Stage) -> None:
    gateway = stage.start()
    gateway.wait_ready()
    began = time.monotonic()
    assert await stage.calls(1) == [200]
    assert time.monotonic() - began < 8, "the first one found out"
    began = time.monotonic()
    assert set(await stage.calls(60)) == {200}
    assert time.monotonic() - began < 5, "the others did not wait for the store"
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=10) as client:
        ready = await client.get("/ready")
    assert (ready.status_code, ready.json()["checks"]) == (200, {"mongo": False, "spool": True})
    assert all(CANARY.encode() not in file.read_bytes() for file in stage.files())
    gateway.stop(9)
    assert stage.files()
    stage.database.start()
    stage.start().wait_ready()
    await stage.all_there()
    async with stage.stored() as webhooks:
        kept = await webhooks.find().to_list()
    assert len(kept) == 61
    for each in kept:
        said = json.loads(each["outbox"][0]["value"])
        assert said["webhookId"] == each["_id"]
        assert each["key"] == f"intake-{each['received']:%Y-%m-%d}", "sealed under the key of the day on which it came"
        assert (each["tenant"], each["credential"], said["verification"]) == ("demo", support.CREDENTIAL, "hint")
        assert CANARY.encode() not in each["raw"] + each["outbox"][0]["value"]
    assert max(each["received"] for each in kept).timestamp() < time.time() - 1


@pytest.mark.parametrize(
    "fault", ["spool.append.before#3", "spool.append.written#1", "spool.append.written#4", "spool.append.after#2"]
)
async def test_killed_in_the_middle_of_an_append(stage: Stage, fault: str) -> None:
    gateway = stage.start(fault_at=fault)
    gateway.wait_ready()
    statuses = await stage.calls(60, together=4)
    assert 0 in statuses
    await support.eventually(lambda: _dead(gateway))
    survivors = len(stage.answered)
    stage.start().wait_ready()
    assert set(await stage.calls(5)) == {200}
    stage.database.start()
    await stage.all_there()
    assert len(await stage.leads()) >= survivors + 5


@pytest.mark.parametrize("fault", ["store.webhooks.before#1", "store.webhooks.after#1", "spool.drained#1"])
async def test_killed_in_the_middle_of_a_drain(stage: Stage, fault: str) -> None:
    stage.start().wait_ready()
    assert set(await stage.calls(40)) == {200}
    stage.stop()
    left = stage.files()
    assert left
    stage.database.start()
    gateway = stage.start(fault_at=fault)
    await support.eventually(lambda: _dead(gateway), 40)
    assert stage.files() == left, "a file goes when all of it is stored and not before"
    stage.start().wait_ready()
    await stage.all_there()
    assert len(await stage.leads()) == 40


async def test_killed_at_any_moment_again_and_again(stage: Stage) -> None:
    """Calls come all the time; the store comes and goes; the gateway is killed five times."""
    draw = random.Random(7)
    for round in range(5):
        if round % 2:
            stage.database.start()
        else:
            stage.database.stop()
        gateway = stage.start()
        gateway.wait_ready()
        calling = asyncio.create_task(stage.calls(150, together=6))
        await asyncio.sleep(draw.uniform(0.2, 4.5))
        gateway.stop(9)
        await calling
    stage.database.start()
    stage.start().wait_ready()
    await stage.all_there()
    assert len(stage.answered) > 100


async def test_an_outage_in_the_middle_and_repeats_across_it(stage: Stage) -> None:
    """What came directly before the outage, again during it and again after it is one call."""
    stage.database.start()
    gateway = stage.start()
    gateway.wait_ready()
    while time.time() % 300 > 240:  # a window of repeats must not end in between
        await asyncio.sleep(1)
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=30) as client:
        assert await stage.call(client, "FAKE.same") == 200
        stage.database.stop()
        assert [await stage.call(client, "FAKE.same") for _ in range(3)] == [200] * 3
        assert stage.files()
        stage.database.start()
        await stage.all_there()
        assert await stage.call(client, "FAKE.same") == 200
    assert await stage.leads() == ["FAKE.same"]


async def test_both_servers_come_back_and_the_event_is_told(tmp_path: Path, database: Mongo) -> None:
    database.stop()
    port = free_port()
    stage = Stage(tmp_path, database, kafka=f"127.0.0.1:{port}")
    broker = Kafka(tmp_path / "kafka", port=port)
    try:
        stage.start().wait_ready()
        assert set(await stage.calls(10)) == {200}
        database.start()
        broker.start()
        await support.topics(broker.bootstrap, *(topic.name for topic in TOPICS), "intake-demo-crm")
        await stage.all_there()
        assert await _told(broker.bootstrap, stage.answered) == stage.answered
    finally:
        stage.stop()
        broker.stop()


async def _told(bootstrap: str, wanted: set[str]) -> set[str]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    consumer.assign(await support.places(bootstrap, PARTNER_WEBHOOK.name))
    await consumer.seek_to_beginning()
    found: set[str] = set()

    async def all_there() -> bool:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            found.update(json.loads(record.value)["foreignId"] for record in records)
        return wanted <= found

    try:
        await support.eventually(all_there, 60)
    finally:
        await consumer.stop()
    return found
