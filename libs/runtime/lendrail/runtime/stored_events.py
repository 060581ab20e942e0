"""Where the events of a service rest that Kafka may have to be filled with again, and how they are read from there.

The documents that share the value of one field tell one history; histories are read whole and in the order of that
field, so that a walk can say where it stands.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from pymongo import ASCENDING

from lendrail.contracts.event import Record
from lendrail.runtime.mongo import Collection, Document
from lendrail.runtime.outbox import restored

PAGE = 500
"""Documents in one look: each look ends within the driver's time-out, however many old documents there are."""


class Source(Protocol):
    """Some events of a service."""

    collection: Collection
    about: str
    """The field by which the documents of one history belong together."""

    def topics(self) -> Sequence[str]:
        """Topics, besides the service's own of the registry, that are written to."""

    def shown(self, since: dt.datetime) -> list[Document]:
        """Stages that leave of a document what is needed for the events since then."""

    async def records(self, documents: Sequence[Document], since: dt.datetime) -> list[Record]:
        """The events of one history, oldest first."""


class Outboxes:
    """Documents with an outbox, whoever published it."""

    def __init__(self, collection: Collection, about: str = "_id") -> None:
        """`about`: where an application's events lie in several documents, the field that names it; indexed."""
        self.collection, self.about = collection, about

    def topics(self) -> Sequence[str]:
        return ()

    def shown(self, since: dt.datetime) -> list[Document]:
        """Times rest as bytes of one length, which compare as the times do."""
        young = {"$gte": ["$$this.headers.ce_time", _as_stored(since)]}
        outbox = {"$filter": {"input": {"$ifNull": ["$outbox", []]}, "cond": young}}
        return [{"$project": {self.about: 1, "outbox": outbox}}]

    async def records(self, documents: Sequence[Document], since: dt.datetime) -> list[Record]:
        """Within a document the order stays; several stand in the order of their first events."""
        outboxes = [found for found in map(restored, documents) if found]
        return [record for outbox in sorted(outboxes, key=lambda each: stated(each[0])) for record in outbox]


def stated(record: Record) -> str:
    """When; texts of one length, which compare as the times do."""
    return dict(record.headers)["ce_time"].decode()


def _as_stored(time: dt.datetime) -> bytes:
    return time.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()


async def histories(source: Source, since: dt.datetime, after: Any) -> AsyncIterator[tuple[Any, list[Document]]]:
    """Each history behind `after` with its place. One page is in memory, and never more of it than MongoDB sends at
    once.
    """
    about, full = source.about, True
    while full:
        place, history, count = after, list[Document](), 0
        async for document in await source.collection.aggregate(_page(source, since, after), batchSize=PAGE):
            count += 1
            if history and document[about] != place:
                yield place, history
                history = []
            place = document[about]
            history.append(document)
        full = count == PAGE
        if history:
            yield place, history if not full or about == "_id" else await _whole(source, since, place)
            after = place


def _page(source: Source, since: dt.datetime, after: Any) -> list[Document]:
    behind: Document = {source.about: {"$ne": None} if after is None else {"$gt": after}}
    return [{"$match": behind}, {"$sort": {source.about: ASCENDING}}, {"$limit": PAGE}, *source.shown(since)]


async def _whole(source: Source, since: dt.datetime, place: Any) -> list[Document]:
    """A history whose end may lie behind the page."""
    cursor = await source.collection.aggregate(
        [{"$match": {source.about: place}}, *source.shown(since)], batchSize=PAGE
    )
    return [document async for document in cursor]
