"""Killed on the way of an erasure: what was begun is finished by whoever comes next, and told once in the audit."""

import contextlib
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import AsyncMongoClient
from tests import make, support
from tests.forgotten import traces
from tests.gateway.process import Gateway, new_key
from tests.gateway.test_reads import Others


async def _dead(gateway: Gateway) -> bool:
    return gateway.ended


async def _erase(gateway: Gateway, application: str, key: dict[str, str]) -> httpx.Response | None:
    async with gateway.caller() as caller:
        with contextlib.suppress(httpx.HTTPError):
            path = f"/v1/applications/{application}/erase"
            return await caller.post(path, json={"reason": "legal-obligation"}, headers=key)
    return None


@pytest.mark.parametrize(
    ("point", "marked", "key_gone", "emptied"),
    [
        ("store.applications.before", False, False, False),
        ("store.applications.after", True, False, False),
        ("store.data_keys.before", True, False, False),
        ("store.data_keys.after", True, True, False),
        ("store.forgotten.before", True, True, True),
    ],
)
async def test_killed_on_the_way(
    tmp_path: Path, kafka: str, mongo: str, topics: None, point: str, marked: bool, key_gone: bool, emptied: bool
) -> None:
    prefix = f"e{uuid.uuid4().hex[:8]}_"
    places = {"kafka": kafka, "mongo": mongo, "prefix": prefix}
    first = Gateway(tmp_path, **places).start()
    first.wait_ready()
    async with first.caller() as caller:
        made = await caller.post("/v1/applications", json=make.application_json(), headers=new_key())
    application, key = str(made.json()["applicationId"]), new_key()
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo)
    database, keys = client[f"{prefix}gateway"], client[f"{prefix}keys"]["data_keys"]
    others = Others(first, kafka)
    data_key = await others.vault.get(application)

    async def sent() -> bool:
        done = {"_id": application, "pending": {"$exists": False}, "unchained": {"$exists": False}}
        return bool(await database["applications"].count_documents(done))

    await support.eventually(sent)
    first.stop()
    killed = Gateway(tmp_path, **places, fault_at=point).start()
    killed.wait_ready()
    await _erase(killed, application, key)
    await support.eventually(lambda: _dead(killed))
    document = await database["applications"].find_one({"_id": application}) or {}
    assert ("erasing" in document, not document["outbox"]) == (marked, emptied)
    assert bool(await keys.count_documents({"_id": application, "wrapped": {"$exists": False}})) == key_gone
    last = Gateway(tmp_path, **places).start()
    try:
        last.wait_ready()

        async def forgotten() -> bool:
            left = await database["applications"].find_one({"_id": application}) or {}
            return not left["outbox"] and "pending" not in left["erasing"] and "unchained" not in left

        if not marked:
            assert (await keys.find_one({"_id": application}) or {}).get("wrapped")
            answer = await _erase(last, application, key)
            assert answer is not None
            assert (answer.status_code, "idempotency-replayed" in answer.headers) == (200, False)
        await support.eventually(forgotten)
        again = await _erase(last, application, key)
        assert again is not None
        assert (again.status_code, again.headers.get("idempotency-replayed")) == (200, "true")
        document = await database["applications"].find_one({"_id": application}) or {}
        assert [each["what"] for each in document["audit"]] == ["application-received", "application-erased"]
        assert await database["audit"].count_documents({"entry.what": "application-erased"}) == 1
        assert await traces(database, data_key, ["Fakely"]) == []
    finally:
        last.stop()
        await others.client.close()
        await client.close()
