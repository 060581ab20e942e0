"""Writing to topics that tenants read: one record, one attempt, one word for what came of it.

Not the publisher of our own topics. That one is idempotent and waits for ever, so one topic that is missing or closed
to us would stop it, or end its producer. Here an attempt ends: what it did not write is no longer in any buffer, and
whoever stored it tries again. A record may so be written twice; its id is the same.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError

from lendrail.contracts.event import Record
from lendrail.runtime.faults import call_point
from lendrail.runtime.publisher import MAX_RECORD_BYTES

WRITTEN = "written"
STOP_SECONDS = 5.0
log = structlog.get_logger()


class Writer(Protocol):
    async def write(self, record: Record) -> str:
        """`WRITTEN`, or why not. Never raises for what Kafka does."""

    async def aclose(self) -> None: ...


class TopicPort:
    """One producer, connected when it is first needed."""

    def __init__(self, servers: str, client_id: str, seconds: float) -> None:
        """An attempt ends after `seconds`. Kafka's own time-out is half of it: it names the reason, ours does not."""
        self._seconds = seconds
        self._options: dict[str, Any] = {
            "bootstrap_servers": servers,
            "client_id": client_id,
            "acks": "all",
            "max_request_size": MAX_RECORD_BYTES,
            "request_timeout_ms": int(seconds * 500),
        }
        self._producer: Any = None
        self._starting = asyncio.Lock()

    async def write(self, record: Record) -> str:
        try:
            async with asyncio.timeout(self._seconds):
                producer = await self._connected()
                await call_point("outcome.before", KafkaConnectionError)
                await producer.send_and_wait(
                    record.topic, value=record.value, key=record.key, headers=list(record.headers)
                )
                await call_point("outcome.after", KafkaConnectionError)
        except TimeoutError:
            return "timeout"
        except KafkaError as error:
            return _word(error)
        return WRITTEN

    async def _connected(self) -> Any:
        async with self._starting:
            if self._producer is None:
                producer: Any = AIOKafkaProducer(**self._options)
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
        return self._producer

    async def aclose(self) -> None:
        if self._producer is not None:
            try:
                await asyncio.wait_for(self._producer.stop(), STOP_SECONDS)
            except TimeoutError:
                log.warning("gave up waiting for kafka; what was not written is still stored")


def _word(error: KafkaError) -> str:
    """UnknownTopicOrPartitionError: `unknown-topic-or-partition`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(error).__name__.removesuffix("Error")).lower()
