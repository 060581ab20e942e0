"""The relay on a real MongoDB: everything once it is stored, in order, also what another instance left behind."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from pymongo import AsyncMongoClient

from lendrail.contracts.event import Record
from lendrail.runtime import outbox
from lendrail.runtime.mongo import Collection, Document
from lendrail.runtime.outbox import Relay, waiting


class Heard:
    """A publisher that remembers, and can be away."""

    ready = True

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()

    async def publish(self, records: Sequence[Record]) -> None:
        await self.open.wait()
        self.values += [record.value for record in records]


def record(text: str) -> Record:
    return Record("topic", b"key", text.encode(), (("ce_id", text.encode()),))


@pytest.fixture
async def facts(mongo: str, database_prefix: str) -> AsyncIterator[Collection]:
    client: AsyncMongoClient[Document] = AsyncMongoClient(mongo, w="majority", journal=True, tz_aware=True)
    yield client[f"{database_prefix}test"]["facts"]
    await client.drop_database(f"{database_prefix}test")
    await client.close()


async def _run(relay: Relay, until: asyncio.Event | None = None, seconds: float = 5.0) -> None:
    task = asyncio.create_task(relay.run())
    await asyncio.sleep(seconds) if until is None else await asyncio.wait_for(until.wait(), seconds)
    task.cancel()


async def test_a_round_holds_only_so_many_bytes(facts: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the outboxes are: a process that was away finds thousands of them."""
    rounds: list[int] = []

    class Counting(Heard):
        async def publish(self, records: Sequence[Record]) -> None:
            rounds.append(sum(len(each.value) for each in records))
            await super().publish(records)

    monkeypatch.setattr(outbox, "ROUND_BYTES", 20_000)
    heard = Counting()
    relay = Relay([facts], heard, "one")
    await relay.prepare()
    texts = [f"{n:04d}" + "x" * 3000 for n in range(60)]
    await facts.insert_many([{"_id": n, **waiting([record(text)], "one")} for n, text in enumerate(texts)])
    await _run(relay, seconds=2.0)
    assert sorted(heard.values) == [text.encode() for text in texts]
    assert max(rounds) <= 20_000 + 3004
    assert await facts.count_documents({"pending": {"$exists": True}}) == 0


async def test_all_that_waits_is_published_once_and_kept(facts: Collection) -> None:
    heard = Heard()
    relay = Relay([facts], heard, "one")
    await relay.prepare()
    await facts.insert_many([{"_id": n, **waiting([record(f"{n}a"), record(f"{n}b")], "one")} for n in range(700)])
    await _run(relay, seconds=2.5)
    assert sorted(heard.values) == sorted(f"{n}{x}".encode() for n in range(700) for x in "ab")
    places = {value: place for place, value in enumerate(heard.values)}
    assert all(places[f"{n}a".encode()] < places[f"{n}b".encode()] for n in range(700))
    assert await facts.count_documents({"pending": {"$exists": True}}) == 0
    assert await facts.count_documents({"sent": 2, "outbox.1": {"$exists": True}}) == 700


async def test_what_is_added_while_the_broker_is_away_waits_and_follows(facts: Collection) -> None:
    heard = Heard()
    relay = Relay([facts], heard, "one")
    heard.open.clear()
    await facts.insert_one({"_id": 1, **waiting([record("first")], "one")})
    task = asyncio.create_task(relay.run())
    await asyncio.sleep(0.3)
    await facts.update_one({"_id": 1}, {"$push": {"outbox": record("second").stored()}, "$set": {"pending": "one"}})
    heard.open.set()
    relay.wake()
    await asyncio.sleep(1.5)
    task.cancel()
    assert heard.values == [b"first", b"second"]


async def test_what_another_instance_left_is_adopted_after_a_while(
    facts: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ADOPT_SECONDS", 1)
    heard = Heard()
    await facts.insert_one({"_id": 1, **waiting([record("left behind")], "dead")})
    await _run(Relay([facts], heard, "alive"), seconds=4.5)
    assert heard.values == [b"left behind"]


async def test_looking_costs_the_same_however_much_is_stored(facts: Collection) -> None:
    relay = Relay([facts], Heard(), "one")
    await relay.prepare()
    await facts.insert_many([{"_id": n, "sent": 1, "outbox": []} for n in range(2000)])
    await facts.insert_one({"_id": "new", **waiting([record("new")], "one")})
    for where in ({"pending": "one"}, {"pending": {"$exists": True, "$ne": "other"}}):
        explained = await facts.find(where).explain()
        assert explained["executionStats"]["totalDocsExamined"] == 1, where
