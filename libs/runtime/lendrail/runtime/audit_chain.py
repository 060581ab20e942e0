"""Links the entries of a service by hash, so that nobody can take one out or change one unseen.

Collection `audit`: link n holds an entry, the hash of link n-1 and its own hash. Its number is the document's id and an
entry's id is unique, so two workers can neither fork the chain nor chain an entry twice, whatever either believes; that
one process at a time does it is only to save work. Links are written in order, owners are marked afterwards: a worker
that dies in between leaves a whole chain, and the next one sees what is in it already.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, WTimeoutError

from lendrail.runtime.audit import AUDIT, CHAINED, UNCHAINED, only, sha256
from lendrail.runtime.due import in_seconds
from lendrail.runtime.mongo import OUTAGES, Collection, Document, DuplicateKeyError, doing
from lendrail.runtime.pace import rest

log = structlog.get_logger()
EVERY_SECONDS = 1.0
LEASE_SECONDS = 5.0
AT_ONCE = 500
"""Documents of one collection in a round."""
LINKS, STATE = "audit", "audit_chain"
"""Collections: the chain, and one document that says who chains and what is chained."""
FIRST = "0" * 64
"""The hash before the first link."""


@dataclass(frozen=True, slots=True)
class Tip:
    """The newest link."""

    sequence: int = 0
    hash: str = FIRST


@dataclass(frozen=True, slots=True)
class Holder:
    """An owner's document some of whose entries may wait."""

    place: int
    """Of its collection among the sources."""
    id: Any
    entries: tuple[Document, ...]
    chained: int

    @property
    def fresh(self) -> tuple[Document, ...]:
        """What is stored without an id is of a time before the chain."""
        return tuple(only(each) for each in self.entries[self.chained :] if "id" in each)


class Ledger(Protocol):
    """Where entries wait and where links are kept."""

    async def tip(self) -> Tip: ...

    async def waiting(self) -> Sequence[Holder]: ...

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Which of these entries are linked."""

    async def append(self, links: Sequence[Document]) -> bool:
        """Write links in order; false when a number, or an entry, was taken: then a beginning of them is there."""

    async def mark(self, holders: Sequence[Holder]) -> None:
        """Say that these entries are linked; ones that were added meanwhile go on waiting."""


def link_hash(service: str, sequence: int, previous: str, entry: Document) -> str:
    return sha256({"service": service, "sequence": sequence, "previous": previous, "entry": entry})


def linked(service: str, tip: Tip, entries: Sequence[Document]) -> list[Document]:
    """The links that follow `tip`."""
    links: list[Document] = []
    previous = tip.hash
    for sequence, entry in enumerate(entries, tip.sequence + 1):
        own = link_hash(service, sequence, previous, entry)
        links.append({"_id": sequence, "previous": previous, "hash": own, "entry": entry})
        previous = own
    return links


async def chain(service: str, ledger: Ledger) -> int:
    """One round: how many documents had entries that waited and have none now. The tip is read first: whatever is
    linked later takes the number that we would take, so nothing that we take for new can be in the chain already.
    """
    tip = await ledger.tip()
    holders = await ledger.waiting()
    if not holders:
        return 0
    fresh = {entry["id"]: entry for holder in holders for entry in holder.fresh}
    known = await ledger.known(list(fresh)) if fresh else set()
    links = linked(service, tip, [entry for name, entry in fresh.items() if name not in known])
    if links and not await ledger.append(links):
        return 0
    await ledger.mark(holders)
    return len(holders)


class Store:
    """The ledger in MongoDB; `sources` are the owner's collections whose documents hold entries."""

    def __init__(self, database: AsyncDatabase[Document], sources: Sequence[Collection]) -> None:
        self.links, self.state = database[LINKS], database[STATE]
        self._preparing = doing(self.state, "prepare")
        self._sources = tuple(sources)
        self._marking = tuple(doing(source, "chained") for source in sources)
        self._me = uuid.uuid4().hex

    async def prepare(self) -> None:
        for source in self._sources:
            waits = {UNCHAINED: {"$exists": True}}
            await source.create_index([(UNCHAINED, ASCENDING)], partialFilterExpression=waits)
        await self.links.create_index("entry.id", unique=True)
        whose, newest = [("entry.tenant", ASCENDING), ("entry.mode", ASCENDING)], [("entry.at", DESCENDING)]
        by_id = [("entry.id", DESCENDING)]
        await self.links.create_index([*whose, *newest, *by_id])
        for name in ("application", "who", "what"):
            await self.links.create_index([*whose, (f"entry.{name}", ASCENDING), *newest, *by_id])
        names = [source.name for source in self._sources]
        await self._preparing.update_one({"_id": "chain"}, {"$addToSet": {"sources": {"$each": names}}}, upsert=True)

    async def mine(self) -> bool:
        """Whether this process chains for the next seconds."""
        until = {"$ifNull": ["$until", "$$NOW"]}
        free = {"$or": [{"$eq": ["$owner", self._me]}, {"$lte": [until, "$$NOW"]}]}
        taken = [{"$set": {"owner": self._me, "until": in_seconds(LEASE_SECONDS)}}]
        return (await self.state.update_one({"_id": "chain", "$expr": free}, taken)).matched_count == 1

    async def waits(self) -> bool:
        """Whether there is anything to do."""
        for source in self._sources:
            if await source.find_one({UNCHAINED: {"$exists": True}}, {"_id": 1}) is not None:
                return True
        return False

    async def tip(self) -> Tip:
        newest = await self.links.find_one({}, {"hash": 1}, sort=[("_id", DESCENDING)])
        return Tip(newest["_id"], newest["hash"]) if newest else Tip()

    async def waiting(self) -> list[Holder]:
        """By the time of their newest entry, so that links come about in the order of what happened."""
        found: list[tuple[Any, Holder]] = []
        for place, source in enumerate(self._sources):
            cursor = source.find({UNCHAINED: {"$exists": True}}, {AUDIT: 1, CHAINED: 1, UNCHAINED: 1})
            async for document in cursor.sort(UNCHAINED, ASCENDING).limit(AT_ONCE):
                entries = tuple(document.get(AUDIT, ()))
                holder = Holder(place, document["_id"], entries, document.get(CHAINED, 0))
                found.append((document[UNCHAINED], holder))
        return [holder for _, holder in sorted(found, key=lambda each: each[0])]

    async def known(self, ids: Sequence[str]) -> set[str]:
        cursor = self.links.find({"entry.id": {"$in": list(ids)}}, {"entry.id": 1})
        return {document["entry"]["id"] async for document in cursor}

    async def append(self, links: Sequence[Document]) -> bool:
        try:
            await self.links.insert_many(links, ordered=True)
        except BulkWriteError as error:
            if (error.details or {}).get("writeConcernErrors"):
                raise WTimeoutError("links were not confirmed by the majority") from None
            code = (error.details or {})["writeErrors"][0]["code"]
            if code != 11000:
                raise RuntimeError(f"MongoDB refused a link with code {code}") from None
            return False
        return True

    async def mark(self, holders: Sequence[Holder]) -> None:
        for place, source in enumerate(self._marking):
            marks = [_marked(each) for each in holders if each.place == place]
            if marks:
                await source.bulk_write(marks, ordered=False)


def _marked(holder: Holder) -> UpdateOne:
    count = {"$max": [{"$ifNull": [f"${CHAINED}", 0]}, len(holder.entries)]}
    done = {"$gte": [f"${CHAINED}", {"$size": {"$ifNull": [f"${AUDIT}", []]}}]}
    waits = {"$cond": [done, "$$REMOVE", f"${UNCHAINED}"]}
    return UpdateOne({"_id": holder.id}, [{"$set": {CHAINED: count}}, {"$set": {UNCHAINED: waits}}])


class Chain:
    """The worker of a service."""

    def __init__(self, service: str, database: AsyncDatabase[Document], sources: Sequence[Collection]) -> None:
        self.store = Store(database, sources)
        self._service = service

    async def prepare(self) -> None:
        with contextlib.suppress(DuplicateKeyError):  # two processes at the same moment
            await self.store.prepare()

    async def run(self) -> None:
        """Chain until cancelled: what waits is looked for once a second."""
        while True:
            began = time.monotonic()
            if await self.round() >= AT_ONCE:
                await rest(time.monotonic() - began)
            else:
                await asyncio.sleep(EVERY_SECONDS)

    async def round(self) -> int:
        """How many documents have no entry that waits any more."""
        try:
            if not await self.store.waits() or not await self.store.mine():
                return 0
            return await chain(self._service, self.store)
        except OUTAGES as error:
            log.warning("the chain of audit waits for its store", error=type(error).__name__)
            return 0
