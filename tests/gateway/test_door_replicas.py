"""Two replicas of the REST door, which know of one another only through the store: a key is taken once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import make, support
from tests.gateway.process import ec_key, new_key

from lendrail.gateway.app import build
from lendrail.gateway.settings import Settings


@pytest.fixture
async def replicas(
    mongo: str, database_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[list[httpx.AsyncClient], Any]]:
    """A caller for each of two gateways without Kafka, and the applications that they store."""
    owners = ("validation", "documents", "submission", "status", "notifications")
    told = support.environment(
        tmp_path,
        mongo=mongo,
        prefix=database_prefix,
        issuer_key_file=str(ec_key(tmp_path, "issuer.jwk")),
        **{f"{owner}_url": "http://127.0.0.1:1" for owner in owners},
    )
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    made = [build(Settings()) for _ in range(2)]
    for service, _ in made:
        for prepare in service._prepare:
            await prepare()
    async with AsyncExitStack() as open_ones:
        callers = []
        for _, app in made:
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test")
            callers.append(await open_ones.enter_async_context(client))
            form, login = {"grant_type": "client_credentials"}, ("demo-upstream", support.CLIENT_SECRET)
            token = (await client.post("/oauth/token", data=form, auth=login)).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
        yield callers, made[0][0].database["applications"]
    for name in ("gateway", "keys"):
        await made[0][0].client.drop_database(database_prefix + name)
    for service, _ in made:
        await service.client.close()


async def test_a_key_is_taken_once_whichever_replica_is_asked(
    replicas: tuple[list[httpx.AsyncClient], Any],
) -> None:
    callers, stored = replicas
    for at_once in (True, False):
        body, key = make.application_json(notes=f"asked at once: {at_once}"), new_key()
        asked = [caller.post("/v1/applications", json=body, headers=key) for caller in callers]
        answers = await asyncio.gather(*asked) if at_once else [await each for each in asked]
        answers.append(await callers[1].post("/v1/applications", json=body, headers=key))
        taken = await stored.count_documents({"idempotency": key["Idempotency-Key"]})
        assert taken == 1, f"{taken} applications under one key"
        assert {each.status_code for each in answers} <= {202, 409}
        assert len({each.json()["applicationId"] for each in answers if each.status_code == 202}) == 1
