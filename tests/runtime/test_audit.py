"""Entries and their chain: workers that race and die at any step, and what was tampered with is named."""

from __future__ import annotations

import asyncio
import datetime as dt
import types
from collections.abc import AsyncIterator, Coroutine, Generator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from lendrail.contracts.sensitive import SensitiveText
from lendrail.runtime import audit
from lendrail.runtime.audit_chain import FIRST, Chain, Holder, Store, Tip, chain, link_hash
from lendrail.runtime.audit_verify import verify
from lendrail.runtime.mongo import Document
from lendrail.runtime.vault import Key

ACTOR = audit.Actor("demo", "test", "demo-operator", "r-1")
SERVICE = "submission"


@types.coroutine
def step() -> Generator[None, None, None]:
    """Where another worker may go on, and where this one may die."""
    yield


class Memory:
    """A ledger in memory with the store's promises and no others: unique numbers and entry ids, links written one by
    one in order, reads that see what was written before they began.
    """

    def __init__(self, owners: dict[str, list[Document]]) -> None:
        self.owners, self.chained = owners, dict.fromkeys(owners, 0)
        self.links: list[Document] = []

    async def tip(self) -> Tip:
        await step()
        return Tip(self.links[-1]["_id"], self.links[-1]["hash"]) if self.links else Tip()

    async def waiting(self) -> list[Holder]:
        found = []
        for name, entries in self.owners.items():
            await step()
            if self.chained[name] < len(entries):
                found.append(Holder(0, name, tuple(entries), self.chained[name]))
        return found

    async def known(self, ids: Sequence[str]) -> set[str]:
        await step()
        return {link["entry"]["id"] for link in self.links} & set(ids)

    async def append(self, links: Sequence[Document]) -> bool:
        for link in links:
            await step()
            numbers, ids = {each["_id"] for each in self.links}, {each["entry"]["id"] for each in self.links}
            if link["_id"] in numbers or link["entry"]["id"] in ids:
                return False
            self.links.append(link)
        return True

    async def mark(self, holders: Sequence[Holder]) -> None:
        for holder in holders:
            await step()
            self.chained[holder.id] = max(self.chained[holder.id], len(holder.entries))


def entry(**changes: Any) -> Document:
    return audit.entry(ACTOR, "attempt-resolved", "opportunities/1", **changes)


def sound(links: Sequence[Document]) -> None:
    """Gapless, each on the one before."""
    previous = FIRST
    for sequence, link in enumerate(links, 1):
        assert (link["_id"], link["previous"]) == (sequence, previous)
        assert link["hash"] == link_hash(SERVICE, sequence, previous, link["entry"])
        previous = link["hash"]


WRITES = st.tuples(st.just("write"), st.integers(0, 3), st.just(1))
STEPS = st.tuples(st.just("go"), st.integers(0, 2), st.integers(1, 14))
DEATHS = st.tuples(st.just("die"), st.integers(0, 2), st.just(1))
ACTIONS = st.lists(st.one_of(WRITES, STEPS, STEPS, DEATHS), min_size=10, max_size=60)
"""A round takes about a dozen steps, so most lists hold whole rounds, and deaths and rivals at every place of one."""


@settings(max_examples=400, deadline=None)
@given(ACTIONS)
def test_workers_that_race_and_die_chain_each_entry_once(actions: list[tuple[str, int, int]]) -> None:
    memory = Memory({str(n): [] for n in range(4)})
    working: dict[int, Coroutine[Any, Any, int]] = {}
    for what, which, steps in actions:
        if what == "write":
            memory.owners[str(which)].append(entry())
        elif what == "die" and which in working:
            working.pop(which).close()
        elif what == "go":
            for _ in range(steps):
                one_step(working, which, memory)
        sound(memory.links)
    for one in working.values():
        one.close()
    for _ in range(2):
        run(chain(SERVICE, memory))
    sound(memory.links)
    linked = [link["entry"]["id"] for link in memory.links]
    written = {name: [each["id"] for each in entries] for name, entries in memory.owners.items()}
    assert sorted(linked) == sorted(each for ids in written.values() for each in ids)
    for ids in written.values():
        assert [each for each in linked if each in ids] == ids, "of one document in its order"
    assert memory.chained == {name: len(ids) for name, ids in written.items()}


def one_step(working: dict[int, Coroutine[Any, Any, int]], which: int, memory: Memory) -> None:
    """Of a worker that may be in the middle of a round, or begins one."""
    if which not in working:
        working[which] = chain(SERVICE, memory)
    try:
        working[which].send(None)
    except StopIteration:
        del working[which]


def run(coroutine: Coroutine[Any, Any, int]) -> int:
    while True:
        try:
            coroutine.send(None)
        except StopIteration as end:
            return int(end.value)


def test_one_form_whatever_the_order_the_zone_or_the_type_of_list() -> None:
    at = dt.datetime(2026, 3, 2, 11, 0, 0, 123456, tzinfo=dt.UTC)
    there = at.astimezone(dt.timezone(dt.timedelta(hours=2))).replace(microsecond=123000)
    assert audit.canonical({"b": (1, 2), "a": at}) == audit.canonical({"a": there, "b": [1, 2]})
    assert audit.canonical({"a": b"1"}) != audit.canonical({"a": "31"})
    assert audit.canonical({"a": at}) != audit.canonical({"a": at.isoformat()})
    with pytest.raises(TypeError):
        audit.canonical({"a": object()})


def test_a_reason_is_never_stored_in_clear() -> None:
    key = Key("k", b"1" * 32)
    made = entry(why=SensitiveText("told by Zelda Fakename"), key=key, about={"attempt": "1"})
    assert "Fakename" not in repr(made)
    assert (key.open(made["why"]), made["key"]) == ("told by Zelda Fakename", "k")
    with pytest.raises(ValueError, match="needs a key"):
        entry(why=SensitiveText("told by Zelda Fakename"))


@pytest.fixture
async def database(mongo: str, database_prefix: str) -> AsyncIterator[AsyncDatabase[Document]]:
    client: AsyncMongoClient[Document] = AsyncMongoClient(
        mongo, w="majority", journal=True, readConcernLevel="majority", tz_aware=True
    )
    yield client[f"{database_prefix}submission"]
    await client.drop_database(f"{database_prefix}submission")
    await client.close()


async def filled(database: AsyncDatabase[Document], documents: int = 5) -> Chain:
    """Documents with two entries each, by each of the ways in which owners write; the chain is whole."""
    made = Chain(SERVICE, database, [database["things"]])
    await made.prepare()
    for n in range(documents):
        await database["things"].insert_one({"_id": n} | audit.held(entry()))
        if n % 2:
            await database["things"].update_one({"_id": n}, [{"$set": {"state": "x"} | audit.staged(entry())}])
        else:
            more = audit.pushed(entry())
            await database["things"].update_one(
                {"_id": n}, {"$set": {"state": "x"} | more["$set"], "$push": more["$push"]}
            )
    assert await made.round() == documents
    return made


async def test_every_way_of_writing_is_chained_once(database: AsyncDatabase[Document]) -> None:
    made = await filled(database)
    assert await made.round() == 0
    now = [{"$replaceWith": {"$mergeObjects": ["$$ROOT", audit.held_now(entry())]}}]
    await database["things"].update_one({"_id": "now"}, now, upsert=True)
    assert (await verify(SERVICE, database)).waiting == 1
    assert await made.round() == 1
    whole = [entry(), entry()]
    for length in (1, 2, 2):
        fields = {"audit": {"$literal": whole[:length]}} | audit.flag(tuple(whole[:length]))
        await database["things"].update_one({"_id": "whole"}, [{"$set": fields}], upsert=True)
        await made.round()
    told = await verify(SERVICE, database)
    assert (told.links, told.tip.sequence, told.waiting, told.broken) == (13, 13, 0, None)
    assert await database["things"].count_documents({"unchained": {"$exists": True}}) == 0


async def test_what_was_stored_before_there_was_a_chain_stays_unlinked(database: AsyncDatabase[Document]) -> None:
    made = Chain(SERVICE, database, [database["things"]])
    await made.prepare()
    older = {"who": "demo-operator", "what": "not-sent"}
    await database["things"].insert_one({"_id": 1, "audit": [older]})
    more = audit.pushed(entry())
    await database["things"].update_one({"_id": 1}, more)
    assert (await made.round(), await made.round()) == (1, 0)
    told = await verify(SERVICE, database)
    assert (told.links, told.broken) == (1, None)


async def test_many_workers_at_once_on_a_real_store(database: AsyncDatabase[Document]) -> None:
    """Without their lease, so that they do meet."""
    stores = [Store(database, [database["things"]]) for _ in range(6)]
    await stores[0].prepare()
    done = asyncio.Event()

    async def work(store: Store) -> None:
        while not done.is_set():
            await chain(SERVICE, store)

    workers = [asyncio.create_task(work(store)) for store in stores]
    for n in range(40):
        await database["things"].insert_one({"_id": n} | audit.held(entry()))
        await database["things"].update_one({"_id": n}, audit.pushed(entry(), entry()))
    while await stores[0].waits():
        await asyncio.sleep(0.01)
    done.set()
    await asyncio.gather(*workers)
    told = await verify(SERVICE, database)
    assert (told.links, told.tip.sequence, told.waiting, told.broken) == (120, 120, 0, None)


async def test_one_process_chains_at_a_time_and_another_takes_over(
    database: AsyncDatabase[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lendrail.runtime.audit_chain.LEASE_SECONDS", 0.3)
    one, two = (Store(database, [database["things"]]) for _ in range(2))
    await one.prepare()
    assert (await one.mine(), await two.mine(), await one.mine()) == (True, False, True)
    await asyncio.sleep(0.4)
    assert (await two.mine(), await one.mine()) == (True, False)
