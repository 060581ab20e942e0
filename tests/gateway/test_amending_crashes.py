"""Killed around the write of an amendment: it is there whole or not at all, and its key gives one answer."""

import contextlib
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from pymongo import AsyncMongoClient
from tests import make, support
from tests.gateway.process import Gateway, new_key

from lendrail.contracts.application_amended import ApplicationAmended


async def _dead(gateway: Gateway) -> bool:
    return gateway.ended


async def _withdraw(gateway: Gateway, application: str, key: dict[str, str]) -> httpx.Response | None:
    async with gateway.caller() as caller:
        with contextlib.suppress(httpx.HTTPError):
            path = f"/v1/applications/{application}/withdraw"
            return await caller.post(path, json={"reason": "changed plans"}, headers=key)
    return None


async def _published(kafka: str, application: str) -> list[bytes]:
    """What stands in the topic about this application; waits for the first."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    consumer.assign(await support.places(kafka, ApplicationAmended.topic))
    await consumer.seek_to_beginning()
    found: list[bytes] = []

    async def there() -> bool:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            found.extend(record.value for record in records if record.key == application.encode())
        return bool(found)

    try:
        await support.eventually(there, 40)
    finally:
        await consumer.stop()
    return found


@pytest.mark.parametrize(
    ("point", "revision"),
    [("store.applications.before", 1), ("store.applications.after", 2), ("publish.before", 2), ("publish.after", 2)],
)
async def test_killed_around_the_write(
    tmp_path: Path, kafka: str, mongo: str, topics: None, point: str, revision: int
) -> None:
    prefix = f"c{uuid.uuid4().hex[:8]}_"
    places = {"kafka": kafka, "mongo": mongo, "prefix": prefix}
    first = Gateway(tmp_path, **places).start()
    first.wait_ready()
    async with first.caller() as caller:
        made = await caller.post("/v1/applications", json=make.application_json(), headers=new_key())
    application, key = str(made.json()["applicationId"]), new_key()
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo)
    stored = client[f"{prefix}gateway"]["applications"]

    async def sent() -> bool:
        return bool(await stored.count_documents({"_id": application, "pending": {"$exists": False}}))

    await support.eventually(sent)
    first.stop()
    killed = Gateway(tmp_path, **places, fault_at=point).start()
    killed.wait_ready()
    await _withdraw(killed, application, key)
    await support.eventually(lambda: _dead(killed))
    document = await stored.find_one({"_id": application})
    assert document is not None
    assert (document["revision"], len(document["outbox"])) == (revision, revision)
    assert len(document.get("amendments", [])) == revision - 1
    last = Gateway(tmp_path, **places).start()
    try:
        last.wait_ready()
        answer = await _withdraw(last, application, key)
        assert answer is not None
        assert (answer.status_code, answer.json()["revision"]) == (202, 2)
        assert ("idempotency-replayed" in answer.headers) == (revision == 2)
        records = await _published(kafka, application)
        assert len(set(records)) == 1
    finally:
        last.stop()
        await client.close()
