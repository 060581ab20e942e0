"""What happened to an application, as Kafka tells it: one line for each event.

Only headers and words that name nobody are read (status, partner, outcome); everything personal stays sealed.
"""

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from lendrail.contracts.event import Malformed, read_envelope
from lendrail.contracts.topics import PARTNER_WEBHOOK, TOPICS


@dataclass(frozen=True)
class Line:
    """One event of the timeline."""

    event: str
    service: str
    application: str | None
    milliseconds: int | None
    """Since the application arrived; None while that is not known."""
    partner: str | None = None
    word: str | None = None
    """Status, outcome or channel, in our own words."""


class Timeline:
    """Puts events to applications and counts from each one's arrival."""

    def __init__(self) -> None:
        self._arrived: dict[str, dt.datetime] = {}
        self._of_partner_id: dict[str, str] = {}

    def read(self, topic: str, headers: Iterable[tuple[str, bytes | None]], value: bytes | None) -> Line | None:
        """The line of one record, None when it is not one of our events."""
        try:
            envelope = read_envelope(headers)
        except Malformed:
            return None
        said = _object(value)
        application: str | None = envelope.subject
        if topic == PARTNER_WEBHOOK.name:
            application = self._of_partner_id.get(envelope.subject)
        elif said.get("partnerId"):
            names = said.get("partner"), said.get("credential"), said["partnerId"]
            self._of_partner_id["/".join(map(str, names))] = envelope.subject
        if application:
            self._note_arrival(application, said, envelope.time)
        arrived = self._arrived.get(application or "")
        gone = round((envelope.time - arrived).total_seconds() * 1000) if arrived else None
        update = said.get("update") or {}
        return Line(
            topic, envelope.source, application, gone, said.get("partner") or update.get("partner"), _word(said)
        )

    def _note_arrival(self, application: str, said: dict[str, Any], time: dt.datetime) -> None:
        """The gateway's own time of receipt where the event carries it, else the time of the first event."""
        stated = time
        if said.get("receivedAt"):
            with suppress(ValueError):
                stated = dt.datetime.fromisoformat(said["receivedAt"])
        self._arrived[application] = min(stated, self._arrived.get(application, stated))


def _word(said: dict[str, Any]) -> str | None:
    """The one word that tells most: a status, an outcome, a channel, how many problems."""
    changed = said.get("amendment")
    if update := said.get("update"):
        return f"{said.get('channel')}: {update.get('status')}"
    if said.get("outcome"):
        return f"{said.get('operation')}: {said['outcome']}"
    if said.get("eligible") is not None:
        return f"revision {said.get('revision')} is sound" if changed else f"{len(said['eligible'])} can take it"
    if changed:
        return f"{changed.get('kind')}, revision {said.get('revision')}"
    if intent := said.get("intent"):
        documents = f", {len(intent['documents'])} document(s)" if "documents" in intent else ""
        return f"{intent.get('kind')}{documents}"
    if said.get("status"):
        return str(said["status"])
    if said.get("problems"):
        return f"{len(said['problems'])} problem(s)"
    return said.get("words")


def _object(value: bytes | None) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(value or b"")
        return found if isinstance(found, dict) else {}
    return {}


async def lines(
    bootstrap: str, *, from_start: bool = False, started: asyncio.Event | None = None
) -> AsyncIterator[Line]:
    """All events as they come, for ever; `from_start` begins with the oldest that Kafka still has.

    What is published after `started` is set is seen.

    Reads every partition without a consumer group, so it disturbs no service.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        await _assign(consumer, from_start)
        if started:
            started.set()
        timeline = Timeline()
        while True:
            found = await consumer.getmany(timeout_ms=100)
            for record in sorted((r for batch in found.values() for r in batch), key=lambda r: r.timestamp):
                if line := timeline.read(record.topic, record.headers, record.value):
                    yield line
    finally:
        await consumer.stop()


async def _assign(consumer: AIOKafkaConsumer, from_start: bool) -> None:
    """Fix where reading begins."""
    partitions = [TopicPartition(topic.name, number) for topic in TOPICS for number in range(topic.partitions)]
    consumer.assign(partitions)
    if from_start:
        await consumer.seek_to_beginning(*partitions)
    else:
        await consumer.seek_to_end(*partitions)
    for partition in partitions:
        await consumer.position(partition)
