"""Facts are stored with the effect that made them, in one document write, and published from there.

A document with an outbox holds `outbox` (its records, oldest first, kept so that a wiped broker can be filled again),
`sent` (how many of them were published) and, while some wait, `pending` (the instance that publishes them).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import structlog
from pymongo import ASCENDING, UpdateMany

from lendrail.contracts.event import Record
from lendrail.runtime.faults import named, point
from lendrail.runtime.mongo import OUTAGES, Collection, Document, doing
from lendrail.runtime.pace import rest
from lendrail.runtime.publisher import Publisher

log = structlog.get_logger()
SENT, ADOPTED = "sent", "adopted"
"""What a relay writes into a collection: labels of their own."""
ADOPT_SECONDS = 5
"""Another instance's records that wait longer than this are anybody's to publish."""
ROUND, ROUND_BYTES = 500, 16 * 1024 * 1024
"""How many documents the relay holds at most while it publishes them, and about how many bytes of records."""


def published(records: Sequence[Record]) -> Document:
    """Outbox fields of a document whose records the caller publishes before it commits (a Kafka handler)."""
    return {"outbox": [record.stored() for record in records], "sent": len(records)}


def waiting(records: Sequence[Record], instance: str) -> Document:
    """Outbox fields of a document whose records the relay publishes (HTTP requests, due work)."""
    return {"outbox": [record.stored() for record in records], "sent": 0, "pending": instance}


def emptied() -> Document:
    """The change by which a document of an erased person has nothing to publish any more. The outbox itself stays: a
    relay may have read it a moment ago and is about to mark it.
    """
    return {"$set": {"outbox": [], "sent": 0}, "$unset": {"pending": "", "pending_since": ""}}


def restored(document: Document) -> list[Record]:
    """All records of a document, oldest first."""
    return [Record.restored(stored) for stored in document.get("outbox", ())]


class Relay:
    """Publishes what waits in the outboxes of some collections, in order for each document."""

    def __init__(self, collections: Sequence[Collection], publisher: Publisher, instance: str) -> None:
        self._collections, self._publisher, self._instance = tuple(collections), publisher, instance
        self._awake = asyncio.Event()
        for collection in self._collections:
            named(f"relay.{collection.name}.published")
            for what in (SENT, ADOPTED):
                doing(collection, what)

    async def prepare(self) -> None:
        for collection in self._collections:
            await collection.create_index(
                [("pending", ASCENDING), ("_id", ASCENDING)], partialFilterExpression={"pending": {"$exists": True}}
            )

    def wake(self) -> None:
        """Something was stored just now."""
        self._awake.set()

    async def run(self) -> None:
        """Publish until cancelled: at once when woken, and once a second for what others left behind."""
        while True:
            try:
                began = time.monotonic()
                if sum([await self._drain(collection) for collection in self._collections]):
                    await rest(time.monotonic() - began)
                else:
                    await self._idle()
            except OUTAGES as error:
                log.warning("the relay waits for its store", error=type(error).__name__)
                await asyncio.sleep(0.5)

    async def _idle(self) -> None:
        """Not `wait_for`, which on Python 3.11 loses a cancellation that comes together with the event."""
        try:
            async with asyncio.timeout(1.0):
                await self._awake.wait()
        except TimeoutError:
            for collection in self._collections:
                await self._adopt(collection)
        self._awake.clear()

    async def _adopt(self, collection: Collection) -> None:
        """Take over what an instance that is no longer there left; its clock is the time of the write, by the
        server.
        """
        others = {"pending": {"$exists": True, "$ne": self._instance}}
        async for document in collection.find(others, {"pending": 1}).limit(200):
            where = {"_id": document["_id"], "pending": document["pending"]}
            seen = {"$ifNull": ["$pending_since", "$$NOW"]}
            age = {"$dateDiff": {"startDate": seen, "endDate": "$$NOW", "unit": "second"}}
            mine = {"$cond": [{"$gte": [age, ADOPT_SECONDS]}, self._instance, "$pending"]}
            await doing(collection, ADOPTED).update_one(where, [{"$set": {"pending": mine, "pending_since": seen}}])

    async def _drain(self, collection: Collection) -> int:
        """A round is bounded by what it holds, not only by how many: outboxes keep all that they ever held."""
        wanted = {"_id": 1, "outbox": 1, "sent": 1}
        documents: list[Document] = []
        held = 0
        async with collection.find({"pending": self._instance}, wanted).limit(ROUND).batch_size(ROUND // 10) as found:
            async for document in found:
                documents.append(document)
                held += sum(len(stored["value"]) for stored in document["outbox"])
                if held > ROUND_BYTES:
                    break
        await self.publish(collection, documents)
        return len(documents)

    async def publish(self, collection: Collection, documents: Sequence[Document]) -> None:
        """Publish the unsent records of `documents` and mark them sent."""
        if not documents:
            return
        await self._publisher.publish(
            [Record.restored(stored) for document in documents for stored in document["outbox"][document["sent"] :]]
        )
        point(f"relay.{collection.name}.published")
        sent: dict[int, list[Any]] = {}
        for document in documents:
            sent.setdefault(len(document["outbox"]), []).append(document["_id"])
        await doing(collection, SENT).bulk_write([_marked(ids, count) for count, ids in sent.items()], ordered=False)


def _marked(ids: Sequence[Any], sent: int) -> UpdateMany:
    """Count `sent` records of each as published; records that were added meanwhile keep waiting. One statement for all
    that have as many costs both sides a third less than one for each.
    """
    count = {"$max": ["$sent", sent]}
    done = {"$gte": [count, {"$size": "$outbox"}]}
    return UpdateMany(
        {"_id": {"$in": list(ids)}},
        [
            {"$set": {"sent": count, "pending": {"$cond": [done, "$$REMOVE", "$pending"]}}},
            {"$unset": "pending_since"},
        ],
    )
