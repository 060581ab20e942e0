"""The desk of the whole service on an in-memory broker and a real MongoDB: what events bring there, and that what
people do is in the audit.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from faststream.kafka import TestKafkaBroker
from joserfc.jwk import KeySet
from tests import make, support
from tests.status.bench import PARTNER, Collector, Deal, settings
from tests.status.deskwork import REASON, WORD, unknown
from tests.status.reading import ISSUER, KEY, bearer

from lendrail.contracts.event import Event
from lendrail.runtime.broker import make_broker
from lendrail.runtime.service import Service
from lendrail.runtime.tasks import end
from lendrail.runtime.tokens import Verifier
from lendrail.status.app import NAME, build

pytestmark = pytest.mark.asyncio


class Running:
    def __init__(self, service: Service, client: httpx.AsyncClient) -> None:
        self.service, self.client = service, client

    async def hear(self, *events: Event) -> None:
        for event in events:
            key = (await self.service.vault.create([event.key_id]))[event.key_id]
            record = make.record(event, key)
            headers = {name: value.decode() for name, value in record.headers}
            await self.service.broker.publish(record.value, topic=record.topic, key=record.key, headers=headers)

    async def desk(self, path: str = "") -> Any:
        answer = await self.client.get(f"/v1/desk{path}", headers=bearer("operator"))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, **body: str) -> dict[str, Any]:
        headers = bearer("operator") | {"Idempotency-Key": str(uuid.uuid4()), "X-Request-Id": "r-9"}
        answer = await self.client.post(f"/v1/desk{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
        told: dict[str, Any] = answer.json()
        return told


@pytest.fixture
async def running(
    mongo: str, database_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    told = settings(tmp_path, monkeypatch.setenv, mongo=mongo, prefix=database_prefix, instance="status-1")

    async def keys() -> KeySet:
        return KeySet([KEY])

    broker = make_broker(told, NAME)
    service, app = build(told, verifier=Verifier(ISSUER, keys), broker=broker, publisher=Collector())
    for action in service._prepare:
        await action()
    transport = httpx.ASGITransport(app)
    async with (
        TestKafkaBroker(broker),
        httpx.AsyncClient(transport=transport, base_url="http://status.test") as client,
    ):
        loops = [asyncio.create_task(run()) for run in service._loops]
        yield Running(service, client)
        await end(loops)
    for name in (NAME, "keys", "partners"):
        await service.client.drop_database(database_prefix + name)
    with contextlib.suppress(RuntimeError):
        await service.http.aclose()
    await service.client.close()


async def test_what_events_bring_to_the_desk_and_what_people_did_is_in_the_audit(running: Running) -> None:
    first, second, silent = Deal(), Deal(), Deal()
    await running.hear(first.validated(), second.validated(), unknown(first), silent.ack("accepted-id-unknown"))
    await running.hear(silent.webhook("FAKE-77"))
    overview = await running.desk()
    assert {name: each["count"] for name, each in overview.items()} == {
        "words": 1,
        "orphans": 1,
        "disagreements": 0,
        "duplicates": 2,
    }, "the same wish, and the same reference"
    mapped = await running.post("/words", partner=PARTNER, word=WORD, status="declined", reason=REASON)
    orphan = (await running.desk("/orphans"))["orphans"][0]["id"]
    merged = await running.post(f"/orphans/{orphan}/merge", opportunityId=str(silent.id), reason=REASON)
    assert merged["heard"] == "noted", "an unsigned call proves nothing, and without its id nobody can be asked"

    async def done() -> bool:
        counts = [each["count"] for each in (await running.desk()).values()]
        return counts == [0, 0, 0, 0] and (await running.desk(f"/words/{mapped['id']}"))["folding"] == "done"

    await support.eventually(done)

    async def chained() -> Any:
        answer = await running.client.get("/v1/audit", headers=bearer("operator"))
        return len(answer.json()["items"]) == 2 and answer.json()["items"]

    items: list[dict[str, Any]] = await support.eventually(chained)
    told = [(each["what"], each["who"], each["why"], each["requestId"], each["service"]) for each in items]
    assert told == [
        ("orphan-merged", "test", REASON, "r-9", "status"),
        ("word-mapped", "test", REASON, "r-9", "status"),
    ]
    assert WORD not in str(items)
    assert items[0]["about"] == {"orphan": orphan, "laterCalls": "follow"}
    await support.linked("status", running.service.database)
