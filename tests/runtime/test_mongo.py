"""Group commit on a real MongoDB: every caller gets its own answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import DuplicateKeyError

from lendrail.runtime.mongo import Collection, GroupCommit, insert_absent


@pytest.fixture
async def things(mongo: str, database_prefix: str) -> AsyncIterator[Collection]:
    client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(mongo, w="majority", journal=True, tz_aware=True)
    yield client[f"{database_prefix}test"]["things"]
    await client.drop_database(f"{database_prefix}test")
    await client.close()


async def test_concurrent_inserts_of_one_id_have_one_winner(things: Collection) -> None:
    group = GroupCommit(things)
    results = await asyncio.gather(*(group.insert({"_id": n % 10, "n": n}) for n in range(50)), return_exceptions=True)
    assert sum(result is None for result in results) == 10
    assert sum(isinstance(result, DuplicateKeyError) for result in results) == 40
    assert await things.count_documents({}) == 10


async def test_each_update_learns_whether_it_matched(things: Collection) -> None:
    group = GroupCommit(things)
    await things.insert_many([{"_id": n, "version": n % 2} for n in range(20)])
    writes = (group.update({"_id": n, "version": 0}, {"$set": {"mine": True}}) for n in range(20))
    assert await asyncio.gather(*writes) == [n % 2 == 0 for n in range(20)]
    assert await things.count_documents({"mine": True}) == 10


async def test_updates_of_one_document_happen_one_after_the_other(things: Collection) -> None:
    group = GroupCommit(things)
    await things.insert_one({"_id": 1, "version": 0})
    compare_and_set = (group.update({"_id": 1, "version": n}, {"$set": {"version": n + 1}}) for n in range(5))
    assert await asyncio.gather(*compare_and_set) == [True] * 5


async def test_an_upsert_that_meets_its_twin_says_so(things: Collection) -> None:
    group = GroupCommit(things)
    once = {"_id": 7, "inbox": {"$ne": "event"}}
    change = {"$push": {"inbox": "event"}}
    results = await asyncio.gather(*(group.update(once, change, upsert=True) for _ in range(3)), return_exceptions=True)
    assert results[0] is True
    assert all(isinstance(result, DuplicateKeyError) for result in results[1:])


async def test_pipeline_updates_use_the_servers_clock(things: Collection) -> None:
    group = GroupCommit(things)
    await things.insert_one({"_id": 1})
    assert await group.update({"_id": 1}, [{"$set": {"at": "$$NOW"}}])
    document = await things.find_one({"_id": 1})
    assert document is not None
    assert "at" in document


async def test_only_what_is_absent_is_inserted(things: Collection) -> None:
    await insert_absent(things, [])
    await insert_absent(things, [{"_id": n, "by": "first"} for n in range(5)])
    await insert_absent(things, [{"_id": n, "by": "second"} for n in range(8)])
    assert [(d["_id"], d["by"]) async for d in things.find().sort("_id")] == [
        (n, "first" if n < 5 else "second") for n in range(8)
    ]
    with pytest.raises(RuntimeError, match="code"):
        await insert_absent(things, [{"_id": ["no", "list"]}])
