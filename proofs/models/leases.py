"""Due work in virtual time: workers that sleep, die and come back, on a store that is told in a few lines.

The worker, its claims and its leases are the product's own (`runtime/due.py`). The store beside it knows only the
operators that those use, and carries out each operation on a document at one moment of its own clock; requests and
replies are on their way for as long as chance will. What MongoDB itself does is tried in tests/runtime/test_due.py.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import selectors
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from lendrail.runtime import due
from lendrail.runtime.due import Lease, Worker
from lendrail.runtime.mongo import Document

EPOCH = dt.datetime(2026, 3, 2, 10, 30, tzinfo=dt.UTC)
LEASE, LONGEST = 10.0, 40.0
"""In every other run leases are renewed, for so long at most."""
END = 2000.0
"""Seconds of virtual time by when all must be done."""
LONG = 25.0
"""The longest that anything is frozen, or on its way."""


class _Jump(selectors.SelectSelector):
    """Nobody waits: the clock jumps to when something happens."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everybody waits for nobody")
        self.now += max(0.0, timeout)
        return super().select(0)


@contextmanager
def virtual_time() -> Iterator[asyncio.SelectorEventLoop]:
    """A loop whose time is only counted, which `due` takes for this machine's monotonic clock."""
    jump = _Jump()
    loop = asyncio.SelectorEventLoop(jump)
    loop.time = lambda: jump.now  # type: ignore[method-assign]
    with patch.object(due, "time", SimpleNamespace(monotonic=loop.time)):
        try:
            yield loop
        finally:
            loop.close()


class Server:
    """The store: one collection, and the only clock that counts."""

    def __init__(self, chance: random.Random, documents: list[Document]) -> None:
        self.chance = chance
        self.documents: dict[Any, Document] = {each["_id"]: each for each in documents}

    @property
    def now(self) -> dt.datetime:
        return EPOCH + dt.timedelta(seconds=asyncio.get_running_loop().time())

    async def way(self) -> None:
        """A request or a reply on its way: mostly quick."""
        quick = self.chance.random() < 0.9
        await asyncio.sleep(self.chance.uniform(0, 0.01) if quick else self.chance.uniform(0, LONG))


class Collection:
    """As one process sees it."""

    name = "work"

    def __init__(self, server: Server) -> None:
        self._server = server

    def find(self, where: Document, fields: Document | None = None) -> Cursor:
        return Cursor(self._server, where)

    async def update_many(self, where: Document, stages: list[Document]) -> SimpleNamespace:
        await self._server.way()
        matched = [each for each in self._server.documents.values() if _matches(each, where, self._server.now)]
        for document in matched:
            for stage in stages:
                for name, value in stage["$set"].items():
                    document[name] = _value(value, document, self._server.now)
        await self._server.way()
        return SimpleNamespace(matched_count=len(matched))

    update_one = update_many
    """Of what has one id."""

    async def finished(self, document: Any, token: str) -> bool:
        """A fenced write, as owners make it: only who still has the lease."""
        await self._server.way()
        found = self._server.documents[document]
        mine = found.get("lease", {}).get("token") == token
        if mine:
            del found["due"], found["lease"]
        await self._server.way()
        return bool(mine)


class Cursor:
    def __init__(self, server: Server, where: Document) -> None:
        self._server, self._where = server, where
        self._limit: int | None = None

    def sort(self, field: str, _: int) -> Cursor:
        return self

    def limit(self, number: int) -> Cursor:
        self._limit = number
        return self

    async def to_list(self) -> list[Document]:
        await self._server.way()
        now = self._server.now
        found = [dict(each) for each in self._server.documents.values() if _matches(each, self._where, now)]
        found.sort(key=lambda each: each.get("due", EPOCH))
        await self._server.way()
        return found[: self._limit]

    async def __aiter__(self) -> AsyncIterator[Document]:
        for each in await self.to_list():
            yield each


_TYPES = {"date": dt.datetime}


def _matches(document: Document, where: Document, now: dt.datetime) -> bool:
    for name, wanted in where.items():
        found = _path(document, name) if name != "$expr" else None
        if name == "$expr":
            good = bool(_value(wanted, document, now))
        elif isinstance(wanted, dict):
            ((operator, value),) = wanted.items()
            good = found in value if operator == "$in" else isinstance(found, _TYPES[value])
        else:
            good = found == wanted
        if not good:
            return False
    return True


def _value(expression: Any, document: Document, now: dt.datetime) -> Any:
    """MongoDB's expressions, as far as leases use them; another one is an error, so that none is taken for granted."""
    if expression == "$$NOW":
        return now
    if isinstance(expression, str):
        return _path(document, expression[1:]) if expression.startswith("$") else expression
    if not isinstance(expression, dict):
        return expression
    if not any(name.startswith("$") for name in expression):
        return {name: _value(each, document, now) for name, each in expression.items()}
    ((operator, given),) = expression.items()
    if operator == "$dateAdd":
        return _value(given["startDate"], document, now) + dt.timedelta(milliseconds=given["amount"])
    values = [_value(each, document, now) for each in given]
    known: dict[str, Callable[[], Any]] = {
        "$and": lambda: all(values),
        "$lte": lambda: values[0] is None or (values[1] is not None and values[0] <= values[1]),
        "$ifNull": lambda: values[0] if values[0] is not None else values[1],
    }
    return known[operator]()


def _path(document: Document, name: str) -> Any:
    found: Any = document
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


@dataclass
class Told:
    """What happened, and what was wrong with it."""

    faults: list[str] = field(default_factory=list)
    done: int = 0
    effects: int = 0
    given_up: int = 0
    """Leases that were over when their owner woke."""
    deaths: int = 0


class Life:
    """One run: `workers` processes on `works` documents, by one seed."""

    def __init__(self, seed: int, workers: int = 3, works: int = 12) -> None:
        self._chance = random.Random(f"{seed}|leases")
        waits = {number: self._chance.uniform(0, 30) for number in range(works)}
        self._waits = {number: EPOCH + dt.timedelta(seconds=wait) for number, wait in waits.items()}
        self._server = Server(self._chance, [{"_id": number, "due": when} for number, when in self._waits.items()])
        self._leases: dict[Any, list[Lease]] = {number: [] for number in waits}
        self._workers, self._longest = workers, LONGEST if seed % 2 else None
        self.told = Told()

    def run(self) -> Told:
        with virtual_time() as loop:
            loop.run_until_complete(self._run())
        self.told.faults += [f"{number} is left" for number, each in self._server.documents.items() if "due" in each]
        return self.told

    async def _run(self) -> None:
        lives = [asyncio.create_task(self._process()) for _ in range(self._workers)]
        for _ in range(int(END)):
            if not any("due" in each for each in self._server.documents.values()):
                break
            await asyncio.sleep(1)
        for each in lives:
            each.cancel()
        await asyncio.gather(*lives, return_exceptions=True)

    async def _process(self) -> None:
        """A process that dies now and then, with all that it does, and is started again."""
        while True:
            collection: Any = Collection(self._server)
            worker = Worker(
                collection, partial(self._work, collection), where=self._everything,
                lanes=3, lease_seconds=LEASE, longest_seconds=self._longest, poll_seconds=0.5,
            )  # fmt: skip
            running = asyncio.create_task(worker.run())
            try:
                await asyncio.sleep(self._chance.uniform(5, 90))
                self.told.deaths += 1
            finally:
                under_way = [running, *worker._running]
                for task in under_way:
                    task.cancel()
                await asyncio.gather(*under_way, return_exceptions=True)
            await asyncio.sleep(self._chance.uniform(0, 5))

    @staticmethod
    async def _everything() -> Document:
        return {}

    async def _work(self, collection: Collection, document: Document, lease: Lease, _: int) -> None:
        """What an owner does: look at its lease once more, do what cannot be undone, say that it is done."""
        number = document["_id"]
        self._leases[number].append(lease)
        for _ in range(self._chance.randint(1, 3)):
            frozen = self._chance.random() < 0.2
            await asyncio.sleep(self._chance.uniform(0, LONG) if frozen else self._chance.uniform(0, 0.5))
            if not lease.held:
                self.told.given_up += 1
                return
            self._effect(number, lease)
        self.told.done += await collection.finished(number, lease.token)

    def _effect(self, number: Any, lease: Lease) -> None:
        self.told.effects += 1
        stored, now = self._server.documents[number], self._server.now
        if stored.get("lease", {}).get("token") != lease.token or stored["lease"]["until"] <= now:
            self.told.faults.append(f"{number} at {now}: its owner does not have the lease any more")
        if sum(each.held for each in self._leases[number]) > 1:
            self.told.faults.append(f"{number} at {now}: two hold it")
        if now < self._waits[number]:
            self.told.faults.append(f"{number} at {now}: before its time")
