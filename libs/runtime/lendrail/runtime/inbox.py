"""Each event takes effect once: its effect is one document under the event's own id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pymongo.errors import BulkWriteError, WTimeoutError

from lendrail.contracts.event import Event, Record
from lendrail.runtime.mongo import Collection, Document
from lendrail.runtime.outbox import published, restored
from lendrail.runtime.step import Delivery

E = TypeVar("E", bound=Event)
Effect = tuple[Document, Sequence[Record]]
"""What to store (without id and outbox) and what to publish."""


async def once(
    collection: Collection,
    deliveries: Sequence[Delivery[E]],
    effects: Callable[[Sequence[Delivery[E]]], Awaitable[Sequence[Effect | None]]],
) -> list[Record]:
    """Store the effects of the events that are new, and return the stored records of all of them.

    `effects` sees only events that were never stored; for the others nothing is computed again. None is for an event
    whose effect was stored elsewhere (as due work) and is published from there.
    """
    first = {delivery.id: delivery for delivery in deliveries}
    stored = await _stored(collection, list(first))
    fresh = [delivery for delivery in first.values() if delivery.id not in stored]
    if fresh:
        made = await effects(fresh)
        documents = [
            {"_id": d.id, **each[0], **published(each[1])}
            for d, each in zip(fresh, made, strict=True)
            if each is not None
        ]
        for document in await _insert(collection, documents) if documents else ():
            stored[document["_id"]] = document
    return [record for event_id in first if event_id in stored for record in restored(stored[event_id])]


async def _stored(collection: Collection, ids: Sequence[str]) -> dict[str, Document]:
    cursor = collection.find({"_id": {"$in": list(ids)}}, {"outbox": 1})
    return {document["_id"]: document async for document in cursor}


async def _insert(collection: Collection, documents: Sequence[Document]) -> list[Document]:
    """What is stored under these ids now: ours, or what somebody else stored at the same time."""
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        if (error.details or {}).get("writeConcernErrors"):
            raise WTimeoutError("effects were not confirmed by the majority") from None
        faults = (error.details or {})["writeErrors"]
        if any(fault["code"] != 11000 for fault in faults):
            raise RuntimeError(f"MongoDB refused a write with code {faults[0]['code']}") from None
        return list((await _stored(collection, [d["_id"] for d in documents])).values())
    return list(documents)
