"""Due work: documents with a time, claimed for a while by one worker.

Times and leases are the server's (`$$NOW`), so a worker with a wrong clock neither starts early nor steals. A lease
is an agreement, not a lock: the worker looks at its own deadline once more just before it does what cannot be undone.

How long others wait for work whose process died is the length of its lease. What may take long is leased for a short
time, which the process renews for as long as it lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from pymongo import ASCENDING

from lendrail.runtime.mongo import OUTAGES, Collection, Document, doing
from lendrail.runtime.tasks import end

log = structlog.get_logger()
MARGIN_SECONDS = 2.0
RENEWALS = 4
"""Of a lease while it lasts, so that one which goes astray costs nothing."""
GATHER_SECONDS = 0.01
"""How long a free lane waits for others to become free too, so that one claim serves them all."""


@dataclass(slots=True)
class Lease:
    """A claim on one document; `token` fences the writes of whoever lost it. Times are those of this process's
    monotonic clock, already shortened by a margin.
    """

    token: str
    deadline: float
    """By when the work must be over."""
    renewed: float = math.inf
    """Until when it is held, unless it is renewed again; of one that is never renewed the deadline says that."""

    @property
    def held(self) -> bool:
        return time.monotonic() < min(self.deadline, self.renewed)

    def seconds_left(self) -> float:
        """For the work."""
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
    return await take(collection, await oldest(collection, where, limit), seconds)


async def oldest(collection: Collection, where: Document, limit: int) -> list[Any]:
    """The ids of what is due for the longest time."""
    found = await collection.find({**where, **ready()}, {"_id": 1}).sort("due", ASCENDING).limit(limit).to_list()
    return [document["_id"] for document in found]


async def take(
    collection: Collection, ids: Sequence[Any], seconds: float, longest: float | None = None
) -> list[Claimed]:
    """Claim those of `ids` that are still due and free; `longest`: how long the work may take where it is renewed."""
    if not ids:
        return []
    token, now = uuid.uuid4().hex, time.monotonic() - MARGIN_SECONDS
    await claiming(collection).update_many({**ready(), "_id": {"$in": list(ids)}}, _leased(token, seconds))
    cursor = collection.find({"_id": {"$in": list(ids)}, "lease.token": token})
    if longest is None:
        return [(document, Lease(token, now + seconds)) async for document in cursor]
    return [(document, Lease(token, now + longest, now + seconds)) async for document in cursor]


def _leased(token: str, seconds: float) -> list[Document]:
    return [{"$set": {"lease": {"token": token, "until": in_seconds(seconds)}}}]


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
        longest_seconds: float | None = None,
        poll_seconds: float = 0.5,
        order: Callable[[Document, int], Awaitable[Sequence[Any]]] | None = None,
    ) -> None:
        """`work` gets a document, its lease and the number of its lane; `where` says what may be claimed now,
        None for nothing. With `longest_seconds` a lease is renewed while its work goes on, for so long at most. `order`
        (of that, how many) gives the ids of what is due and goes first; without it that is what is due for the longest
        time.
        """
        self._collection, self._work, self._where = collection, work, where
        self._order = order or partial(oldest, collection)
        claiming(collection)
        self._lease_seconds, self._longest, self._poll_seconds = lease_seconds, longest_seconds, poll_seconds
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
        wanted = await self._order(where, len(self._free))
        return await take(self._collection, wanted, self._lease_seconds, self._longest)

    async def _rest(self) -> None:
        """Not `wait_for`, which on Python 3.11 loses a cancellation that comes together with the event."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._poll_seconds):
                await self._awake.wait()

    def _start(self, document: Document, lease: Lease) -> None:
        work = self._run(self._carry_out(document, lease, self._free.pop()))
        if self._longest is not None:
            renewing = self._run(self._renew(document["_id"], lease, work))
            work.add_done_callback(lambda _: renewing.cancel())

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _carry_out(self, document: Document, lease: Lease, lane: int) -> None:
        try:
            await self._work(document, lease, lane)
        except OUTAGES as error:
            log.warning("work is put back until its store is there", error=type(error).__name__)
        except Exception as error:
            log.error("our code failed on due work; it stays leased and is tried again", exc_info=error)
            if self._longest is not None:
                await self._extend(document["_id"], lease, self._longest)
        finally:
            self._free.append(lane)
            self._lane_became_free()

    async def _renew(self, name: Any, lease: Lease, work: asyncio.Task[None]) -> None:
        """Until the work is over or takes too long, or the lease is somebody else's."""
        ours: bool | None = True
        while ours is not False and not work.done() and lease.seconds_left():
            await asyncio.sleep(self._lease_seconds / RENEWALS)
            began = time.monotonic()
            if ours := await self._extend(name, lease, self._lease_seconds):
                lease.renewed = began + self._lease_seconds - MARGIN_SECONDS

    async def _extend(self, name: Any, lease: Lease, seconds: float) -> bool | None:
        """Whether the lease is ours; None where the store does not say."""
        mine, change = {"_id": name, "lease.token": lease.token}, _leased(lease.token, seconds)
        try:
            return (await claiming(self._collection).update_one(mine, change)).matched_count == 1
        except OUTAGES:
            return None
