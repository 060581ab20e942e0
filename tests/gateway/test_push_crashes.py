"""Killed while it takes calls by Kafka, or left by its store: each call is kept once, and told of."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from pymongo import AsyncMongoClient
from tests import support
from tests.gateway.process import Gateway
from tests.gateway.test_push import CALLS, files, heard, told
from tests.gateway.test_push import pushed as pushed

from lendrail.contracts.topics import PUSH
from lendrail.runtime.faults import STRUCK

FAULTS = ("store.webhooks.before", "store.webhooks.after", "store.webhooks.before:error", "store.webhooks.after:error")
EACH = 20


@pytest.mark.usefixtures("pushed")
async def test_a_call_is_kept_once_whatever_happens_meanwhile(
    tmp_path: Path, kafka: str, mongo: str, database_prefix: str
) -> None:
    gateway = Gateway(tmp_path, kafka=kafka, mongo=mongo, prefix=database_prefix, **files(tmp_path))
    files(tmp_path)
    gateway.environment["LENDRAIL_INSTANCE"] = f"gateway-{uuid.uuid4().hex[:6]}"
    client: AsyncMongoClient[Any] = AsyncMongoClient(mongo)
    stored, sent = client[f"{database_prefix}gateway"]["webhooks"], list[str]()

    async def kept() -> list[str]:
        return [json.loads(each["outbox"][0]["value"])["foreignId"] async for each in stored.find()]

    try:
        for fault in FAULTS:
            gateway.environment["LENDRAIL_FAULT_AT"] = fault
            before = gateway.log.stat().st_size if gateway.log.exists() else 0
            gateway.start().wait_ready(60)
            async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
                for lead in (str(uuid.uuid4()) for _ in range(EACH)):
                    sent.append(lead)
                    await producer.send(PUSH.name(CALLS), told(lead))

            async def all_kept(fault: str = fault) -> bool:
                if gateway.ended:
                    assert "error" not in fault, "an outage ends nothing"
                    gateway.environment.pop("LENDRAIL_FAULT_AT", None)
                    gateway.start().wait_ready(60)
                return set(await kept()) >= set(sent)

            await support.eventually(all_kept, 45)
            assert STRUCK in gateway.log.read_text()[before:], fault
            gateway.stop()
        assert sorted(await kept()) == sorted(sent)
        events = await heard(kafka, "partner-webhook", lambda record: _deal(record) in sent, len(sent))
        assert {_deal(each) for each in events} == set(sent)
        assert len({json.loads(each.value)["webhookId"] for each in events}) == len(sent), "once, by its id"
    finally:
        gateway.stop()
        await client.drop_database(f"{database_prefix}gateway")
        await client.close()


def _deal(record: Any) -> str | None:
    found: str | None = json.loads(record.value).get("foreignId")
    return found
