"""The lanes on a real MongoDB, with partners that hang: who waits for whom."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent

from lendrail.runtime import due
from lendrail.runtime.due import Lease
from lendrail.runtime.mongo import Collection, Document
from lendrail.submission.sending.lanes import Lanes
from lendrail.submission.store import Store

pytestmark = pytest.mark.asyncio
LANES = 16


class Finds(CommandListener):
    def __init__(self) -> None:
        self.count = 0

    def started(self, event: CommandStartedEvent) -> None:
        self.count += event.command_name == "find"

    def succeeded(self, event: object) -> None: ...

    def failed(self, event: object) -> None: ...


class Hall:
    """Lanes whose work takes as long as its credential says."""

    def __init__(self, collection: Collection, finds: Finds) -> None:
        self.collection, self.finds = collection, finds
        self.takes: dict[str, float] = {}
        self.limits: dict[str, int] = {}
        self.paused: dict[str, str] = {}
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.done: dict[str, list[float]] = {}

    async def plan(self, credential: str, count: int) -> None:
        number = await self.collection.count_documents({})
        await self.collection.insert_many(
            [{"_id": f"{number + place}", "through": credential} for place in range(count)]
        )
        await self.collection.update_many({"through": credential, "due": None}, [{"$set": {"due": "$$NOW"}}])

    async def _work(self, document: Document, lease: Lease, lane: int) -> None:
        credential = document["through"]
        self.under_way[credential] += 1
        self.most[credential] = max(self.most[credential], self.under_way[credential])
        try:
            await asyncio.sleep(self.takes.get(credential, 0.02))
        finally:
            self.under_way[credential] -= 1
        self.done.setdefault(credential, []).append(time.monotonic())
        await self.collection.update_one({"_id": document["_id"]}, {"$unset": {"due": "", "lease": ""}})

    async def _paused(self) -> Mapping[str, str]:
        return self.paused

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Lanes]:
        lanes = Lanes(
            self.collection, self._work, paused=self._paused, most=lambda each: self.limits.get(each, LANES),
            share=0.5, lanes=LANES, lease_seconds=60, poll_seconds=0.5,
        )  # fmt: skip
        running = asyncio.create_task(lanes.run())
        try:
            yield lanes
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            for each in list(lanes._running):
                each.cancel()
            await lanes.drain(5)

    async def until(self, fact: Callable[[], bool], seconds: float = 5.0) -> float:
        """How long it took."""
        begun = time.monotonic()
        while not fact():
            assert time.monotonic() - begun < seconds, (self.under_way, {k: len(v) for k, v in self.done.items()})
            await asyncio.sleep(0.005)
        return time.monotonic() - begun

    def finished(self, credential: str, count: int) -> Callable[[], bool]:
        return lambda: len(self.done.get(credential, ())) >= count


@pytest.fixture
async def hall(mongo: str, database_prefix: str) -> AsyncIterator[Hall]:
    finds = Finds()
    client: AsyncMongoClient[Document] = AsyncMongoClient(
        mongo, w="majority", journal=True, tz_aware=True, event_listeners=[finds]
    )
    collection = client[f"{database_prefix}submission"]["opportunities"]
    await Store(collection, "test").prepare()
    yield Hall(collection, finds)
    await client.drop_database(f"{database_prefix}submission")
    await client.close()


async def test_one_alone_has_all_lanes_but_the_spare_ones(hall: Hall) -> None:
    hall.takes["slow"] = 30
    await hall.plan("slow", 60)
    async with hall.open():
        await hall.until(lambda: hall.under_way["slow"] == 14)
        await asyncio.sleep(0.3)
    assert hall.most["slow"] == 14


async def test_a_newcomer_starts_at_once_behind_a_long_queue_of_one_that_hangs(hall: Hall) -> None:
    hall.takes["hangs"] = 30
    await hall.plan("hangs", 300)
    async with hall.open() as lanes:
        await hall.until(lambda: hall.under_way["hangs"] == 14)
        await asyncio.sleep(0.2)
        await hall.plan("new", 1)
        lanes.wake()
        assert await hall.until(hall.finished("new", 1)) < 0.3


async def test_news_of_another_process_is_found_within_a_second(hall: Hall) -> None:
    hall.takes["hangs"] = 30
    await hall.plan("hangs", 100)
    async with hall.open():
        await hall.until(lambda: hall.under_way["hangs"] == 14)
        await hall.plan("new", 1)
        assert await hall.until(hall.finished("new", 1)) < 1


async def test_one_that_hangs_has_half_of_the_lanes_while_others_work(hall: Hall) -> None:
    """Calls of one last 0.5 s each and its queue never ends; four others come and go in the lanes that are left."""
    hall.takes["hangs"] = 0.5
    others = ["a", "b", "c", "d"]
    await hall.plan("hangs", 200)
    for each in others:
        await hall.plan(each, 2)
    async with hall.open() as lanes:
        await asyncio.sleep(0.7)  # whoever was alone for a moment is back at its share
        hall.most.clear()
        for _ in range(10):
            for each in others:
                await hall.plan(each, 4)
            lanes.wake()
            await asyncio.sleep(0.1)
        for each in others:
            await hall.until(hall.finished(each, 42))
        assert hall.most["hangs"] <= LANES // 2
        assert len(hall.done["hangs"]) >= 16


async def test_two_that_hang_leave_a_lane_for_a_third(hall: Hall) -> None:
    hall.takes |= {"one": 30, "two": 30}
    await hall.plan("one", 50)
    await hall.plan("two", 50)
    async with hall.open() as lanes:
        await hall.until(lambda: hall.under_way["one"] + hall.under_way["two"] >= 14)
        await asyncio.sleep(0.2)
        await hall.plan("three", 5)
        lanes.wake()
        assert await hall.until(hall.finished("three", 5)) < 1


async def test_a_limited_one_has_its_few_and_leaves_the_rest(hall: Hall) -> None:
    hall.limits["limited"] = 2
    hall.takes |= {"limited": 0.3, "other": 0.3}
    await hall.plan("limited", 30)
    await hall.plan("other", 60)
    async with hall.open():
        await hall.until(hall.finished("other", 40))
        assert hall.most["limited"] == 2
        assert hall.most["other"] >= 12


async def test_paused_work_waits_and_goes_on_within_a_second(hall: Hall) -> None:
    hall.paused["held"] = "operator"
    await hall.plan("held", 5)
    await hall.plan("other", 5)
    async with hall.open():
        await hall.until(hall.finished("other", 5))
        assert "held" not in hall.done
        hall.paused.clear()
        assert await hall.until(hall.finished("held", 5)) < 1


async def test_one_claim_serves_many(hall: Hall) -> None:
    await hall.plan("fast", 400)
    async with hall.open():
        before = hall.finds.count
        await hall.until(hall.finished("fast", 400), 20)
        assert hall.finds.count - before <= 400 / 4  # a claim is two of them


async def test_what_was_taken_ahead_is_given_back(hall: Hall) -> None:
    hall.takes["slow"] = 30
    await hall.plan("slow", 40)
    async with hall.open():
        await hall.until(lambda: hall.under_way["slow"] == 14)
    assert await hall.collection.count_documents({"lease": {"$exists": True}}) == 14
    assert len(await due.claim(hall.collection, {}, 40, 30)) == 26


async def test_a_long_queue_that_may_not_go_costs_the_others_nothing(hall: Hall) -> None:
    """Five thousand wait for a paused credential; work of others is found by its index, not behind them."""
    await hall.plan("paused", 5000)
    await hall.plan("other", 20)
    where = {"through": {"$nin": ["paused"]}, **due.ready()}
    plan = await hall.collection.find(where, {"through": 1}).sort("due", 1).limit(32).explain()
    assert plan["executionStats"]["nReturned"] == 20
    assert plan["executionStats"]["totalKeysExamined"] < 100
