"""A burst at the gateway: who sends it is told to come back, others and partners are served, and health is shown."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests import make
from tests.gateway.process import Gateway, new_key
from tests.support import CREDENTIAL, WEBHOOK_PATH

PLACES = 8
SHARE = PLACES * 3 // 4
DECLARED = 60_000
"""Bytes of a body that never comes."""


@pytest.fixture
async def gateway(tmp_path: Path, kafka: str, mongo: str, topics: None) -> AsyncIterator[Gateway]:
    running = Gateway(
        tmp_path,
        kafka=kafka,
        mongo=mongo,
        prefix=f"v{uuid.uuid4().hex[:8]}_",
        requests_at_once=str(PLACES),
        webhooks_at_once=str(PLACES),
        body_seconds="15",
    ).start()
    running.wait_ready()
    yield running
    running.stop()


async def half(gateway: Gateway, path: str, bearer: str = "") -> asyncio.StreamWriter:
    """A request that holds its place: its body does not come."""
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {DECLARED}\r\n"
    more = f"Authorization: {bearer}\r\nIdempotency-Key: {uuid.uuid4()}\r\n" if bearer else ""
    writer.write(f"{head}{more}\r\n".encode())
    await writer.drain()
    return writer


def told_to_come_back(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert 1 <= int(answer.headers["retry-after"]) <= 4


async def test_one_tenants_burst_leaves_room_for_the_other_for_partners_and_for_health(gateway: Gateway) -> None:
    sample = make.application_json()
    async with gateway.caller() as loud, gateway.caller("other-upstream") as quiet:
        bearer = loud.headers["authorization"]
        held = [await half(gateway, "/v1/applications", bearer) for _ in range(SHARE)]
        await asyncio.sleep(0.3)
        told_to_come_back(await loud.post("/v1/applications", json=sample, headers=new_key()), 429, "too-many-requests")
        told_to_come_back(await loud.get("/v1/applications"), 429, "too-many-requests")
        told_to_come_back(await loud.get("/v1/partners"), 429, "too-many-requests")  # another service's route
        assert (await quiet.get("/v1/applications")).status_code == 200
        called = await quiet.post(f"/webhooks/forward-financing/{WEBHOOK_PATH}", json={"lead_id": "1"})
        assert called.status_code == 200, called.text
        assert [(await quiet.get(path)).status_code for path in ("/live", "/ready")] == [200, 200]
        for writer in held:
            writer.close()
        await asyncio.sleep(0.3)
        assert (await loud.get("/v1/applications")).status_code == 200


async def test_a_partners_flood_takes_no_place_of_applications(gateway: Gateway) -> None:
    place = f"/webhooks/forward-financing/{WEBHOOK_PATH}"
    async with gateway.caller() as caller:
        held = [await half(gateway, place) for _ in range(SHARE)]
        await asyncio.sleep(0.3)
        told_to_come_back(await caller.post(place, json={"lead_id": "2"}), 503, "overloaded")
        made = await caller.post("/v1/applications", json=make.application_json(), headers=new_key())
        assert made.status_code == 202, made.text
        shown = (await caller.get("/v1/webhooks/rejected", params={"reason": "overloaded"})).json()["items"]
        assert [(each["credential"], each["calls"]) for each in shown] == [(CREDENTIAL, 1)], "what is turned away too"
        for writer in held:
            writer.close()


async def test_a_refused_application_is_taken_when_it_comes_again(gateway: Gateway) -> None:
    """Nothing of it was kept: neither its key nor a trace."""
    sample, key = make.application_json(), new_key()
    async with gateway.caller() as caller:
        held = [await half(gateway, "/v1/applications", caller.headers["authorization"]) for _ in range(SHARE)]
        await asyncio.sleep(0.3)
        told_to_come_back(await caller.post("/v1/applications", json=sample, headers=key), 429, "too-many-requests")
        for writer in held:
            writer.close()
        await asyncio.sleep(0.3)
        taken = await caller.post("/v1/applications", json=sample, headers=key)
        assert taken.status_code == 202
        assert "idempotency-replayed" not in taken.headers
