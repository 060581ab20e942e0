"""The publish port while Kafka is away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError

from lendrail.contracts.event import Record
from lendrail.runtime.publisher import KafkaPublisher


class Full:
    """A producer that refuses for a while, before it takes a record: its buffer has no room, or it was started while
    Kafka was away and has never heard of the topic.
    """

    def __init__(self, refusals: int, error: type[KafkaError]) -> None:
        self._refusals, self._error = refusals, error
        self.taken: list[bytes] = []

    async def send(self, topic: str, *, value: bytes, **_: Any) -> asyncio.Future[None]:
        if len(self.taken) == 2 and self._refusals:
            self._refusals -= 1
            raise self._error
        self.taken.append(value)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


@pytest.mark.parametrize("error", [KafkaTimeoutError, UnknownTopicOrPartitionError])
async def test_a_record_that_found_no_room_is_handed_over_later_and_no_other_again(error: type[KafkaError]) -> None:
    publisher, producer = KafkaPublisher("127.0.0.1:1", "test"), Full(3, error)
    publisher._producer = producer
    publisher._ready.set()
    await publisher.publish([Record("status-updated", b"key", b"%d" % number, ()) for number in range(4)])
    assert producer.taken == [b"0", b"1", b"2", b"3"]
