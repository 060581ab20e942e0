"""FastStream's Kafka broker with the defaults that do not lose records, and batches without its idle sleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.subscriber.usecase import BatchSubscriber

from lendrail.runtime import names
from lendrail.runtime.pace import rest
from lendrail.runtime.settings import ServiceSettings

DRAIN_SECONDS = 30.0
Batch = Sequence["ConsumerRecord[Any, Any]"]
names.install()


def make_broker(settings: ServiceSettings, service: str) -> KafkaBroker:
    """A broker for subscribers only; publishing has its own port (`publisher.py`).

    The logger is off because FastStream logs whole records; `step` logs what happens, without their content.
    """
    return KafkaBroker(
        settings.kafka_bootstrap_servers,
        client_id=settings.instance or service,
        acks="all",
        enable_idempotence=True,
        allow_auto_create_topics=False,
        graceful_timeout=DRAIN_SECONDS,
        metadata_max_age_ms=30_000,
        apply_types=False,
        logger=None,
    )


class DrainOnRevoke(ConsumerRebalanceListener):  # type: ignore[misc, unused-ignore]
    """Lets the running batch finish and commit before its partitions go to somebody else."""

    subscriber: Any = None

    async def on_partitions_revoked(self, revoked: Any) -> None:
        if self.subscriber is not None:
            await self.subscriber.lock.wait_release(DRAIN_SECONDS)

    async def on_partitions_assigned(self, assigned: Any) -> None:
        return None


class EagerBatchSubscriber(BatchSubscriber):
    """FastStream's own sleeps for `batch_timeout_ms` after an empty poll, deaf to what arrives; this one keeps
    listening.

    It rests after work instead (see `pace`), so that under load batches grow.
    """

    async def get_msg(self, consumer: AIOKafkaConsumer) -> tuple[ConsumerRecord[Any, Any], ...]:
        began = self.__dict__.get("handed_out")
        if began is not None:
            await rest(time.monotonic() - began)
        polled = await consumer.getmany(timeout_ms=self.batch_timeout_ms, max_records=self.max_records)
        records = tuple(chain.from_iterable(polled.values()))
        self.__dict__["handed_out"] = time.monotonic() if records else None
        return records


def subscribe(
    broker: KafkaBroker,
    handle: Callable[[Batch], Awaitable[None]],
    *,
    group: str,
    settings: ServiceSettings,
    topic: str | None = None,
    pattern: str | None = None,
) -> BatchSubscriber:
    """Hand `handle` the raw records of a topic (or of all topics that match), batch by batch; commit after each
    batch.
    """
    listener = DrainOnRevoke()
    subscriber: Any = broker.subscriber(
        *([topic] if topic else []),
        pattern=pattern,
        batch=True,
        batch_timeout_ms=200,
        max_records=settings.batch_records,
        group_id=group,
        group_instance_id=f"{settings.instance}.{group}" if settings.instance else None,
        ack_policy=AckPolicy.NACK_ON_ERROR,
        auto_offset_reset="earliest",
        session_timeout_ms=15_000,
        heartbeat_interval_ms=1_000,
        rebalance_timeout_ms=60_000,
        partition_assignment_strategy=[StickyPartitionAssignor],
        listener=listener,
        no_reply=True,
    )
    subscriber.__class__ = EagerBatchSubscriber
    listener.subscriber = subscriber
    subscriber(handle, parser=_parse, decoder=_decode)
    result: BatchSubscriber = subscriber
    return result


async def _parse(records: Any, original: Callable[[Any], Awaitable[Any]]) -> Any:
    """Parse without headers: a null or non-UTF-8 one makes FastStream lose the record before anybody sees it."""
    message = await original(tuple(replace(record, headers=()) for record in records))
    message.raw_message = records
    return message


async def _decode(message: Any, original: Any = None) -> list[ConsumerRecord[Any, Any]]:
    return list(message.raw_message)


async def start_when_there(broker: KafkaBroker, on_failure: Callable[[Exception], None]) -> None:
    """Start the broker, trying for as long as it takes."""
    while True:
        try:
            await broker.start()
            return
        except (KafkaError, OSError) as error:
            on_failure(error)
            await broker.stop()
            await asyncio.sleep(0.5)


def assigned(subscriber: BatchSubscriber) -> bool:
    """Whether this consumer has joined its group."""
    consumer = subscriber.consumer
    coordinator = consumer._coordinator if consumer is not None else None
    return coordinator is not None and getattr(coordinator, "generation", -1) >= 0
