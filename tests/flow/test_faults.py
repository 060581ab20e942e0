"""Servers away, replies lost, webhooks lost or early: nothing acknowledged is lost, nothing is sent twice."""

import asyncio
import uuid
from collections import Counter
from itertools import groupby
from typing import Any

import httpx
from tests.flow.stack import Stack, loan, opportunity, post, reached, until


def leads_of(stack: Stack, *references: str) -> Counter[str]:
    """How many leads the partner has for each reference of ours that it ever saw."""
    return Counter(lead["reference"] for lead in stack.ledger()["leads"])


async def approved(stack: Stack, client: httpx.AsyncClient, count: int) -> list[dict[str, Any]]:
    ids = await asyncio.gather(*(post(client, loan("30000")) for _ in range(count)))
    return [await until(client, each, reached("approved"), 60) for each in ids]


async def test_kafka_may_stop_while_applications_are_posted(stack: Stack, client: httpx.AsyncClient) -> None:
    stack.kill("kafka")
    ids = await asyncio.gather(*(post(client, loan("30000")) for _ in range(10)))
    stack.restart("kafka")
    for each in ids:
        await until(client, each, reached("approved"), 90)
    assert set(leads_of(stack).values()) == {1}


async def test_without_mongodb_the_door_says_when_to_come_again(stack: Stack, client: httpx.AsyncClient) -> None:
    key, application = str(uuid.uuid4()), loan("30000")
    stack.kill("mongo")
    reply = await client.post("/v1/applications", json=application, headers={"Idempotency-Key": key})
    assert reply.status_code == 503
    assert int(reply.headers["retry-after"]) > 0
    stack.restart("mongo")
    application_id = await post(client, application, key)
    await until(client, application_id, reached("approved"), 60)
    reference = application["externalReferences"][0]["value"]
    found = await client.get("/v1/applications", params={"reference": reference})
    assert len(found.json()["items"]) == 1


async def test_a_reply_lost_after_recording_never_makes_a_second_lead(stack: Stack, client: httpx.AsyncClient) -> None:
    stack.dial(kind="drop_reply", operation="lead", times=1)
    application_id = await post(client, loan("30000"))
    await until(client, application_id, reached("outcome-unknown"), 20)
    view = await until(client, application_id, reached("submitted"), 60)
    deal = opportunity(view)
    assert "partner-id-unknown" in deal["flags"]
    assert set(leads_of(stack).values()) == {1}
    listed = (await client.get("/v1/attempts", params={"state": "id-unknown"})).json()["items"]
    (attempt,) = [each for each in listed if each["opportunityId"] == deal["opportunityId"]]
    (lead,) = [lead for lead in stack.ledger()["leads"] if lead["reference"] == attempt["reference"]]
    reply = await client.post(
        f"/v1/attempts/{attempt['id']}/resolve",
        json={"outcome": "partner-id", "partnerId": lead["leadId"], "reason": "The partner confirmed it by phone."},
        headers={"Idempotency-Key": str(uuid.uuid4())},
    )
    assert reply.status_code in (200, 202), reply.text
    await until(client, application_id, reached("approved"), 60)
    await until(client, application_id, lambda seen: bool(opportunity(seen)["documentsSent"]), 60)


async def test_a_reply_lost_before_recording_is_sent_again_once(stack: Stack, client: httpx.AsyncClient) -> None:
    stack.dial(kind="refuse", operation="lead", times=1)
    application_id = await post(client, loan("30000"))
    await until(client, application_id, reached("approved"), 60)
    assert set(leads_of(stack).values()) == {1}


async def test_strange_answers_never_become_a_status(stack: Stack, client: httpx.AsyncClient) -> None:
    for kind in ({"kind": "html"}, {"kind": "truncated"}, {"kind": "status", "status": 503}, {"kind": "empty_422"}):
        stack.dial(**kind, operation="deal_status", times=2)
    application_id = await post(client, loan("30000"))
    view = await until(client, application_id, reached("approved"), 90)
    shown = [entry.get("status") for entry in view["timeline"] if entry.get("status")]
    assert set(shown) <= {"received", "submitting", "submitted", "in-review", "approved"}


async def test_webhooks_lost_doubled_and_early(stack: Stack, client: httpx.AsyncClient) -> None:
    for kind in ({"kind": "webhook_lost"}, {"kind": "webhook_duplicated", "copies": 3}, {"kind": "webhook_early"}):
        stack.dials_off()
        stack.dial(**kind)
        application_id = await post(client, loan("30000"))
        view = await until(client, application_id, reached("approved"), 60)
        shown = [entry["status"] for entry in view["timeline"] if entry["event"] == "status-updated"]
        turns = [
            status for status, _ in groupby(shown)
        ]  # an answer about a document may come later: a version, no turn
        assert turns.count("approved") == 1, (kind, turns)


async def test_a_burst_is_all_decided(stack: Stack, client: httpx.AsyncClient) -> None:
    views = await approved(stack, client, 40)
    assert len({opportunity(view)["partnerId"] for view in views}) == 40
