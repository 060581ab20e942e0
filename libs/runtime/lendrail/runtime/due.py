"""Due work: documents with a time, claimed for a while by one worker.

Times and leases are the server's (`$$NOW`), so a worker with a wrong clock neither starts early nor steals. A lease
is an agreement, not a lock: the worker looks at its own deadline once more just before it does what cannot be undone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pymongo import ASCENDING

from lendrail.runtime.mongo import OUTAGES, Collection, Document, doing
from lendrail.runtime.tasks import end

log = structlog.get_logger()
MARGIN_SECONDS = 2.0
GATHER_SECONDS = 0.01
"""How long a free lane waits for others to become free too, so that one claim serves them all."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A claim on one document; `token` fences the writes of whoever lost it."""

    token: str
    deadline: float
    """On this process's monotonic clock, already shortened by a margin."""

    @property
    def held(self) -> bool:
        return time.monotonic() < self.deadline

    def seconds_left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())


Claimed = tuple[Document, Lease]


async def prepare(collection: Collection) -> None:
    await collection.create_index([("due", ASCENDING)], partialFilterExpression={"due": {"$type": "date"}})


def ready() -> Document:
    """The filter for what is due now and under nobody's lease."""
    return {
        "$expr": {"$and": [{"$lte": ["$due", "$$NOW"]}, {"$lte": [{"$ifNull": ["$lease.until", "$$NOW"]}, "$$NOW"]}]},
        "due": {"$type": "date"},
    }


def claiming(collection: Collection) -> Collection:
    """The collection as claims write to it: under labels of their own."""
    return doing(collection, "claim")


async def claim(collection: Collection, where: Document, limit: int, seconds: float) -> list[Claimed]:
    """Claim up to `limit` documents that match `where` and are due now, oldest first, for `seconds`."""
    found = await collection.find({**where, **ready()}, {"_id": 1}).sort("due", ASCENDING).limit(limit).to_list()
    return await take(collection, [document["_id"] for document in found], seconds)


async def take(collection: Collection, ids: Sequence[Any], seconds: float) -> list[Claimed]:
    """Claim those of `ids` that are still due and free."""
    if not ids:
        return []
    token = uuid.uuid4().hex
    lease = Lease(token, time.monotonic() + seconds - MARGIN_SECONDS)
    until = {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": int(seconds * 1000)}}
    await claiming(collection).update_many(
        {**ready(), "_id": {"$in": list(ids)}}, [{"$set": {"lease": {"token": token, "until": until}}}]
    )
    cursor = collection.find({"_id": {"$in": list(ids)}, "lease.token": token})
    return [(document, lease) async for document in cursor]


def in_seconds(seconds: float) -> Document:
    """An update expression: the server's time plus `seconds`."""
    return {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": int(seconds * 1000)}}


class Worker:
    """Claims due work of one collection and carries it out, up to `lanes` documents at a time."""

    def __init__(
        self,
        collection: Collection,
        work: Callable[[Document, Lease, int], Awaitable[Any]],
        *,
        where: Callable[[], Awaitable[Document | None]],
        lanes: int = 16,
        lease_seconds: float = 120.0,
        poll_seconds: float = 0.5,
        order: Callable[[Document, int], Awaitable[Sequence[Any]]] | None = None,
    ) -> None:
        """`work` gets a document, its lease and the number of its lane; `where` says what may be claimed now,
        None for nothing. `order` (of that, how many) gives the ids of what is due and goes first; without it that is
        what is due for the longest time.
        """
        self._collection, self._work, self._where, self._order = collection, work, where, order
        claiming(collection)
        self._lease_seconds, self._poll_seconds = lease_seconds, poll_seconds
        self._free = list(range(lanes))
        self._awake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._gathering: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """There is new work."""
        self._awake.set()

    def _lane_became_free(self) -> None:
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._gathered)

    def _gathered(self) -> None:
        self._gathering = None
        self._awake.set()

    async def run(self) -> None:
        """Work until cancelled; what is under way is then finished by `drain`."""
        while True:
            self._awake.clear()
            try:
                claimed = await self._claim()
            except OUTAGES as error:
                log.warning("a worker waits for its store", error=type(error).__name__)
                await asyncio.sleep(0.5)
                continue
            for document, lease in claimed:
                self._start(document, lease)
            if not claimed or not self._free:
                await self._rest()

    async def drain(self, seconds: float) -> None:
        """Wait for the work under way. What takes longer is broken off, as a kill would: whoever called this closes the
        clients next, and work that goes on without them leaves behind that something may have been sent.
        """
        if self._running:
            _, left = await asyncio.wait(self._running, timeout=seconds)
            await end(left)

    async def _claim(self) -> list[Claimed]:
        where = await self._where() if self._free else None
        if where is None:
            return []
        if self._order is not None:
            return await take(self._collection, await self._order(where, len(self._free)), self._lease_seconds)
        return await claim(self._collection, where, len(self._free), self._lease_seconds)

    async def _rest(self) -> None:
        """Not `wait_for`, which on Python 3.11 loses a cancellation that comes together with the event."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._poll_seconds):
                await self._awake.wait()

    def _start(self, document: Document, lease: Lease) -> None:
        lane = self._free.pop()
        task = asyncio.create_task(self._carry_out(document, lease, lane))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _carry_out(self, document: Document, lease: Lease, lane: int) -> None:
        try:
            await self._work(document, lease, lane)
        except OUTAGES as error:
            log.warning("work is put back until its store is there", error=type(error).__name__)
        except Exception as error:
            log.error("our code failed on due work; it stays leased and is tried again", exc_info=error)
        finally:
            self._free.append(lane)
            self._lane_became_free()
