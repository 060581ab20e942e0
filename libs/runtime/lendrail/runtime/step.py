"""One step of the way: events in, one durable write, the events it stored out, then the commit.

`step` hands a handler the readable events of a batch and publishes what the handler returns. It never recomputes: a
handler finds a known event id in its store and returns the records that are stored there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog
from faststream.kafka import KafkaBroker
from faststream.kafka.subscriber.usecase import BatchSubscriber

from lendrail.contracts.event import Envelope, Event, Malformed, Record, decode, read_envelope
from lendrail.contracts.sensitive import SealBroken
from lendrail.contracts.topics import Topic
from lendrail.runtime.broker import Batch, subscribe
from lendrail.runtime.dead_letters import dead_letter
from lendrail.runtime.failures import DefectMeter, Outage, TooManyDefects
from lendrail.runtime.faults import named, point
from lendrail.runtime.publisher import Publisher
from lendrail.runtime.settings import ServiceSettings
from lendrail.runtime.vault import Key, Vault

E = TypeVar("E", bound=Event)
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Delivery(Generic[E]):
    """One event as it arrived, with the data key that opens it."""

    event: E
    envelope: Envelope
    key: Key
    record: Any = field(default=None, compare=False, repr=False)
    """As it was consumed; where our own code fails on the event, it is put aside byte for byte."""

    @property
    def id(self) -> str:
        return self.envelope.id


Handler = Callable[[Sequence[Delivery[E]]], Awaitable[Sequence[Record]]]
"""Stores the effect of a batch and returns the stored records, in the order in which they are to be published."""


@dataclass(frozen=True)
class Steps:
    """What all steps of a service share."""

    service: str
    settings: ServiceSettings
    broker: KafkaBroker
    publisher: Publisher
    vault: Vault
    defects: DefectMeter

    def on(self, topic: Topic[E], handle: Handler[E]) -> BatchSubscriber:
        """Subscribe `handle` to `topic` in the group `<service>.<topic>`."""
        for when in ("written", "published"):
            named(f"step.{topic.name}.{when}")

        async def consume(records: Batch) -> None:
            await self._consume(topic, handle, records)

        group = f"{self.service}.{topic.name}"
        return subscribe(self.broker, consume, group=group, settings=self.settings, topic=topic.name)

    async def _consume(self, topic: Topic[E], handle: Handler[E], records: Batch) -> None:
        try:
            deliveries, out = await self._read(topic, records)
            out += await self._handled(handle, deliveries)
            point(f"step.{topic.name}.written")
            await self.publisher.publish(out)
            point(f"step.{topic.name}.published")
        except Outage as error:
            log.warning("a store is away; the batch comes again", topic=topic.name, error=type(error).__name__)
            await asyncio.sleep(random.uniform(0.2, 1.0))
            raise
        except TooManyDefects:
            log.critical("too many defects: this consumer stops", topic=topic.name)
            await asyncio.Event().wait()
        except Exception as error:
            log.error("a step failed outside its handler; the batch comes again", topic=topic.name, exc_info=error)
            await asyncio.sleep(1.0)
            raise

    async def _read(self, topic: Topic[E], records: Batch) -> tuple[list[Delivery[E]], list[Record]]:
        """The readable events, and dead letters for the others. Events of erased persons are dropped."""
        envelopes: list[tuple[Any, Envelope]] = []
        letters: list[Record] = []
        for record in records:
            try:
                envelopes.append((record, read_envelope(record.headers, topic.event.type())))
            except Malformed as fault:
                letters.append(await self._dead(record, str(fault)))
        keys = await self.vault.find({envelope.key_id for _, envelope in envelopes})
        lost = {envelope.key_id for _, envelope in envelopes} - keys.keys()
        erased = await self.vault.erased(lost) if lost else set()
        deliveries: list[Delivery[E]] = []
        for record, envelope in envelopes:
            if envelope.key_id in erased:
                continue
            try:
                deliveries.append(read_delivery(topic, record, envelope, keys))
            except Malformed as fault:
                letters.append(await self._dead(record, str(fault)))
        return deliveries, letters

    async def _handled(self, handle: Handler[E], deliveries: Sequence[Delivery[E]]) -> list[Record]:
        if not deliveries:
            return []
        try:
            return list(await handle(deliveries))
        except Outage:
            raise
        except Exception as error:
            if len(deliveries) > 1:
                log.error("a batch failed; its events are tried one by one", error=type(error).__name__)
                return [record for d in deliveries for record in await self._handled(handle, [d])]
            if isinstance(error, SealBroken):  # the record's fault and not our code's
                return [await self._dead(deliveries[0].record, "a sealed value does not open with its key")]
            return [await self._defect(deliveries[0], error)]

    async def _defect(self, delivery: Delivery[E], error: Exception) -> Record:
        log.error("our code failed on an event", ce_id=delivery.id, exc_info=error)
        self.defects.count()
        return await self._dead(delivery.record, f"defect: {type(error).__name__}")

    async def _dead(self, record: Any, reason: str) -> Record:
        log.warning("dead letter", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason)
        return await dead_letter(record, reason, self.service, self.vault)


def read_delivery(topic: Topic[E], record: Any, envelope: Envelope, keys: Mapping[str, Key]) -> Delivery[E]:
    """The event of a record whose envelope was read. Raises `Malformed`."""
    key = keys.get(envelope.key_id)
    if key is None:
        raise Malformed("ce_keyid names no data key")
    event = decode(topic.event, record.value, key)
    if event.id != envelope.id:
        raise Malformed("ce_id is not the id that the event's content gives")
    if (event.key_id, event.tenant_id, event.mode) != (envelope.key_id, envelope.tenant_id, envelope.mode):
        raise Malformed("ce_keyid, ce_tenantid and ce_mode are not those of the event's content")
    return Delivery(event, envelope, key, record)
