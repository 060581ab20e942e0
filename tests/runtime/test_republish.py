"""Stored events are published again on a real MongoDB: all that are young, in order, from where a kill left off."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import NetworkTimeout

from lendrail.contracts.event import Record
from lendrail.contracts.topics import DEAD_LETTER_RETENTION_HOURS, TOPICS
from lendrail.notifications.forget import NOTICES_KEPT
from lendrail.runtime import republish, stored_events
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import Document
from lendrail.runtime.outbox import emptied, published, waiting
from lendrail.runtime.republish import DAYS, MOST_DAYS, Asked, Republishing
from lendrail.runtime.stored_events import Outboxes

NOW = utc_now()


class Killed(BaseException):
    """As SIGKILL: nothing after it runs."""


class Kafka:
    """Remembers what it was given; can kill whoever published, after so many records."""

    ready = True

    def __init__(self, kill_after: int | None = None) -> None:
        self.values: list[str] = []
        self.calls: list[int] = []
        self._kill_after = kill_after

    async def publish(self, records: Sequence[Record]) -> None:
        self.values += [record.value.decode() for record in records]
        self.calls.append(len(records))
        if self._kill_after is not None and len(self.values) >= self._kill_after:
            raise Killed


def record(text: str, age_days: float = 0.0, size: int = 0) -> Record:
    time = (NOW - dt.timedelta(days=age_days)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Record("topic", b"key", text.encode() + b"." * size, (("ce_id", b"x"), ("ce_time", time.encode())))


@pytest.fixture
async def database(mongo: str, database_prefix: str) -> AsyncIterator[AsyncDatabase[Document]]:
    client: AsyncMongoClient[Document] = AsyncMongoClient(mongo, w="majority", journal=True, tz_aware=True)
    yield client[f"{database_prefix}test"]
    await client.drop_database(f"{database_prefix}test")
    await client.close()


async def _run(database: AsyncDatabase[Document], *sources: Any, kafka: Kafka | None = None, **asked: Any) -> list[str]:
    kafka = kafka or Kafka()
    await Republishing(database["republished"], kafka, Asked(**asked), lambda _: None).run(sources)
    return kafka.values


async def test_all_comes_again_whoever_published_it_and_in_the_order_of_its_document(
    database: AsyncDatabase[Document],
) -> None:
    facts = database["facts"]
    handled = [{"_id": f"{n:04}", **published([record(f"{n}a"), record(f"{n}b")])} for n in range(600)]
    relayed = [{"_id": f"r{n}", **waiting([record(f"r{n}")], "gateway-1")} for n in range(3)]
    forgotten: list[Document] = [{"_id": "erased", "outbox": [], "sent": 0}, {"_id": "bare"}]
    await facts.insert_many([*handled, *relayed, *forgotten])
    before = await facts.find().sort("_id").to_list()
    values = await _run(database, Outboxes(facts))
    assert values == [f"{n}{x}" for n in range(600) for x in "ab"] + ["r0", "r1", "r2"]
    assert await facts.find().sort("_id").to_list() == before, "nothing that is stored changes"


async def test_only_what_receivers_remember_comes_again(database: AsyncDatabase[Document]) -> None:
    ages = {"new": 0.0, "in a dead letter at most": DAYS - 0.1, "in no topic": DAYS + 0.1, "forgotten": 400.0}
    outbox = published([record(text, age) for text, age in sorted(ages.items(), key=lambda each: -each[1])])
    await database["facts"].insert_many([{"_id": "both", **outbox}, {"_id": "old", **published([record("y", 90)])}])
    assert await _run(database, Outboxes(database["facts"])) == ["in a dead letter at most", "new"]
    assert await _run(database, Outboxes(database["facts"]), days=1) == ["new"]


def test_the_ages_fit_what_is_kept() -> None:
    in_topics = (max(topic.retention_hours for topic in TOPICS) + DEAD_LETTER_RETENTION_HOURS) / 24
    assert in_topics <= DAYS < MOST_DAYS <= NOTICES_KEPT.days - 2
    with pytest.raises(Exception, match="receivers forget"):
        republish._days("44")


async def test_the_events_of_an_application_come_in_order_though_each_has_a_document(
    database: AsyncDatabase[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the end of a page lies between them, and where they are more than a page."""
    monkeypatch.setattr(stored_events, "PAGE", 4)
    reports, wanted = database["reports"], []
    for application, revisions in (("a", 3), ("b", 1), ("c", 11), ("d", 4), ("e", 2)):
        for revision in range(revisions):
            age = (100 - revision) / 1000
            id = f"{(revision * 7919) % 13:02}-{application}"
            document = {"_id": id, "application": application, **published([record(f"{application}{revision}", age)])}
            await reports.insert_one(document)
            wanted.append(f"{application}{revision}")
    await reports.insert_one({"_id": "of nobody", **published([record("never")])})
    assert await _run(database, Outboxes(reports, about="application")) == wanted


@pytest.mark.parametrize("kill_after", [1, 500, 1700])
async def test_a_killed_run_goes_on_behind_what_kafka_confirmed(
    database: AsyncDatabase[Document], kill_after: int
) -> None:
    first, second = database["first"], database["second"]
    await first.insert_many([{"_id": f"{n:04}", **published([record(f"1-{n}")])} for n in range(1200)])
    await second.insert_many([{"_id": f"{n:04}", **published([record(f"2-{n}")])} for n in range(1200)])
    everything = [f"1-{n}" for n in range(1200)] + [f"2-{n}" for n in range(1200)]
    killed = Kafka(kill_after)
    with pytest.raises(Killed):
        await _run(database, Outboxes(first), Outboxes(second), kafka=killed)
    rest = await _run(database, Outboxes(first), Outboxes(second), resume=True)
    twice = len(killed.values) + len(rest) - len(everything)
    assert 0 < twice <= republish.RECORDS, "only what was confirmed and not noted comes once more"
    assert killed.values[: len(everything) - len(rest)] + rest == everything


async def test_without_resume_a_run_begins_anew_and_one_that_ended_is_never_gone_on_with(
    database: AsyncDatabase[Document],
) -> None:
    """An interrupted run may belong to a loss of long ago."""
    facts = database["facts"]
    await facts.insert_many([{"_id": f"{n:04}", **published([record(str(n))])} for n in range(700)])
    with pytest.raises(Killed):
        await _run(database, Outboxes(facts), kafka=Kafka(600))
    assert len(await _run(database, Outboxes(facts))) == 700
    assert len(await _run(database, Outboxes(facts), resume=True)) == 700


async def test_an_old_run_that_goes_on_sends_nothing_that_was_forgotten_meanwhile(
    database: AsyncDatabase[Document],
) -> None:
    facts = database["facts"]
    await facts.insert_one({"_id": "a", **published([record("forgotten", 60), record("known", 10)])})
    begun = NOW - dt.timedelta(days=30)
    place = {"_id": "run", "began": begun, "since": begun - dt.timedelta(days=DAYS), "walks": {}}
    await database["republished"].insert_one(place)
    assert await _run(database, Outboxes(facts), resume=True) == ["known"]


async def test_little_is_on_its_way_at_one_time(database: AsyncDatabase[Document]) -> None:
    kafka, big = Kafka(), 300_000
    await database["facts"].insert_many(
        [{"_id": f"{n:03}", **published([record(str(n), size=big)])} for n in range(60)]
    )
    await _run(database, Outboxes(database["facts"]), kafka=kafka)
    assert sum(kafka.calls) == 60
    assert max(kafka.calls) * big <= republish.BYTES + big


async def test_it_is_as_slow_as_it_was_asked_to_be(database: AsyncDatabase[Document]) -> None:
    await database["facts"].insert_many([{"_id": f"{n:04}", **published([record(str(n))])} for n in range(1500)])
    began = asyncio.get_running_loop().time()
    await _run(database, Outboxes(database["facts"]), per_second=1500)
    assert asyncio.get_running_loop().time() - began >= 0.95


async def test_an_outage_of_the_store_is_waited_for(database: AsyncDatabase[Document]) -> None:
    facts = database["facts"]
    await facts.insert_many([{"_id": f"{n:04}", **published([record(str(n))])} for n in range(1200)])

    class Away(Outboxes):
        times = 0

        async def records(self, documents: Sequence[Document], since: dt.datetime) -> list[Record]:
            if documents[0]["_id"] == "0700" and not self.times:
                self.times += 1
                raise NetworkTimeout("away")
            return await super().records(documents, since)

    assert await _run(database, Away(facts)) == [str(n) for n in range(1200)]


async def test_what_was_emptied_for_an_erased_person_stays_away(database: AsyncDatabase[Document]) -> None:
    await database["facts"].insert_one({"_id": 1, **published([record("a person's")])})
    await database["facts"].update_one({"_id": 1}, emptied())
    assert await _run(database, Outboxes(database["facts"])) == []
