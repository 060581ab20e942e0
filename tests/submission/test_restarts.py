"""The service as it is run, killed again and again between hearing of an acceptance or a withdrawal and telling what
came of it: the partner has it once, and the world hears of it under one id.
"""

import asyncio
import contextlib
import os
import signal
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import TopicAlreadyExistsError
from tests import make, support
from tests.submission.amended import accept, intended, withdraw
from tests.submission.desk import Desk
from tests.submission.endings import ACCEPTING, WITHDRAWING, Story
from tests.submission.others import running
from tests.submission.test_crashes import desks, end
from tests.submission.test_handlers import publish

from lendrail.contracts.event import decode
from lendrail.contracts.partner_ack import PartnerAck
from lendrail.contracts.submit import Submit
from lendrail.local.servers.ports import free_port

pytestmark = pytest.mark.asyncio
DEATHS = (
    "store.opportunities.before#1",  # heard, not stored
    "store.opportunities.after#1",  # stored, neither committed nor begun
    "partner.sending#1",  # under way, nothing sent
    "partner.after#1",  # the partner did it, nothing stored
    "publish.before#2",  # stored, not told; before it the doubt was told
    "relay.opportunities.published#1",  # told, and not noted that it was
)


@pytest.mark.parametrize("story", [ACCEPTING, WITHDRAWING], ids=lambda story: story.name)
async def test_dies_six_times_on_the_way(
    story: Story, tmp_path: Path, kafka: str, mongo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with contextlib.suppress(TopicAlreadyExistsError):  # another test of this session made them
        await support.topics(kafka, "submit", "partner-ack", "status-updated")
    place = tmp_path / "sandbox"
    place.mkdir()
    with running(place) as sandbox:
        async with desks(tmp_path, mongo, sandbox, ["one"], instance=f"s-{uuid.uuid4().hex[:6]}") as (desk,):
            first = await story.begin(desk)
            desk.environment["KAFKA_BOOTSTRAP_SERVERS"] = kafka
            event = intended(first, accept("offer-1") if story is ACCEPTING else withdraw())
            await publish(kafka, make.record(event, await desk.key(event)))
            for label in DEATHS:
                await _dies(desk, label)
            last = desk.process(port=str(free_port()))
            try:
                await story.until(desk, first, "acked", 60)
                await support.eventually(lambda: _told_all(desk, first), 60)
            finally:
                end(last)
            assert await story.done(desk, first) == 1
            told = await _told(kafka, desk, first, story.operation)
            assert len({each.id for each, _ in told}) == len({value for _, value in told}), "one id, one content"
            final = [each.id for each, _ in told if each.outcome == "accepted"]
            assert len(set(final)) == 1
            assert len(final) > 1, "who died after telling told it again, under the same id"


async def _dies(desk: Desk, label: str) -> None:
    process = desk.process(fault_at=label, port=str(free_port()))
    try:
        assert await asyncio.to_thread(process.wait, 90) == -signal.SIGKILL, label
    finally:
        process.kill()


async def _told_all(desk: Desk, event: Submit) -> bool:
    return "pending" not in await desk.store.load(str(event.opportunity_id))


async def _told(kafka: str, desk: Desk, event: Submit, operation: str) -> list[tuple[PartnerAck, bytes]]:
    """The acks of this operation in their topic, with their bytes."""
    key, found = await desk.key(event), []
    consumer = AIOKafkaConsumer("partner-ack", bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        while batch := await consumer.getmany(timeout_ms=2000):
            values = [each.value for records in batch.values() for each in records if each.key == event.key.encode()]
            found += [(decode(PartnerAck, value, key), value) for value in values]
    finally:
        await consumer.stop()
    return [(ack, value) for ack, value in found if ack.operation == operation]
