"""MongoDB with time-outs, durable writes that label themselves, and group commit for writes at the same time."""

from __future__ import annotations

import asyncio
import functools
import uuid
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from pymongo import ASCENDING as ASCENDING  # services sort by it
from pymongo import AsyncMongoClient, InsertOne, WriteConcern
from pymongo import UpdateOne as UpdateOne  # services write several at once
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import AutoReconnect as AutoReconnect  # a fault that is asked for at a port is one
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    CursorNotFound,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WTimeoutError,
)
from pymongo.errors import DuplicateKeyError as DuplicateKeyError  # services catch it from here
from pymongo.read_concern import ReadConcern

from lendrail.runtime import waits
from lendrail.runtime.faults import named, point
from lendrail.runtime.settings import Stores

Document = dict[str, Any]
Collection = AsyncCollection[Document]
P = ParamSpec("P")
T = TypeVar("T")
waits.install()

OUTAGES = (
    ConnectionFailure,
    CursorNotFound,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WTimeoutError,
)
"""The store is away for now: pace, try again, lose nothing. One that was started again has lost its cursors, so the
second page of a list is not there any more.
"""


def connect(settings: Stores) -> AsyncMongoClient[Document]:
    """A client whose every write is majority and journalled, and whose every operation ends."""
    return AsyncMongoClient(
        settings.mongo_url.get_secret_value(),
        w="majority",
        journal=True,
        readConcernLevel="majority",
        timeoutMS=15_000,
        serverSelectionTimeoutMS=3_000,
        connectTimeoutMS=3_000,
        maxPoolSize=64,
        tz_aware=True,
        appname=settings.instance or None,
    )


def _labelled(
    write: Callable[Concatenate[Collection, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[LabelledCollection, P], Coroutine[Any, Any, T]]:
    """A write that stands between the two points of its collection. A refusal because of a key that is taken is an
    answer like another; what else it raises tells nothing of what was written.
    """

    @functools.wraps(write)
    async def between(self: LabelledCollection, /, *args: P.args, **kwargs: P.kwargs) -> T:
        point(self._before, AutoReconnect)
        try:
            done = await write(self, *args, **kwargs)
        except (BulkWriteError, DuplicateKeyError):
            point(self._after, AutoReconnect)
            raise
        point(self._after, AutoReconnect)
        return done

    return between


class LabelledCollection(AsyncCollection[Document]):
    """The store port: every write stands between `store.<collection>.before` and `store.<collection>.after`.

    What the runtime itself writes into a service's collection (a claim, a mark of what was published) has labels of its
    own, `store.<collection>.<what>.before` and `.after`, so that the counts of the others tell of the service's work.
    Indexes are no effects: they are made anew at each start.
    """

    def __init__(self, database: AsyncDatabase[Document], name: str, doing: str = "", **options: Any) -> None:
        super().__init__(database, name, **options)
        label = f"store.{name}.{doing}" if doing else f"store.{name}"
        self._before, self._after = named(f"{label}.before"), named(f"{label}.after")
        self._doings: dict[str, LabelledCollection] = {}

    def doing(self, what: str) -> LabelledCollection:
        """The same collection, whose writes are labelled as `what`."""
        if what not in self._doings:
            self._doings[what] = LabelledCollection(self.database, self.name, what)
        return self._doings[what]

    insert_one = _labelled(AsyncCollection[Document].insert_one)
    insert_many = _labelled(AsyncCollection[Document].insert_many)
    update_one = _labelled(AsyncCollection[Document].update_one)
    update_many = _labelled(AsyncCollection[Document].update_many)
    replace_one = _labelled(AsyncCollection[Document].replace_one)
    delete_one = _labelled(AsyncCollection[Document].delete_one)
    delete_many = _labelled(AsyncCollection[Document].delete_many)
    bulk_write = _labelled(AsyncCollection[Document].bulk_write)
    # generic in a type of their own that nothing uses, at which mypy stumbles
    find_one_and_update = _labelled(AsyncCollection[Document].find_one_and_update)  # type: ignore[arg-type]
    find_one_and_replace = _labelled(AsyncCollection[Document].find_one_and_replace)  # type: ignore[arg-type]
    find_one_and_delete = _labelled(AsyncCollection[Document].find_one_and_delete)  # type: ignore[arg-type]


def doing(collection: Collection, what: str) -> Collection:
    """See `LabelledCollection`; one that a test made of the driver alone has no labels."""
    return collection.doing(what) if isinstance(collection, LabelledCollection) else collection


class Database(AsyncDatabase[Document]):
    """Gives labelled collections."""

    def __getitem__(self, name: str) -> LabelledCollection:
        return LabelledCollection(self, name)


def database(client: AsyncMongoClient[Document], settings: Stores, name: str) -> Database:
    return Database(
        client,
        settings.database_prefix + name,
        write_concern=WriteConcern("majority", j=True),
        read_concern=ReadConcern("majority"),
    )


async def insert_absent(collection: Collection, documents: Sequence[Document]) -> None:
    """Insert those whose id, or unique key, is not taken yet. Raises RuntimeError for any other refusal."""
    if not documents:
        return
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        if (error.details or {}).get("writeConcernErrors"):
            raise WTimeoutError("documents were not confirmed by the majority") from None
        faults = [fault for fault in (error.details or {})["writeErrors"] if fault["code"] != 11000]
        if faults:
            raise RuntimeError(f"MongoDB refused a write with code {faults[0]['code']}") from None


@dataclass(slots=True)
class _Write:
    operation: InsertOne[Document] | UpdateOne
    id: Any
    stamp: str | None
    done: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class GroupCommit:
    """Single-document writes of concurrent tasks, sent together: while one bulk is on its way the next one gathers.

    Each caller waits for its own write and gets its own answer. A bulk tells how many updates matched, not which; so
    each
    update leaves a stamp in its document, and a bulk in which not all matched is looked up by stamp.
    """

    def __init__(self, collection: Collection, limit: int = 500) -> None:
        self._collection, self._limit = collection, limit
        self._waiting: list[_Write] = []
        self._runner: asyncio.Task[None] | None = None

    async def insert(self, document: Document) -> None:
        """Raises `DuplicateKeyError` when the id, or a unique key, is taken."""
        await self._write(_Write(InsertOne(document), document["_id"], None))

    async def update(self, where: Document, change: Document | list[Document], upsert: bool = False) -> bool:
        """Whether the document matched (or was upserted). `where` names the `_id`."""
        stamp = uuid.uuid4().hex
        mark: Document = {"stamp": stamp}
        stamped = (
            [*change, {"$set": mark}]
            if isinstance(change, list)
            else {**change, "$set": {**change.get("$set", {}), **mark}}
        )
        return await self._write(_Write(UpdateOne(where, stamped, upsert=upsert), where["_id"], stamp))

    async def _write(self, write: _Write) -> bool:
        self._waiting.append(write)
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await write.done

    async def _run(self) -> None:
        while self._waiting:
            batch = self._take()
            try:
                await self._flush(batch)
            except Exception as error:
                for write in batch:
                    if not write.done.done():
                        write.done.set_exception(error)

    def _take(self) -> list[_Write]:
        """The next bulk: one write for a document, so that a stamp tells of exactly one."""
        batch: dict[Any, _Write] = {}
        rest: list[_Write] = []
        for write in self._waiting:
            if write.done.cancelled():  # its caller gave up and said so; not a byte of it was sent
                continue
            if len(batch) < self._limit and write.id not in batch:
                batch[write.id] = write
            else:
                rest.append(write)
        self._waiting = rest
        return list(batch.values())

    async def _flush(self, batch: list[_Write]) -> None:
        failed: dict[int, Document] = {}
        try:
            result: Document = dict(
                (await self._collection.bulk_write([w.operation for w in batch], ordered=False)).bulk_api_result
            )
        except BulkWriteError as error:
            result = dict(error.details or {})
            failed = {fault["index"]: fault for fault in result["writeErrors"]}
            if result.get("writeConcernErrors"):  # written here, but nobody vouches for the majority
                raise WTimeoutError("a bulk was not confirmed by the majority") from None
        updates = sum(w.stamp is not None for i, w in enumerate(batch) if i not in failed)
        all_matched = result["nMatched"] + result["nUpserted"] == updates
        stamps = None if all_matched else await self._stamps(batch)
        for index, write in enumerate(batch):
            self._answer(write, failed.get(index), stamps)

    async def _stamps(self, batch: list[_Write]) -> dict[Any, str | None]:
        cursor = self._collection.find({"_id": {"$in": [w.id for w in batch]}}, {"stamp": 1})
        return {document["_id"]: document.get("stamp") async for document in cursor}

    @staticmethod
    def _answer(write: _Write, fault: Document | None, stamps: dict[Any, str | None] | None) -> None:
        if write.done.done():
            return
        if fault is not None and fault["code"] == 11000:
            write.done.set_exception(DuplicateKeyError("the key is taken", 11000))
        elif fault is not None:
            write.done.set_exception(RuntimeError(f"MongoDB refused a write with code {fault['code']}"))
        else:
            write.done.set_result(write.stamp is None or stamps is None or stamps.get(write.id) == write.stamp)
