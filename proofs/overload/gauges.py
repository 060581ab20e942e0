"""What is looked at while it is overloaded: memory, consumer groups, health, and how much is still to be done."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from proofs.watch import header_time

SERVICES = ("gateway", "validation", "documents", "submission", "status", "notifications")
GROUPS_EVERY = 3.0
HEALTH_SECONDS = 5.0
MEGABYTE = 1024 * 1024


class Memory:
    """Resident memory of each service with its children, once a second, by phase of the run."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._families: dict[str, list[psutil.Process]] = {}
        self.samples: dict[str, dict[str, list[float]]] = {}
        """Megabytes, by phase and service."""
        self.phase = "start"

    async def run(self) -> None:
        looked = 0.0
        while True:
            if time.monotonic() - looked > 10:  # children come and go seldom
                looked = time.monotonic()
                self._families = {name: _family(pid) for name, pid in self._pids.items()}
            for name, family in self._families.items():
                self.samples.setdefault(self.phase, {}).setdefault(name, []).append(_resident(family))
            await asyncio.sleep(1)

    def of(self, phase: str, service: str) -> list[float]:
        return self.samples.get(phase, {}).get(service, [])


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _resident(family: list[psutil.Process]) -> float:
    found = 0.0
    for process in family:
        with suppress(psutil.Error):
            found += process.memory_info().rss
    return found / MEGABYTE


@dataclass
class Groups:
    """Membership of all consumer groups: who has which partitions. Members are static, so a member that was thrown out
    and came back has another id.
    """

    kafka: str
    first: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    looks: int = 0

    async def run(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka, request_timeout_ms=20_000)
        await admin.start()
        try:
            while True:
                with suppress(KafkaError):
                    self._compare(await _memberships(admin))
                await asyncio.sleep(GROUPS_EVERY)
        finally:
            await admin.close()

    def _compare(self, now: dict[str, tuple[Any, ...]]) -> None:
        self.looks += 1
        if not self.first:
            self.first = now
            return
        for group in self.first.keys() | now.keys():
            if now.get(group) != self.first.get(group):
                self.changes.append(f"{group}: {self.first.get(group)} became {now.get(group)}")
        self.first = now


async def _memberships(admin: Any) -> dict[str, tuple[Any, ...]]:
    """State and members of each group of ours."""
    names = [each[0] for each in await admin.list_consumer_groups() if each[0].split(".")[0] in SERVICES]
    found: dict[str, tuple[Any, ...]] = {}
    for name in names:  # one by one: the client misreads an answer about several
        for group in (await admin.describe_consumer_groups([name]))[0].groups:
            members = sorted((id, bytes(assigned)) for id, _client, _host, _wish, assigned in group[5])
            found[group[1]] = (group[2], *members)
    return found


@dataclass
class Health:
    """Whether the gateway says that it lives and is ready, asked as its keeper would: a new connection each time."""

    url: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)

    async def run(self) -> None:
        anew = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(trust_env=False, timeout=HEALTH_SECONDS, limits=anew) as client:
            while True:
                for path in ("/live", "/ready"):
                    await self._look(client, path)
                await asyncio.sleep(1)

    async def _look(self, client: httpx.AsyncClient, path: str) -> None:
        begun = time.monotonic()
        try:
            status = (await client.get(self.url + path)).status_code
        except httpx.HTTPError as error:
            self.bad.append(f"{path}: {type(error).__name__}")
            return
        self.seconds.setdefault(path, []).append(time.monotonic() - begun)
        if status != 200:
            self.bad.append(f"{path}: {status}")


@dataclass
class Decided:
    """Applications that show a decision, by the status topic."""

    kafka: str
    at: dict[str, float] = field(default_factory=dict)

    async def run(self) -> None:
        consumer: Any = AIOKafkaConsumer(bootstrap_servers=self.kafka, enable_auto_commit=False)
        await consumer.start()
        try:
            numbers = consumer.partitions_for_topic("status-updated") or range(6)
            places = [TopicPartition("status-updated", number) for number in numbers]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            while True:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        said = json.loads(record.value)
                        if said["status"] == "approved":
                            self.at.setdefault(said["applicationId"], header_time(record))
        finally:
            await consumer.stop()


@asynccontextmanager
async def running(*gauges: Any) -> AsyncIterator[None]:
    """Let them look until the end of the block; one that fails ends the proof."""
    tasks = [asyncio.create_task(gauge.run()) for gauge in gauges]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
