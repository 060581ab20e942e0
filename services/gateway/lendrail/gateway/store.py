"""What the gateway remembers in MongoDB: applications and webhooks with their outboxes, facts, conflicts.

One document in `applications` holds the received event, its outbox and the idempotency key, so none of them can exist
without the others. The application itself is kept once, sealed, inside the stored event.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from typing import Any, TypeVar

import structlog

from lendrail.gateway.lists.index import Index
from lendrail.gateway.lists.search import first_entry
from lendrail.runtime.http import unavailable
from lendrail.runtime.mongo import ASCENDING, OUTAGES, Collection, Document, GroupCommit
from lendrail.runtime.vault import INTAKE_KEY_DAYS, Key, Vault

log = structlog.get_logger()
_HEAD = {"outbox": 0, "audit": 0}
_FORMER = ("tenant_1_mode_1_received_-1__id_-1", "tenant_1_mode_1_references.value_1_received_-1__id_-1")
"""Indexes of lists as they once were read."""
STANDING = {"erasing": {"$exists": False}}
"""Of an application that nobody has begun to erase."""
T = TypeVar("T")
PATIENCE_SECONDS = 5.0
"""How long a caller waits for our store before it is told to come back; the driver alone would wait 15 seconds."""


async def soon(work: Awaitable[T]) -> T:
    """Raises `Problem` 503 when the store takes too long. A write may then be there or not, and never in part. The
    caller is answered even while the driver, in the middle of an outage, does not let itself be cancelled.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
    finally:
        if not task.done():
            task.add_done_callback(_let_go)
            task.cancel()
    if not done:
        raise unavailable(slow=True)
    return task.result()


def _let_go(task: asyncio.Future[Any]) -> None:
    """Whatever it ends with, nobody waits for it any more."""
    if not task.cancelled():
        task.exception()


class Applications:
    """The applications of all tenants; every read names the tenant and the mode of whoever asks."""

    def __init__(self, collection: Collection, listed: Index) -> None:
        self.collection, self._listed = collection, listed
        self._inserts = GroupCommit(collection)
        self.prepared = False

    async def prepare(self) -> None:
        keyed = {"idempotency": {"$exists": True}}
        await self.collection.create_index(
            [("tenant", 1), ("idempotency", 1)], unique=True, partialFilterExpression=keyed
        )
        amended = {"amendments.idempotency": {"$exists": True}}
        await self.collection.create_index(
            [("tenant", 1), ("amendments.idempotency", 1)], unique=True, partialFilterExpression=amended
        )
        await self.collection.create_index("received")
        left = {"opportunities": {"$exists": True}}
        await self.collection.create_index("opportunities", partialFilterExpression=left)
        for name in set(_FORMER) & (await self.collection.index_information()).keys():
            await self.collection.drop_index(name)
        self.prepared = True

    async def add(self, document: Document) -> None:
        """Durable when it returns, and listed; what an outage keeps from being listed the sweep finds. Raises
        `DuplicateKeyError` when the idempotency key is taken.
        """
        await self._inserts.insert(document)
        try:
            await self._listed.add(first_entry(document))
        except OUTAGES as error:
            log.warning("an application is not listed yet", application=document["_id"], error=type(error).__name__)

    async def by_key(self, tenant: str, idempotency: str) -> Document | None:
        return await self.collection.find_one({"tenant": tenant, "idempotency": idempotency}, _HEAD)

    async def amended_by_key(self, tenant: str, idempotency: str) -> bool:
        """Whether this key changed an application, or erased one."""
        where = [{"tenant": tenant, f"{field}.idempotency": idempotency} for field in ("amendments", "erasing")]
        return await self.collection.find_one({"$or": where}, {"_id": 1}) is not None

    async def one(self, tenant: str, mode: str, application: str) -> Document | None:
        return await self.collection.find_one({"_id": application, "tenant": tenant, "mode": mode}, _HEAD)

    async def whole(self, tenant: str, mode: str, application: str) -> Document | None:
        """With its outbox, which holds what it was at each revision."""
        return await self.collection.find_one({"_id": application, "tenant": tenant, "mode": mode})

    async def amend(self, application: str, revision: int, idempotency: str, change: Document) -> bool:
        """Whether it still stood at `revision`, and nobody had used the key on it or begun to erase it. Raises
        `DuplicateKeyError` when the key is taken on another application of the tenant.
        """
        where = {"_id": application, "revision": revision, "amendments.idempotency": {"$ne": idempotency}} | STANDING
        return await self._inserts.update(where, change)

    async def begin_erasing(self, application: str, change: Document) -> bool:
        """Whether nobody had begun it. Raises `DuplicateKeyError` when the key erased another one."""
        return await self._inserts.update({"_id": application} | STANDING, change)

    async def owner_of(self, opportunity: str) -> str | None:
        """The erased application that an opportunity belonged to."""
        found = await self.collection.find_one({"opportunities": opportunity}, {"_id": 1})
        return str(found["_id"]) if found else None

    async def heads(self, ids: Iterable[str]) -> list[Document]:
        return await self.collection.find({"_id": {"$in": list(ids)}}, _HEAD).to_list()

    async def ids_after(self, id: str, limit: int) -> list[str]:
        """In the order of ids, for a walk over all of them."""
        cursor = self.collection.find({"_id": {"$gt": id}}, {"_id": 1}).sort("_id", ASCENDING).limit(limit)
        return [document["_id"] async for document in cursor]

    async def ids_since(self, time: dt.datetime) -> AsyncIterator[str]:
        """Of those received then or later."""
        async for document in self.collection.find({"received": {"$gte": time}}, {"_id": 1}):
            yield document["_id"]

    async def known(self, ids: Iterable[str]) -> dict[str, Document]:
        """Applications with their outboxes, for the intake, which publishes them again."""
        return {d["_id"]: d async for d in self.collection.find({"_id": {"$in": list(ids)}})}


class Facts:
    """What other services said about applications: one document for each event, under the event's own id."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    async def prepare(self) -> None:
        await self.collection.create_index("application")
        await self.collection.create_index(
            "opportunities", partialFilterExpression={"opportunities": {"$exists": True}}
        )

    async def application_of(self, opportunity: str) -> str | None:
        """The application that an opportunity belongs to."""
        fact = await self.collection.find_one({"opportunities": opportunity}, {"application": 1})
        return str(fact["application"]) if fact else None

    async def of(self, applications: Sequence[str]) -> dict[str, list[Document]]:
        found: dict[str, list[Document]] = {application: [] for application in applications}
        async for fact in self.collection.find({"application": {"$in": list(applications)}}):
            found[fact["application"]].append(fact)
        return found


class Webhooks:
    """Calls of partners, kept as they came until the intake key that seals them is destroyed."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self._inserts = GroupCommit(collection)

    async def prepare(self) -> None:
        await self.collection.create_index("received", expireAfterSeconds=INTAKE_KEY_DAYS * 86_400)

    async def add(self, document: Document) -> None:
        """Durable when it returns. Raises `DuplicateKeyError` when the same call is there already."""
        await self._inserts.insert(document)


class KeyCutter:
    """Durable data keys for requests that come at the same time: while one write is on its way the next one gathers."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._waiting: dict[str, asyncio.Future[Key]] = {}
        self._runner: asyncio.Task[None] | None = None

    async def cut(self, key_id: str) -> Key:
        """A new data key, durable when it returns."""
        future: asyncio.Future[Key] = asyncio.get_running_loop().create_future()
        self._waiting[key_id] = future
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._waiting:
            batch = {key_id: future for key_id, future in self._waiting.items() if not future.cancelled()}
            self._waiting = {}
            try:
                keys = await self._vault.create(list(batch))
                answers: dict[str, Any] = {key_id: keys[key_id] for key_id in batch}
            except Exception as error:
                answers = dict.fromkeys(batch, error)
            for key_id, future in batch.items():
                _settle(future, answers[key_id])


def _settle(future: asyncio.Future[Key], answer: Key | Exception) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def utc(time: dt.datetime) -> dt.datetime:
    """A stored time, which the driver may hand back with another zone object."""
    return time.astimezone(dt.UTC)
