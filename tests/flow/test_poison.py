"""An unreadable record on each topic: a dead letter with its reason, and the next application goes its way."""

import asyncio
import uuid
from typing import Any

import httpx
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from tests.flow.stack import Stack, loan, post, reached, until

from lendrail.contracts.topics import TOPICS, dead_letters_of

SPOILT = ["intake-demo-crm", *(topic.name for topic in TOPICS)]


async def test_poison_on_every_topic_stops_nothing(stack: Stack, client: httpx.AsyncClient) -> None:
    mark = uuid.uuid4().hex.encode()
    producer: Any = AIOKafkaProducer(bootstrap_servers=stack.endpoints["kafka"])
    await producer.start()
    for topic in SPOILT:
        await producer.send_and_wait(topic, b'{"half": ', key=mark, headers=[("ce_id", b"1"), ("odd", None)])
    await producer.stop()
    await until(client, await post(client, loan("30000")), reached("approved"), 60)
    letters = await _letters(stack, mark)
    for topic in SPOILT:
        found = [orjson.loads(record.value) for record in letters if record.topic == dead_letters_of(topic)]
        assert found, f"no dead letter of {topic}"
        assert all(letter["reason"] and letter["topic"] == topic for letter in found)
        assert not any(b"half" in record.value for record in letters)


async def _letters(stack: Stack, mark: bytes) -> list[Any]:
    """The dead letters of the records with this key; every consumer of a topic writes its own."""
    names = [dead_letters_of(topic) for topic in SPOILT]
    consumer: Any = AIOKafkaConsumer(*names, bootstrap_servers=stack.endpoints["kafka"], auto_offset_reset="earliest")
    await consumer.start()
    found: list[Any] = []
    async with asyncio.timeout(30):
        while {record.topic for record in found} != set(names):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [record for record in records if record.key == mark]
    await consumer.stop()
    return found
