"""Validation as a process of its own, killed where a test says; and what it hears and tells on a real Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import TopicAlreadyExistsError
from pymongo import AsyncMongoClient
from tests import make, support

from lendrail.contracts.event import Event, read_envelope
from lendrail.runtime.settings import read_key
from lendrail.runtime.vault import LocalWrapper, Vault

HEARD = ("application-received", "application-amended")
FACTS = ("application-validated", "application-rejected")
INSTANCE = "validation-1"
"""The same in every test: each process takes over at once what the one before it was given to read."""


class Process:
    """One validation, started and ended as often as a test likes."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._environment, self._log = os.environ | environment, folder / "validation.log"

    @asynccontextmanager
    async def running(self, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """It ends with the block, whatever happens there: who lives on reads what is meant for the next one."""
        command, told = (sys.executable, "-m", "lendrail.validation"), self._environment | more
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(*command, env=told, stdout=log, stderr=log)
        try:
            yield process
        finally:
            if process.returncode is None:
                await _end(process)

    async def says(self, words: str) -> bool:
        """Whether its log does."""
        return words in self._log.read_text()

    async def killed_at(self, label: str) -> None:
        """One process that passes this point and is no more."""
        async with self.running(LENDRAIL_FAULT_AT=label) as process:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 60)
            assert process.returncode == -signal.SIGKILL, f"{label} was not passed: {self._log.read_text()[-2000:]}"


async def _end(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 30)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise


class Fact(NamedTuple):
    """What was told; the same twice is one."""

    topic: str
    key: bytes
    id: str
    cause: str
    value: bytes


class Stage(Process):
    """With Kafka before and behind it."""

    def __init__(self, folder: Path, kafka: str, environment: dict[str, str], client: Any, producer: Any) -> None:
        super().__init__(folder, environment)
        prefix = environment["LENDRAIL_DATABASE_PREFIX"]
        keys = client[f"{prefix}keys"]["data_keys"]
        self.database = client[f"{prefix}validation"]
        self._kafka, self._producer = kafka, producer
        self._vault = Vault(keys, LocalWrapper(read_key(folder / "master.key")))

    async def send(self, event: Event) -> Any:
        """As the gateway does; where the record stands."""
        record = make.record(event, (await self._vault.create([event.key_id]))[event.key_id], "gateway")
        return await self._producer.send_and_wait(
            record.topic, record.value, key=record.key, headers=list(record.headers)
        )

    async def read_past(self, place: Any) -> None:
        """By one process that lives until then: Kafka does not bring this record again."""
        admin: Any = AIOKafkaAdminClient(bootstrap_servers=self._kafka)
        await admin.start()

        async def committed() -> bool:
            offsets = await admin.list_consumer_group_offsets(f"validation.{place.topic}")
            there = offsets.get(place.topic_partition)
            return there is not None and there.offset > place.offset

        try:
            async with self.running():
                await support.eventually(committed, 60)
        finally:
            await admin.close()

    async def facts(self, *keys: bytes) -> set[Fact]:
        """All that was told of these applications, up to where the topics end now."""
        consumer: Any = AIOKafkaConsumer(bootstrap_servers=self._kafka, enable_auto_commit=False)
        await consumer.start()
        found: set[Fact] = set()
        try:
            places = [place for topic in FACTS for place in await support.places(self._kafka, topic)]
            consumer.assign(places)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(places)
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found |= {_fact(each) for each in records if each.key in keys}
        finally:
            await consumer.stop()
        return found


def _fact(record: Any) -> Fact:
    envelope = read_envelope(record.headers)
    return Fact(record.topic, record.key, envelope.id, envelope.causation_id, record.value)


@asynccontextmanager
async def stage(folder: Path, kafka: str, mongo: str, prefix: str, **settings: str) -> AsyncIterator[Stage]:
    """On topics that it shares with the other tests of the session; what they left there are records of strangers."""
    with contextlib.suppress(TopicAlreadyExistsError):
        await support.topics(kafka, *HEARD, *FACTS)
    environment = support.environment(folder, kafka=kafka, mongo=mongo, prefix=prefix, instance=INSTANCE, **settings)
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo, w="majority", tz_aware=True)
    try:
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            yield Stage(folder, kafka, environment, client, producer)
    finally:
        for name in ("validation", "keys", "partners"):
            await client.drop_database(prefix + name)
        await client.close()
