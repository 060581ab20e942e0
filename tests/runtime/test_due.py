"""Leases, budgets and pauses on a real MongoDB."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient

from lendrail.runtime import due
from lendrail.runtime.budget import Budget
from lendrail.runtime.directory import Rate
from lendrail.runtime.mongo import Collection, Document


@pytest.fixture
async def work(mongo: str, database_prefix: str) -> AsyncIterator[Collection]:
    client: AsyncMongoClient[Document] = AsyncMongoClient(mongo, w="majority", journal=True, tz_aware=True)
    collection = client[f"{database_prefix}test"]["work"]
    await due.prepare(collection)
    yield collection
    await client.drop_database(f"{database_prefix}test")
    await client.close()


async def _plan(work: Collection, count: int, seconds: float = -1.0) -> None:
    await work.insert_many([{"_id": n} for n in range(count)])
    await work.update_many({}, [{"$set": {"due": due.in_seconds(seconds)}}])


async def test_a_document_is_claimed_by_one(work: Collection) -> None:
    await _plan(work, 30)
    claims = await asyncio.gather(*(due.claim(work, {}, 10, 30) for _ in range(6)))
    ids = [document["_id"] for claim in claims for document, _ in claim]
    assert len(ids) == len(set(ids))
    assert await due.claim(work, {"_id": {"$in": ids}}, 30, 30) == []


async def test_what_is_not_due_yet_waits(work: Collection) -> None:
    await _plan(work, 1, seconds=60)
    assert await due.claim(work, {}, 10, 30) == []


async def test_an_expired_lease_is_claimed_again_and_its_first_owner_knows(work: Collection) -> None:
    await _plan(work, 1)
    ((_, first),) = await due.claim(work, {}, 1, due.MARGIN_SECONDS + 0.2)
    assert first.held
    await asyncio.sleep(due.MARGIN_SECONDS + 0.3)
    ((_, second),) = await due.claim(work, {}, 1, 30)
    assert not first.held
    assert second.token != first.token


class Hanging:
    """Work that goes on until it is killed, and the leases under which it did."""

    def __init__(self, work: Collection, lease_seconds: float, longest_seconds: float) -> None:
        self.leases: list[due.Lease] = []
        self._worker = due.Worker(
            work, self._hang, where=self._everything, lanes=1, lease_seconds=lease_seconds,
            longest_seconds=longest_seconds,
        )  # fmt: skip

    async def _hang(self, document: Document, lease: due.Lease, lane: int) -> None:
        self.leases.append(lease)
        await asyncio.sleep(3600)

    @staticmethod
    async def _everything() -> Document:
        return {}

    @asynccontextmanager
    async def begun(self) -> AsyncIterator[due.Lease]:
        """Under way, and killed afterwards."""
        running = asyncio.create_task(self._worker.run())
        async with asyncio.timeout(10):
            while not self.leases:
                await asyncio.sleep(0.01)
        yield self.leases[0]
        running.cancel()
        await self._worker.drain(0)


SHORT = due.MARGIN_SECONDS + 0.5


async def test_a_lease_is_renewed_while_its_process_lives(work: Collection) -> None:
    await _plan(work, 1)
    async with Hanging(work, SHORT, 60).begun() as lease:
        end = time.monotonic() + 2 * SHORT
        while time.monotonic() < end:
            assert lease.seconds_left() > 50, "that is for the work, not for the lease"
            assert await due.claim(work, {}, 1, 30) == []
            await asyncio.sleep(0.1)
        assert lease.renewed > end - SHORT, "it was renewed"
    assert await due.claim(work, {}, 1, 30) == []
    await asyncio.sleep(SHORT)
    ((_, second),) = await due.claim(work, {}, 1, 30)
    assert second.token != lease.token


async def test_work_that_takes_too_long_loses_its_lease(work: Collection) -> None:
    await _plan(work, 1)
    async with Hanging(work, SHORT, 2 * SHORT).begun() as lease:
        await asyncio.sleep(4 * SHORT)
        assert not lease.held
        assert len(await due.claim(work, {}, 1, 30)) == 1


async def test_whoever_lost_a_lease_renews_it_no_more(work: Collection) -> None:
    await _plan(work, 1)
    async with Hanging(work, SHORT, 60).begun() as lease:
        await work.update_many({}, {"$unset": {"lease": ""}})
        ((_, second),) = await due.claim(work, {}, 1, 30)
        await asyncio.sleep(SHORT)
        assert not lease.held
        (document,) = await work.find().to_list()
        assert document["lease"]["token"] == second.token


async def test_work_at_which_our_code_fails_is_not_tried_again_at_once(work: Collection) -> None:
    """It may have cost a partner's call."""
    await _plan(work, 1)
    failed = asyncio.Event()

    async def carry_out(document: Document, lease: due.Lease, lane: int) -> None:
        failed.set()
        raise ValueError("a defect")

    async def everything() -> Document:
        return {}

    worker = due.Worker(work, carry_out, where=everything, lease_seconds=SHORT, longest_seconds=60)
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(failed.wait(), 10)
    await asyncio.sleep(0.3)
    running.cancel()
    waits: list[Document] = [{"$project": {"wait": {"$subtract": ["$lease.until", "$$NOW"]}}}]
    (left,) = await (await work.aggregate(waits)).to_list()
    assert left["wait"] > 50_000


async def test_work_that_outlives_the_drain_ends_before_its_clients_do(work: Collection) -> None:
    await _plan(work, 1)
    under_way, ends = asyncio.Event(), list[str]()

    async def carry_out(document: Document, lease: due.Lease, lane: int) -> None:
        under_way.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ends.append("ended")

    async def everything() -> Document:
        return {}

    worker = due.Worker(work, carry_out, where=everything)
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(under_way.wait(), 10)
    running.cancel()
    await worker.drain(0.1)
    assert ends == ["ended"]


async def test_a_worker_does_all_work_and_survives_a_defect(work: Collection) -> None:
    await _plan(work, 20)
    done: list[int] = []

    async def carry_out(document: Document, lease: due.Lease, lane: int) -> None:
        if document["_id"] == 3 and 3 not in done:
            done.append(3)
            raise ValueError("a defect")
        done.append(document["_id"])
        await work.update_one({"_id": document["_id"]}, {"$unset": {"due": ""}})

    async def everything() -> Document:
        return {}

    worker = due.Worker(work, carry_out, where=everything, lanes=4, lease_seconds=30)
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        while len(done) < 20:
            await asyncio.sleep(0.02)
    task.cancel()
    assert sorted(set(done)) == list(range(20))


async def test_starts_are_spaced_however_many_ask(work: Collection) -> None:
    rate, starts = Rate(requests=10, seconds=1), []

    async def ask(budget: Budget) -> None:
        await budget.start("credential", rate, "submission")
        starts.append(time.monotonic())

    await asyncio.gather(*(ask(Budget(work)) for _ in range(12)))
    stamps = await work.find_one({"_id": "credential"})
    assert stamps is not None
    assert stamps["count"] == 12
    assert max(starts) - min(starts) >= 11 * 0.1 - 0.05


async def test_submissions_go_first_and_every_fourth_start_is_for_hints(work: Collection) -> None:
    rate, order = Rate(requests=20, seconds=1), []

    async def ask(kind: str) -> None:
        await Budget(work).start("credential", rate, kind)  # type: ignore[arg-type]
        order.append(kind)

    await Budget(work).start("credential", rate, "poll")
    kinds = ["poll"] * 3 + ["hint"] * 4 + ["submission"] * 9
    await asyncio.gather(*(ask(kind) for kind in kinds))
    assert order.count("hint") == 4
    assert order[-3:] == ["poll"] * 3
    assert 1 <= order[:8].count("hint") <= 3


async def test_no_rate_means_no_waiting(work: Collection, tmp_path: Path) -> None:
    await Budget(work).start("credential", None, "poll")
    assert await work.find_one({"_id": "credential"}) is None
