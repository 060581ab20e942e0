"""All that MongoDB and Kafka hold, opened with every data key that is left: what a thief of all of it can read."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from pymongo import AsyncMongoClient
from tests.flow.stack import Stack

from lendrail.contracts.sensitive import TOKEN, SealBroken
from lendrail.runtime.settings import read_key
from lendrail.runtime.vault import Key, LocalWrapper

_TOKEN = re.compile(re.escape(TOKEN.encode()) + rb"[A-Za-z0-9+/=]+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")
DEPTH = 4
"""Seals in seals: a dead letter holds, in Base64, a record that holds sealed values."""
OURS = ("gateway", "validation", "documents", "submission", "status", "notifications", "keys", "partners")


def _mongo(stack: Stack) -> AsyncMongoClient[dict[str, Any]]:
    return AsyncMongoClient(stack.endpoints["mongo"])


async def keys_of(stack: Stack) -> list[Key]:
    """All data keys that exist, the intake keys too."""
    wrapper = LocalWrapper(read_key(stack.folder / "config" / "master.key"))
    async with _mongo(stack) as client:
        found = client["keys"]["data_keys"].find({"wrapped": {"$exists": True}})
        return [Key(each["_id"], wrapper.unwrap(bytes(each["wrapped"]))) async for each in found]


async def readable(stack: Stack, marks: list[str]) -> set[str]:
    """Where one of `marks` can be read by who has all data and all keys."""
    keys, wanted = await keys_of(stack), re.compile(b"|".join(re.escape(mark.encode()) for mark in marks))
    found: set[str] = set()
    async for place, value in _stored(stack):
        if place not in found and any(wanted.search(text) for text in _revealed(value, keys, DEPTH)):
            found.add(place)
    return found


async def _stored(stack: Stack) -> AsyncIterator[tuple[str, bytes]]:
    async with _mongo(stack) as client:
        for database in OURS:
            for name in await client[database].list_collection_names():
                async for document in client[database][name].find({}):
                    for leaf in _leaves(document):
                        yield f"{database}.{name}", leaf
    async for topic, leaf in _records(stack):
        yield f"kafka.{topic}", leaf


async def _records(stack: Stack) -> AsyncIterator[tuple[str, bytes]]:
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=stack.endpoints["kafka"])
    await admin.start()
    described = await admin.describe_topics()
    await admin.close()
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=stack.endpoints["kafka"])
    await consumer.start()
    try:
        for topic in described:
            for partition in topic["partitions"]:
                async for record in _partition(consumer, TopicPartition(topic["topic"], partition["partition"])):
                    yield topic["topic"], b" ".join([record.key or b"", record.value or b""])
                    yield topic["topic"], b" ".join(value or b"" for _, value in record.headers)
    finally:
        await consumer.stop()


async def _partition(consumer: Any, place: TopicPartition) -> AsyncIterator[Any]:
    consumer.assign([place])
    await consumer.seek_to_beginning(place)
    end = (await consumer.end_offsets([place]))[place]
    while await consumer.position(place) < end:
        for record in (await consumer.getmany(place, timeout_ms=1000)).get(place, ()):
            yield record


def _leaves(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield str(name).encode()
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, str):
        yield value.encode()
    elif isinstance(value, bytes):
        yield bytes(value)


def _revealed(data: bytes, keys: list[Key], depth: int) -> Iterator[bytes]:
    """The bytes, and all that they hold sealed, or in Base64."""
    yield data
    if depth == 0:
        return
    inner = [opened for token in _TOKEN.findall(data) for opened in _opened(token, keys)]
    inner += _opened_bytes(data, keys)
    for text in _BASE64.findall(data):
        try:
            inner.append(base64.b64decode(text, validate=True))
        except binascii.Error:
            continue
    for each in inner:
        yield from _revealed(each, keys, depth - 1)


def _opened(token: bytes, keys: list[Key]) -> Iterator[bytes]:
    for key in keys:
        try:
            yield key.open(token.decode()).encode()
        except SealBroken:
            continue


def _opened_bytes(data: bytes, keys: list[Key]) -> list[bytes]:
    found = []
    for key in keys:
        try:
            found.append(key.open_bytes(data))
        except SealBroken:
            continue
    return found


async def delete_records(stack: Stack, *topics: str) -> None:
    """What these topics' retention does after its time."""
    consumer: Any = AIOKafkaConsumer(*topics, bootstrap_servers=stack.endpoints["kafka"])
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=stack.endpoints["kafka"])
    await consumer.start()
    await admin.start()
    try:
        places = [TopicPartition(t, p) for t in topics for p in consumer.partitions_for_topic(t) or ()]
        ends = await consumer.end_offsets(places)
        await admin.delete_records({place: RecordsToDelete(before_offset=end) for place, end in ends.items() if end})
    finally:
        await admin.close()
        await consumer.stop()


async def expire_intake_keys(stack: Stack) -> None:
    """Their time is over; MongoDB itself deletes them, as it does in production."""
    async with _mongo(stack) as client:
        await client.admin.command({"setParameter": 1, "ttlMonitorSleepSecs": 1})
        past: dict[str, Any] = {
            "$set": {"expires": {"$dateSubtract": {"startDate": "$$NOW", "unit": "day", "amount": 1}}}
        }
        await client["keys"]["data_keys"].update_many({"expires": {"$exists": True}}, [past])
