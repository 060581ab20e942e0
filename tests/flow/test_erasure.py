"""One person is erased, another one is not: then everything that is stored is opened with every key that is left."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from tests.flow.opening import delete_records, expire_intake_keys, keys_of, readable
from tests.flow.stack import Stack, loan, opportunity, post, reached, seen, until
from tests.flow.test_life import amend, upload
from tests.flow.test_privacy import planted

INTAKE = "intake-demo-crm"
PATIENCE = 60
TTL_ROUND = 60
"""Seconds after which MongoDB looks for documents whose time is over."""


@pytest.fixture(scope="module")
def own_stack(new_stack: Callable[[], Stack]) -> Stack:
    """Of our own: here all intake keys come to their end."""
    return new_stack().up("--no-rate-limit")


async def _life(stack: Stack, client: httpx.AsyncClient) -> tuple[str, list[str], str]:
    """Sent, asked for a paper, uploaded, an offer accepted; the canaries in it, and its number at its upstream."""
    application, marks = planted()
    application["requestedFinance"]["amount"]["amount"] = "24002"
    application["targetPartners"] = ["forward-financing", "reference-partner"]
    number = "Zq" + uuid.uuid4().hex
    application["externalReferences"] = [{"system": "test", "kind": "deal", "value": number}]
    application_id = await post(client, application)
    await until(client, application_id, reached("info-required"), PATIENCE)
    await upload(client, application_id, b"%PDF-1.4\n%" + marks[0].encode() + b"\ntrailer<</Root 1 0 R>>\n%%EOF\n")
    view = await until(client, application_id, reached("approved"), PATIENCE)
    offer = {"offerId": opportunity(view)["offers"][0]["id"], "reported": True}
    await amend(client, "POST", f"/v1/opportunities/{opportunity(view)['opportunityId']}/accept", json=offer)
    await until(client, application_id, reached("accepted"), PATIENCE)
    return application_id, marks, number


async def _dead_letter(stack: Stack, words: str) -> None:
    """A record that cannot be read, and names a person in clear."""
    producer: Any = AIOKafkaProducer(bootstrap_servers=stack.endpoints["kafka"])
    await producer.start()
    await producer.send_and_wait(INTAKE, json.dumps({"half": words}).encode(), headers=[("ce_id", b"1")])
    await producer.stop()


async def _eventually(check: Callable[[], Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not await check():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.5)


async def test_nobody_can_read_an_erased_person_from_all_data_and_all_keys(own_stack: Stack, tmp_path: Path) -> None:
    stack = own_stack
    async with stack.client() as client:
        (gone, marks, number), (kept, others, _) = await _life(stack, client), await _life(stack, client)
        await _dead_letter(stack, marks[1])
        sealed, imported = planted()
        (tmp_path / "one.json").write_text(json.dumps([sealed]))
        stack.lendrail("publish", str(tmp_path / "one.json"))
        before = await readable(stack, marks)
        assert before >= {
            "gateway.applications", "documents.fs.chunks", "submission.opportunities",
            "kafka.application-received", "kafka.submit", f"kafka.{INTAKE}-dlq",
        }, "with the keys it can be read: the scan sees it"  # fmt: skip
        await _erased(client, gone, marks)
        await expire_intake_keys(stack)

        async def destroyed() -> bool:
            return not any(each.id.startswith("intake-") for each in await keys_of(stack))

        await _eventually(destroyed, 2 * TTL_ROUND)
        await delete_records(stack, INTAKE)
        assert await readable(stack, marks) == set()
        open_numbers = await readable(stack, [number])
        assert {place for place in open_numbers if not place.startswith("kafka.")} == set()
        assert await readable(stack, others) >= {"gateway.applications", "kafka.submit"}, "the other one is there"
        assert imported, "and what came by Kafka"
        await _goes_on(stack, client, gone, kept)


async def _erased(client: httpx.AsyncClient, application_id: str, marks: list[str]) -> None:
    path, key = f"/v1/applications/{application_id}/erase", {"Idempotency-Key": str(uuid.uuid4())}
    body = {"reason": "requested-by-person"}
    refused = await client.post(path, json=body, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (409, "still-open")
    assert not any(mark in refused.text for mark in marks)
    done = await client.post(path, json=body | {"evenIfOpen": True}, headers={"Idempotency-Key": str(uuid.uuid4())})
    assert (done.status_code, done.json()["status"]) == (200, "erased"), done.text


async def _goes_on(stack: Stack, client: httpx.AsyncClient, gone: str, kept: str) -> None:
    """State `erased` everywhere, nothing crashes, and new work is done."""
    assert (await seen(client, gone))["status"] == "erased"
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    late = await client.post(f"/v1/applications/{gone}/withdraw", json={"reason": "x"}, headers=headers)
    assert (late.status_code, late.json()["code"]) == (410, "erased")
    listed = (await client.get("/v1/applications", params={"status": "erased"})).json()["items"]
    assert [each["applicationId"] for each in listed] == [gone]
    assert opportunity(await seen(client, kept))["status"] == "accepted"
    for service in ("gateway", "validation", "documents", "submission", "status", "notifications"):
        stack.restart(service)
    await until(client, await post(client, loan("30000")), reached("approved"), PATIENCE)
    assert (await seen(client, gone))["status"] == "erased"
