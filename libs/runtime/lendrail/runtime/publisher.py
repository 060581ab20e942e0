"""The publish port: stored records go to Kafka as they are, and a publish is never repeated by us.

The idempotent producer never gives up: a record that "timed out" is still in its buffer and is sent later. So we keep
waiting on the same future, however long the broker is away, or end the process; both leave one copy in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    UnknownTopicOrPartitionError,
)
from faststream.kafka import KafkaBroker

from lendrail.contracts.event import Record
from lendrail.runtime.faults import point

MAX_RECORD_BYTES = 4 * 1024 * 1024
log = structlog.get_logger()


class Publisher(Protocol):
    @property
    def ready(self) -> bool: ...

    async def publish(self, records: Sequence[Record]) -> None:
        """Return when the broker has all of `records`; those of one key stay in order."""


class KafkaPublisher:
    """Publishes through one idempotent producer."""

    def __init__(self, servers: str, client_id: str) -> None:
        self._producer: Any = None
        self._options: dict[str, Any] = {
            "bootstrap_servers": servers,
            "client_id": client_id,
            "acks": "all",
            "enable_idempotence": True,
            "linger_ms": 0,
            "max_request_size": MAX_RECORD_BYTES,
            "request_timeout_ms": 10_000,
            "metadata_max_age_ms": 30_000,
        }
        self._ready = asyncio.Event()

    @property
    def ready(self) -> bool:
        return self._ready.is_set()

    async def run(self) -> None:
        """Connect, trying for as long as it takes; then stay until cancelled."""
        while self._producer is None:
            producer: Any = AIOKafkaProducer(**self._options)
            try:
                await producer.start()
                self._producer = producer
            except KafkaError as error:
                await producer.stop()
                log.warning("kafka is not there yet", error=type(error).__name__)
                await asyncio.sleep(0.5)
        self._ready.set()
        await asyncio.Event().wait()

    async def stop(self, seconds: float = 10) -> None:
        if self._producer is not None:
            try:
                await asyncio.wait_for(self._producer.stop(), seconds)
            except TimeoutError:
                log.warning("gave up waiting for kafka; what was not sent is still stored")

    async def lacking(self, topics: Iterable[str]) -> list[str]:
        """Those that Kafka does not have; a publish to one of them would not end well."""
        await self._ready.wait()
        assert self._producer is not None
        there = await self._producer.client.fetch_all_metadata()
        return sorted(set(topics) - there.topics())

    async def publish(self, records: Sequence[Record]) -> None:
        if not records:
            return
        await self._ready.wait()
        assert self._producer is not None
        point("publish.before", KafkaConnectionError)
        futures = []
        for record in records:
            try:
                futures.append(await self._send(record))
            except MessageSizeTooLargeError:
                log.error("a record is larger than the broker takes", topic=record.topic)
                raise
        await asyncio.gather(*futures)
        point("publish.after", KafkaConnectionError)

    async def _send(self, record: Record) -> asyncio.Future[Any]:
        assert self._producer is not None
        while True:
            try:
                future: asyncio.Future[Any] = await self._producer.send(
                    record.topic, value=record.value, key=record.key, headers=list(record.headers)
                )
            except (KafkaTimeoutError, UnknownTopicOrPartitionError) as error:
                # its buffer is full, or it has not heard of the topic since it was started: it has not taken this
                # record, and still has those before it
                log.warning("kafka is away; a record waits", topic=record.topic, error=type(error).__name__)
            else:
                return future


class BrokerPublisher:
    """Publishes through a FastStream broker: what FastStream's in-memory test broker understands."""

    ready = True

    def __init__(self, broker: KafkaBroker) -> None:
        self._broker = broker

    async def publish(self, records: Sequence[Record]) -> None:
        for record in records:
            headers = {name: value.decode() for name, value in record.headers}
            await self._broker.publish(record.value, topic=record.topic, key=record.key, headers=headers)
