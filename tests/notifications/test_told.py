"""Tenants' topics are filled again after Kafka lost its data: the same records, in the same order, of whom may hear."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests import make, support

from lendrail.contracts.event import Record
from lendrail.notifications import lanes
from lendrail.runtime.republish import Asked, Republishing
from lendrail.runtime.topic_port import WRITTEN

from .conftest import Running, updated
from .outcomes import Topic, switch


class Kafka:
    ready = True

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def publish(self, records: Sequence[Record]) -> None:
        self.records += records


@pytest.fixture(autouse=True)
def no_long_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "LONGEST_HOLD", 0.05)


async def _again(running: Running, **asked: Any) -> list[Record]:
    kafka = Kafka()
    service = running.service
    await Republishing(service.republished, kafka, Asked(**asked), lambda _: None).run(service.sources)
    return kafka.records


async def _told(running: Running, topic: Topic, count: int) -> list[Record]:
    async def there() -> bool:
        queues = await running.deliveries.find({"channel": "kafka"}).to_list()
        states = [notice["state"] for queue in queues for notice in queue["notices"]]
        return states.count("delivered") >= count

    await support.eventually(there)
    await running.rest()
    return topic.written


async def test_what_was_told_comes_again_byte_by_byte_and_what_waits_does_not(start: Any, tmp_path: Path) -> None:
    topic = Topic(lambda attempt: WRITTEN if attempt <= 5 else "timeout")
    running = await start(topic, outcome_retry_seconds="[30]")
    name = switch(tmp_path, on=True, emails=True)
    application, one, other = make.new_id(), make.new_id(), make.new_id()
    steps = [(one, 1), (other, 1), (other, 2), (one, 2), (one, 3), (other, 3)]
    await running.work()
    await running.publish(*(updated(n, application_id=application, opportunity_id=which) for which, n in steps))
    written = await _told(running, topic, 5)
    assert await _again(running) == written
    assert {record.topic for record in written} == {name}
    assert running.service.sources[0].topics() == [name]
    assert await _again(running, days=0.0000001) == []


async def test_several_applications_each_in_its_own_order(start: Any, tmp_path: Path) -> None:
    topic = Topic()
    running = await start(topic)
    switch(tmp_path, on=True)
    await running.work()
    for application in [make.new_id() for _ in range(4)]:
        opportunity = make.new_id()
        await running.publish(
            *(updated(n, application_id=application, opportunity_id=opportunity) for n in range(1, 4))
        )
    written = await _told(running, topic, 12)
    again = await _again(running)
    assert len(again) == 12
    for key in {record.key for record in written}:
        assert [r for r in again if r.key == key] == [r for r in written if r.key == key]


async def test_an_erased_person_and_a_tenant_without_a_topic_are_told_nothing(start: Any, tmp_path: Path) -> None:
    topic = Topic()
    running = await start(topic)
    switch(tmp_path, on=True)
    await running.work()
    first, second = updated(), updated()
    await running.publish(first, second)
    await _told(running, topic, 2)
    await running.service.vault.erase(first.subject)
    assert [record.key.decode() for record in await _again(running)] == [second.subject]
    switch(tmp_path, on=False)
    assert await _again(running) == []
    assert running.service.sources[0].topics() == []
