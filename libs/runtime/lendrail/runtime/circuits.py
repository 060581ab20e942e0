"""The breakers of all credentials and operations, shared by all processes through `partners.credentials`.

Every change is one atomic write: made of what was read, by the server's clock, and refused where somebody else was
faster. A call that goes well reads and writes nothing here.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from lendrail.runtime.breaker import Breaker, Rules, failed
from lendrail.runtime.mongo import OUTAGES, Collection, Document
from lendrail.runtime.standing import Operation, Standing, read_breaker

log = structlog.get_logger()
FRESH = dt.timedelta(seconds=5)
"""A change that was decided longer ago (a frozen process) is decided again."""
Move = Callable[[Breaker | None, dt.datetime], Breaker | None]


class Open(Exception):
    """The breaker of this operation is open and nobody else may try now; the work waits and nothing was sent."""

    def __init__(self, until: dt.datetime) -> None:
        """`until`: the server's time from which on it is worth asking again."""
        super().__init__("open")
        self.until = until


class Circuits:
    def __init__(self, state: Collection, standing: Standing, rules: Rules) -> None:
        self._state, self._standing, self._rules = state, standing, rules
        self._locks: defaultdict[Operation, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tries: dict[Operation, tuple[str, asyncio.Task[object] | None]] = {}
        """Our own tries: the token, and the task that must tell what came of it."""

    def check(self, operation: Operation) -> None:
        """Raises `Open` where it is known that no call may go. Whoever has the try may wait for another start."""
        if self._holds(operation):
            return
        breaker, now = self._standing.breakers.get(operation), self._standing.now()
        if breaker is not None and (until := breaker.wait(now)) is not None:
            raise Open(until)

    @asynccontextmanager
    async def turn(self, operation: Operation) -> AsyncIterator[bool]:
        """One call, or the one try of a half-open breaker; whether it had to be asked for. Raises `Open`. What is not
        told before the end did not happen: the try is given back.
        """
        breaker = self._standing.breakers.get(operation)
        if breaker is None or breaker.state(self._standing.now()) == "closed" or self._holds(operation):
            yield False
            return
        token = await self._try(operation)
        try:
            yield True
        finally:
            if token is not None and self._tries.get(operation, ("",))[0] == token:
                del self._tries[operation]
                await self._told(operation, lambda it, _: it and it.given_back(token))

    async def answered(self, operation: Operation) -> None:
        """The partner answers: close."""
        tried = self._own_try(operation)
        if operation in self._standing.breakers or tried:
            await self._told(operation, lambda it, now: None)

    async def failed(self, operation: Operation) -> None:
        token = self._own_try(operation)
        await self._told(operation, lambda it, now: failed(it, now, self._rules, random.random(), token))

    def _holds(self, operation: Operation) -> bool:
        """Whether this task was granted the try and told nothing of it yet."""
        return operation in self._tries and self._tries[operation][1] is asyncio.current_task()

    def _own_try(self, operation: Operation) -> str | None:
        """The token of this task's try, which is hereby told of."""
        return self._tries.pop(operation)[0] if self._holds(operation) else None

    async def _try(self, operation: Operation) -> str | None:
        """The token of our try; None where it closed meanwhile. Raises `Open`."""
        token = uuid.uuid4().hex

        def move(it: Breaker | None, now: dt.datetime) -> Breaker | None:
            if it is None or it.state(now) != "half-open" or it.probed(now):
                return it
            return it.probing(now, token, self._rules)

        _, after, now = await self._change(operation, move, asks=True)
        if after is None or after.state(now) == "closed":
            return None
        if after.prober != token:
            raise Open(after.wait(now) or now)
        self._tries[operation] = token, asyncio.current_task()
        return token

    async def _told(self, operation: Operation, move: Move) -> None:
        """A change that no call waits for: without its store it is left, and what was tried runs out by itself."""
        try:
            before, after, now = await self._change(operation, move)
        except OUTAGES as error:
            log.warning("a breaker could not be stored", error=type(error).__name__)
            return
        credential, name = operation
        if after is not None and after.until is not None and (before is None or after.opened > before.opened):
            wait = round((after.until - now).total_seconds(), 1)
            log.error("a partner does not answer; work waits", credential=credential, operation=name, seconds=wait)
        elif after is None and before is not None and before.opened:
            log.info("a partner answers again", credential=credential, operation=name)

    async def _change(
        self, operation: Operation, move: Move, *, asks: bool = False
    ) -> tuple[Breaker | None, Breaker | None, dt.datetime]:
        """The breaker before and after `move`, and the server's time then. `asks`: what others of this process just
        learnt is enough to refuse. Raises `Open`.
        """
        async with self._locks[operation]:
            if asks:
                self.check(operation)
            while True:
                begun = time.monotonic()
                stored, now = await self._read(operation)
                before = read_breaker(stored) if stored else None
                after = move(before, now)
                if after == before or await self._write(operation, stored, after, now):
                    self._standing.learn(operation, after, now, begun)
                    return before, after, now

    async def _read(self, operation: Operation) -> tuple[Document | None, dt.datetime]:
        credential, name = operation
        shown = {"breaker": f"$breakers.{name}", "now": "$$NOW"}
        while True:
            cursor = await self._state.aggregate([{"$match": {"_id": credential}}, {"$project": shown}])
            async for document in cursor:
                return document.get("breaker"), document["now"]
            await self._state.update_one({"_id": credential}, {"$setOnInsert": {"count": 0}}, upsert=True)

    async def _write(
        self, operation: Operation, before: Document | None, after: Breaker | None, now: dt.datetime
    ) -> bool:
        credential, name = operation
        field = f"breakers.{name}"
        unchanged = {f"{field}.stamp": before["stamp"]} if before else {field: {"$exists": False}}
        where = {"_id": credential, **unchanged, "$expr": {"$lt": ["$$NOW", {"$literal": now + FRESH}]}}
        stamped = after and {**after.document(), "stamp": uuid.uuid4().hex}
        change = {"$set": {field: stamped}} if stamped else {"$unset": {field: ""}}
        return (await self._state.update_one(where, change)).matched_count == 1
