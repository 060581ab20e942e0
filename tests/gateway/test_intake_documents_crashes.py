"""Killed around the upload of a file from Kafka: one document and one amendment all the same."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from pymongo import AsyncMongoClient
from tests import make, support
from tests.gateway.papers import Papers, Upstream, pdf
from tests.gateway.process import Gateway, new_key
from tests.gateway.test_amending_crashes import _dead, _published
from tests.gateway.test_intake_amendments import amended


@pytest.mark.parametrize("point", ["store.changes.after", "intake.file.brought", "store.applications.after"])
async def test_killed_around_the_upload(tmp_path: Path, kafka: str, mongo: str, topics: None, point: str) -> None:
    prefix = f"c{uuid.uuid4().hex[:8]}_"
    gateway = Gateway(tmp_path, kafka=kafka, mongo=mongo, prefix=prefix).start()
    papers = Papers(gateway, tmp_path).start()
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo)
    stored = client[f"{prefix}gateway"]
    try:
        gateway.wait_ready(60)
        async with gateway.caller() as caller:
            answer = await caller.post("/v1/applications", json=make.application_json(), headers=new_key())
        application, content = str(answer.json()["applicationId"]), pdf(100_000)
        calm = {"_id": application, "pending": {"$exists": False}}
        await support.eventually(lambda: stored["applications"].count_documents(calm))
        gateway.stop()
        gateway.environment["LENDRAIL_FAULT_AT"] = point
        gateway.start().wait_ready(60)
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            upstream = Upstream(producer, gateway.intake_key)
            event = await upstream.brings(application, content)
            await support.eventually(lambda: _dead(gateway), 60)
            del gateway.environment["LENDRAIL_FAULT_AT"]
            gateway.start().wait_ready(60)
            await amended(stored, application, 1)
            await upstream.brings(application, content, event)
        await support.eventually(lambda: stored["changes"].count_documents({"result": "stored"}), 30)
        assert len(set(await _published(kafka, application))) == 1
        document = await stored["applications"].find_one({"_id": application})
        assert document is not None
        assert (document["revision"], len(document["outbox"]), len(document["amendments"])) == (2, 2, 1)
        assert await client[f"{prefix}documents"]["fs.files"].count_documents({}) == 1
        assert await stored["changes"].count_documents({}) == 1
    finally:
        papers.stop()
        gateway.stop()
        await client.close()
