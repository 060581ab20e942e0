"""An erased person on a real MongoDB: what was told and when stays known, of whom does not; nothing more is told."""

import asyncio
import signal
from pathlib import Path
from typing import Any

from tests import make, support
from tests.forgotten import traces

from lendrail.contracts.event import Record
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import Reference
from lendrail.contracts.topics import DEAD_LETTER_RETENTION_HOURS, NOTIFY, STATUS_UPDATED
from lendrail.notifications.forget import Forgetter
from lendrail.notifications.store import LOG_KEPT, Deliveries
from lendrail.runtime.topic_port import WRITTEN
from lendrail.runtime.vault import Key

from .conftest import Document, answer, token, updated
from .outcomes import Topic, switch
from .test_crashes import _process

NUMBER = "Zq8-CRM-1"
LONG = "[1000000]"


def told_of(number: str = NUMBER, version: int = 1, **ids: Any) -> StatusUpdated:
    return updated(version, references=(Reference(system="demo-crm", kind="deal", value=number),), **ids)


async def left(running: Any, key: Key) -> list[str]:
    return await traces(running.service.database, key, (NUMBER, "Zelda"))


async def queues(running: Any, event: StatusUpdated) -> list[Document]:
    found: list[Document] = await running.deliveries.find({"application": event.subject}).sort("_id", 1).to_list()
    return found


async def states(running: Any, event: StatusUpdated) -> set[tuple[str, int, str]]:
    found = await queues(running, event)
    return {(queue["channel"], n["version"], n["state"]) for queue in found for n in queue["notices"]}


def forgetter(running: Any) -> Forgetter:
    return Forgetter(running.service.database["notices"], Deliveries(running.deliveries))


async def hear(running: Any, key: Key, *events: StatusUpdated) -> list[Record]:
    records = [make.record(event, key, "status") for event in events]
    await running.service.publisher.publish(records)
    return records


async def test_nothing_is_left_but_that_it_was_told(start: Any, listen: Any, mailbox: Any, tmp_path: Path) -> None:
    """One notice was told, one was refused for good, others are to be repeated."""
    mailbox.rcpt_replies = ["550 no such user"]
    running = await start(Topic(lambda _: "timeout"), retry_seconds=LONG, outcome_retry_seconds=LONG)
    switch(tmp_path, on=True, emails=True)
    listener = await listen(lambda call: answer(200 if call == 1 else 500))
    await running.register({"url": listener.url})
    await running.work()
    event = told_of()
    again = told_of(version=2, application_id=event.application_id, opportunity_id=event.opportunity_id)
    await running.publish(event)
    wanted = {("webhook", 1, "delivered"), ("email", 1, "parked"), ("kafka", 1, "waiting")}
    await support.eventually(lambda: _are(running, event, wanted))
    await running.publish(again)
    wanted |= {("webhook", 2, "waiting"), ("email", 2, "delivered"), ("kafka", 2, "waiting")}
    await support.eventually(lambda: _are(running, event, wanted))
    other = told_of("Other-1")
    await running.publish(other)
    at_rest = {("webhook", 1, "waiting"), ("email", 1, "delivered"), ("kafka", 1, "waiting")}
    await support.eventually(lambda: _are(running, other, at_rest))
    keys = await running.service.vault.find([event.key_id, other.key_id])
    mine, others = keys[event.key_id], await traces(running.service.database, keys[other.key_id])
    assert set(await left(running, mine)) == {"deliveries.notices[].body", "notices.outbox[].value"}
    before = await queues(running, event)
    await running.service.vault.erase(event.key_id)

    async def forgotten() -> bool:
        return await left(running, mine) == []

    await support.eventually(forgotten)
    after = await queues(running, event)
    assert await states(running, event) == {
        (channel, version, "cancelled" if state == "waiting" else state) for channel, version, state in wanted
    }
    ids = [[(n["id"], n["stored"], n["tries"]) for n in queue["notices"]] for queue in before]
    assert [[(n["id"], n["stored"], n["tries"]) for n in queue["notices"]] for queue in after] == ids
    assert all("due" not in queue and "settled" in queue for queue in after)
    assert await traces(running.service.database, keys[other.key_id]) == others
    assert await states(running, other) == at_rest
    await forgetter(running).forget([event.key_id])
    assert await queues(running, event) == after
    log = await running.http.get("/v1/deliveries", params={"application": event.subject}, headers=token())
    assert {line["outcome"] for line in log.json()["items"] if line["status"] == "cancelled"} == {"erased"}


async def _are(running: Any, event: StatusUpdated, wanted: set[tuple[str, int, str]]) -> bool:
    return await states(running, event) == wanted


async def test_what_comes_late_is_dropped_or_goes_the_second_time(start: Any) -> None:
    running = await start()
    event = told_of()
    late = told_of(version=2, application_id=event.application_id, opportunity_id=event.opportunity_id)
    await running.publish(event)
    key = await running.service.vault.get(event.key_id)
    await running.service.vault.erase(event.key_id)
    await forgetter(running).forget([event.key_id])
    after = await queues(running, event)
    await hear(running, key, event, late)
    assert await queues(running, event) == after, "of the erased nothing is stored"
    assert await running.service.database["notices"].count_documents({}) == 1
    running.service.vault._remember(key)  # as a process does that used it a moment ago
    await hear(running, key, event)
    assert await queues(running, event) == after, "a known event has nothing to say any more"
    await hear(running, key, late)
    assert await left(running, key)
    await forgetter(running).forget([event.key_id])
    assert await left(running, key) == []
    assert await states(running, event) == {("email", 1, "cancelled"), ("email", 2, "cancelled")}


async def test_what_is_being_told_at_that_moment_is_noted(start: Any, tmp_path: Path) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    class Slow(Topic):
        async def write(self, record: Record) -> str:
            asked.set()
            await go.wait()
            return await super().write(record)

    topic = Slow(lambda call: WRITTEN if call == 1 else "timeout")
    running = await start(topic, outcome_retry_seconds="[0.01]")
    switch(tmp_path, on=True)
    await running.work()
    event = told_of()
    await running.publish(event)
    await asyncio.wait_for(asked.wait(), 10)
    await forgetter(running).forget([event.key_id])
    assert await states(running, event) == {("kafka", 1, "cancelled")}
    go.set()
    await running.state(event, "delivered")
    asked.clear()
    go.clear()
    failing = told_of()
    await running.publish(failing)
    await asyncio.wait_for(asked.wait(), 10)
    await forgetter(running).forget([failing.key_id])
    go.set()
    calls = len(topic.attempts)
    assert (await running.state(failing, "cancelled"))["outcome"] == "erased"

    async def at_rest() -> bool:
        [queue] = await queues(running, failing)
        return "settled" in queue and "lease" not in queue

    await support.eventually(at_rest)
    assert len(topic.attempts) == calls + 1, "the attempt that was under way, and none after it"
    assert (await running.state(failing, "cancelled"))["outcome"] == "erased"


async def test_the_log_and_the_inbox_end_but_not_before_their_events(start: Any, listen: Any) -> None:
    running, listener = await start(), await listen(lambda _: answer(200))
    await running.register({"url": listener.url})
    indexes = {name: await running.service.database[name].index_information() for name in ("notices", "deliveries")}
    inbox, log = indexes["notices"]["stored_1"], indexes["deliveries"]["settled_1"]
    for topic, kept in ((STATUS_UPDATED, inbox), (NOTIFY, log)):
        hours = topic.retention_hours + DEAD_LETTER_RETENTION_HOURS
        assert kept["expireAfterSeconds"] > hours * 3600
    assert log["expireAfterSeconds"] == LOG_KEPT.total_seconds()
    event = told_of()
    await running.publish(event)
    assert not any("settled" in queue for queue in await queues(running, event))
    await running.work()
    await running.state(event, "delivered")

    async def settled() -> list[Document]:
        found = await queues(running, event)
        return found if len(found) == 2 and all("settled" in queue for queue in found) else []

    first = await support.eventually(settled)
    await running.publish(event)
    assert [queue["settled"] for queue in await queues(running, event)] == [queue["settled"] for queue in first]
    later = told_of(version=2, application_id=event.application_id, opportunity_id=event.opportunity_id)
    await running.publish(later)
    await running.state(later, "delivered")
    again = await support.eventually(settled)
    assert all(new["settled"] > old["settled"] for new, old in zip(again, first, strict=True))
    [notice] = await running.service.database["notices"].find({"_id": event.id}).to_list()
    assert notice["stored"].tzinfo is not None, "a time, so that its end comes"


async def test_killed_in_the_middle_it_goes_on(start: Any, mongo: str, tmp_path: Path, database_prefix: str) -> None:
    """After each of the writes; without Kafka, which erasures do not need."""
    running = await start()
    event = told_of()
    await running.publish(event)
    key = await running.service.vault.get(event.key_id)
    await running.service.vault.erase(event.key_id)
    environment = support.environment(
        tmp_path,
        mongo=mongo,
        prefix=database_prefix,
        smtp_host="localhost",
        smtp_port="9",
        smtp_sender="a@x.test",
    )
    places = running.service.database["forgotten"]
    for window in ("store.deliveries.after", "store.forgotten.before"):
        process = await _process(environment, LENDRAIL_FAULT_AT=window)
        assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGKILL, window
    assert await places.count_documents({}) == 0, "so it begins again"
    process = await _process(environment)

    async def done() -> bool:
        return bool(await places.count_documents({}))

    try:
        await support.eventually(done, 30)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 20)
    assert await left(running, key) == []
