"""When does what was stopped do something again? Seen from outside, by what it leaves behind.

A service: a document in its own database changes, which it alone writes and which it does for every event it hears,
every call it makes and every record it publishes; told by MongoDB's change stream, without the proxy. Kafka: a topic's
segment files grow, so somebody has published. MongoDB: a service's document changes. A partner: the proxy has passed on
a whole answer of it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from lendrail.local.programs import KAFKA, MONGO, SERVICES
from proofs.chaos.ground import Ground

LOOK_SECONDS = 0.05
PATIENCE = 30.0
"""Seconds after which there was nothing to do."""


class Progress:
    """Follows the change stream as long as `run` does."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._changed: dict[str, float] = {}
        """By database, when its latest change was seen (monotonic)."""
        self._client = httpx.AsyncClient(trust_env=False, timeout=2)

    async def run(self) -> None:
        """Until cancelled; begins again whenever MongoDB was away."""
        async with self._client:
            while True:
                with suppress(PyMongoError):
                    await self._follow()
                await asyncio.sleep(0.2)

    async def _follow(self) -> None:
        async with AsyncMongoClient[dict[str, Any]](self._ground.mongo.url, serverSelectionTimeoutMS=2_000) as client:
            stages: list[dict[str, Any]] = [{"$match": {"ns.db": {"$in": list(SERVICES)}}}, {"$project": {"ns.db": 1}}]
            async with await client.watch(stages, max_await_time_ms=500) as stream:
                while stream.alive:
                    change = await stream.try_next()
                    if change is not None:
                        self._changed[change["ns"]["db"]] = time.monotonic()

    async def ready(self, service: str) -> bool:
        try:
            answer = await self._client.get(self._ground.ready_at(service))
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    async def since(self, target: str) -> float | None:
        """Seconds from now to its first progress; None when there is none within PATIENCE. A service has to be ready
        as well.
        """
        begin, mark = time.monotonic(), await self._mark(target)
        while time.monotonic() - begin < PATIENCE:
            if await self._moved(target, begin, mark):
                return time.monotonic() - begin
            await asyncio.sleep(LOOK_SECONDS)
        return None

    async def _mark(self, target: str) -> int:
        """What is counted, as it stands."""
        if target == KAFKA:
            return size(self._ground.kafka.data)
        if target in (MONGO, *SERVICES):
            return 0
        return (await self._ground.proxy.counts()).passed.get(target, 0)

    async def _moved(self, target: str, begin: float, mark: int) -> bool:
        if target == MONGO:
            return any(at > begin for at in self._changed.values())
        if target in SERVICES:
            return self._changed.get(target, 0) > begin and await self.ready(target)
        return await self._mark(target) > mark


def size(folder: Path) -> int:
    """Bytes of all records in the topics of ours."""
    found = 0
    for segment in folder.glob("[!_]*/*.log"):
        with suppress(FileNotFoundError):
            found += segment.stat().st_size
    return found
