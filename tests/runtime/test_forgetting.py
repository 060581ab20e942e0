"""Erasures reach every service on a real MongoDB: once soon, once more later, and the memory of every process."""

import asyncio
import datetime as dt
import os
from collections.abc import AsyncIterator, Sequence

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from lendrail.contracts.event import Record
from lendrail.contracts.sensitive import Erased
from lendrail.runtime.forgetting import OVERLAP, Forgetting
from lendrail.runtime.mongo import Document
from lendrail.runtime.outbox import Relay, emptied, waiting
from lendrail.runtime.vault import LocalWrapper, Vault

MASTER = LocalWrapper(os.urandom(32))


class Store:
    """What was asked to be forgotten, in order; it can be away."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.away = False

    async def forget(self, applications: Sequence[str]) -> None:
        if self.away:
            raise ConnectionError
        self.asked += applications


@pytest.fixture
async def database(mongo: str, database_prefix: str) -> AsyncIterator[AsyncDatabase[Document]]:
    client: AsyncMongoClient[Document] = AsyncMongoClient(mongo, w="majority", journal=True, tz_aware=True)
    yield client[f"{database_prefix}keys"]
    await client.drop_database(f"{database_prefix}keys")
    await client.close()


@pytest.fixture
async def vault(database: AsyncDatabase[Document]) -> Vault:
    made = Vault(database["data_keys"], MASTER)
    await made.prepare()
    return made


async def test_each_erasure_is_told_once_soon_and_once_later(database: AsyncDatabase[Document], vault: Vault) -> None:
    store = Store()
    forgetting = Forgetting(vault, database["forgotten"], [store.forget], again_seconds=1.0)
    await vault.create([f"{n:03}" for n in range(450)])
    for n in range(450):
        await vault.erase(f"{n:03}")
    await forgetting.turn()
    assert sorted(set(store.asked)) == [f"{n:03}" for n in range(450)]
    await asyncio.sleep(2.1)
    await forgetting.turn()
    await forgetting.turn()
    assert sorted(store.asked) == sorted(2 * [f"{n:03}" for n in range(450)])


async def test_the_place_is_kept_and_moves_only_after_the_work(database: AsyncDatabase[Document], vault: Vault) -> None:
    store = Store()
    await vault.erase("one")
    store.away = True
    with pytest.raises(ConnectionError):
        await Forgetting(vault, database["forgotten"], [store.forget]).turn()
    store.away = False
    await Forgetting(vault, database["forgotten"], [store.forget]).turn()
    assert store.asked == ["one"]
    await vault.erase("two")
    await vault.erase("one")
    await Forgetting(vault, database["forgotten"], [store.forget]).turn()
    assert store.asked == ["one", "two"], "an erasure that is repeated keeps its time"


async def test_another_process_opens_nothing_any_more(database: AsyncDatabase[Document], vault: Vault) -> None:
    other = Vault(database["data_keys"], MASTER)
    idle = Forgetting(other, database["forgotten"], [])
    await vault.create(["one", "two", "three"])
    await vault.erase("three")
    await idle.turn()
    assert set(await other.find(["one", "two"])) == {"one", "two"}
    await vault.erase("one")
    assert "one" in await other.find(["one"]), "it remembers until it looks"
    await idle.turn()
    assert "one" not in await other.find(["one"])
    with pytest.raises(Erased):
        await other.get("one")
    assert "two" in await other.find(["two"])


async def test_a_key_that_was_read_while_it_was_deleted_is_dropped_too(
    database: AsyncDatabase[Document], vault: Vault
) -> None:
    other = Vault(database["data_keys"], MASTER)
    idle = Forgetting(other, database["forgotten"], [])
    key = (await vault.create(["one"]))["one"]
    await vault.erase("one")
    await idle.turn()
    other._remember(key)
    await vault.erase("two")
    await idle.turn()
    assert await other.find(["one"]) == {}
    assert dt.timedelta(seconds=10) < OVERLAP


async def test_an_emptied_outbox_is_marked_by_a_relay_that_had_read_it(database: AsyncDatabase[Document]) -> None:
    facts = database["facts"]
    await facts.insert_one({"_id": 1, **waiting([Record("topic", b"key", b"value", ())], "one")})

    class Heard:
        ready = True

        async def publish(self, records: Sequence[Record]) -> None:
            await facts.update_one({"_id": 1}, emptied())

    await Relay([facts], Heard(), "one").publish(facts, [await facts.find_one({"_id": 1}) or {}])
    left = await facts.find_one({"_id": 1}) or {}
    assert left["outbox"] == []
    assert "pending" not in left
