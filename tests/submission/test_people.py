"""People's minimum over HTTP: what waits for them, and binding a partner's id, with who and why."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.submission.callers import as_
from tests.submission.desk import Desk

from lendrail.contracts.submit import Submit

pytestmark = pytest.mark.asyncio


async def lost(desk: Desk, *contents: bytes) -> Submit:
    """An application that the partner has under an id that we do not know."""
    desk.sandbox.dial(kind="drop_reply", operation="lead", times=1)
    event = await desk.submit(*contents)
    async with desk.lanes():
        await desk.until(event, "submitted-id-unknown", *["planned"] * len(contents))
    return event


def bind(attempt: str, key: str = "key-1", **body: Any) -> dict[str, Any]:
    content = {"outcome": "partner-id", "partnerId": "FAKE.lead-1", "reason": "told by phone"} | body
    return {"url": f"/v1/attempts/{attempt}/resolve", "headers": {"Idempotency-Key": key}, "json": content}


async def test_bound_id_sends_the_waiting_documents(desk: Desk, http: httpx.AsyncClient) -> None:
    event = await lost(desk, b"fake sheet")
    listed = (await http.get("/v1/attempts", params={"state": "id-unknown"})).json()["items"]
    create = await desk.create(event)
    assert [(each["id"], each["reference"], each["state"]) for each in listed] == [
        (create.id, create.id, "submitted-id-unknown")
    ]
    lead = (await desk.ledger(event))["leads"][0]["leadId"]
    reply = await http.post(**bind(create.id, partnerId=lead))
    assert reply.status_code == 200, reply.text
    async with desk.lanes():
        await desk.until(event, "acked", "acked")
    assert len((await desk.ledger(event))["attachments"]) == 1
    bound = (await desk.acks(event))[-2]
    assert (bound.outcome, bound.partner_id) == ("id-bound", lead)
    (entry,) = (await desk.opportunity(event)).audit
    assert (entry["who"], entry["about"]["outcome"], entry["about"]["partnerId"]) == (
        "demo-operator",
        "partner-id",
        lead,
    )
    assert (await desk.key(event)).open(entry["why"]) == "told by phone"


async def test_not_sent_goes_again_under_the_same_reference_after_it_is_settled(
    desk: Desk, http: httpx.AsyncClient
) -> None:
    desk.sandbox.dial(kind="status", operation="lead", status=409)
    event = await desk.submit(b"fake sheet")
    async with desk.lanes():
        await desk.until(event, "parked", "planned")
    desk.sandbox.reset()
    create = await desk.create(event)
    told = bind(create.id, outcome="not-sent")
    del told["json"]["partnerId"]
    assert (await http.post(**told)).status_code == 200
    waiting = await desk.create(event)
    assert (waiting.generation, waiting.known_as, waiting.state) == (2, create.id, "prepared")
    (entry,) = (await desk.opportunity(event)).audit
    about = {"attempt": create.id, "was": "parked", "outcome": "not-sent"}
    assert (entry["who"], entry["what"], entry["about"]) == ("demo-operator", "attempt-resolved", about)
    assert (await desk.key(event)).open(entry["why"]) == "told by phone"
    assert waiting.due is not None
    async with desk.lanes():
        await desk.until(event, "cancelled", "acked", "acked", seconds=30)
    ledger = await desk.ledger(event)
    assert [each["reference"] for each in ledger["leads"]] == [create.id]
    assert len(ledger["attachments"]) == 1


async def test_sent_elsewhere_settles_it_without_an_id(desk: Desk, http: httpx.AsyncClient) -> None:
    event = await lost(desk, b"fake sheet")
    told = bind((await desk.create(event)).id, outcome="sent-elsewhere")
    assert (await http.post(**told)).status_code == 422, "an id belongs to its own outcome"
    del told["json"]["partnerId"]
    assert (await http.post(**told)).status_code == 200
    assert await desk.states(event) == ["acked", "cancelled"]
    assert (await desk.acks(event))[-1].outcome == "accepted-id-unknown"


async def test_what_partners_refuse_often_is_proposed_as_a_rule(desk: Desk, http: httpx.AsyncClient) -> None:
    events = [await desk.submit() for _ in range(3)]
    problem = {"pointer": "/owners/0/ssn", "code": "refused", "message": "ssn: is invalid"}
    for event in events:
        found = await desk.opportunity(event)
        assert found.create is not None
        await desk.store.save(found.put(replace(found.create, problems=(problem,))))
    assert (await http.get("/v1/refusals")).json() == {
        "items": [
            problem | {"partner": "forward-financing", "operation": "create", "applications": 3, "proposed": True}
        ]
    }


async def test_same_key_same_answer_other_body_422_other_key_409(desk: Desk, http: httpx.AsyncClient) -> None:
    create = await desk.create(await lost(desk))
    first = await http.post(**bind(create.id))
    again = await http.post(**bind(create.id))
    assert (first.status_code, again.json()) == (200, first.json())
    other = await http.post(**bind(create.id, partnerId="FAKE.lead-2"))
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    late = await http.post(**bind(create.id, "key-2", partnerId="FAKE.lead-2"))
    assert (late.status_code, late.json()["code"]) == (409, "not-resolvable")


async def test_one_id_belongs_to_one_application(desk: Desk, http: httpx.AsyncClient) -> None:
    one, two = await desk.create(await lost(desk)), await desk.create(await lost(desk))
    assert (await http.post(**bind(one.id, "key-1"))).status_code == 200
    taken = await http.post(**bind(two.id, "key-2"))
    assert (taken.status_code, taken.json()["code"]) == (409, "partner-id-taken")
    assert (await http.post(**bind(two.id, "key-2", partnerId="FAKE.lead-2"))).status_code == 200


@pytest.mark.parametrize(("caller", "status"), [("reader", 403), ("stranger", 404), ("live", 404), ("nobody", 401)])
async def test_only_operators_of_the_tenant_and_mode(
    desk: Desk, http: httpx.AsyncClient, caller: str, status: int
) -> None:
    create = await desk.create(await lost(desk))
    request = bind(create.id)
    request["headers"] |= as_(caller)
    assert (await http.post(**request)).status_code == status
    if status == 404:
        page = await http.get("/v1/attempts", params={"state": "id-unknown"}, headers=as_(caller))
        assert page.json() == {"items": []}


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"partnerId": ""}, ["/partnerId"]),
        ({"partnerId": "a b"}, ["/partnerId"]),
        ({"reason": "  ", "extra": 1}, ["/reason", "/extra"]),
    ],
)
async def test_body_is_strict(desk: Desk, http: httpx.AsyncClient, body: dict[str, Any], pointers: list[str]) -> None:
    reply = await http.post(**bind("any", **body))
    assert reply.status_code == 422
    assert [each["pointer"] for each in reply.json()["errors"]] == pointers


async def test_key_is_required_and_parked_before_sending_cannot_be_bound(desk: Desk, http: httpx.AsyncClient) -> None:
    desk.tenants(enabled=False)
    event = await desk.submit()
    create = await desk.create(event)
    request = bind(create.id)
    assert (await http.post(**request | {"headers": {}})).json()["code"] == "idempotency-key-missing"
    assert (await http.post(**request)).json()["code"] == "not-resolvable"


async def test_pages_show_each_attempt_once(desk: Desk, http: httpx.AsyncClient) -> None:
    desk.sandbox.dial(kind="status", operation="lead", status=409)
    events = [await desk.submit() for _ in range(5)]
    async with desk.lanes():
        for event in events:
            await desk.until(event, "parked")
    seen: list[str] = []
    token: str | None = ""
    while token is not None:
        query = {"state": "parked", "pageSize": "2"} | ({"pageToken": token} if token else {})
        page = (await http.get("/v1/attempts", params=query)).json()
        seen += [each["id"] for each in page["items"]]
        token = page.get("nextPageToken")
    assert sorted(seen) == sorted([(await desk.create(event)).id for event in events])
    assert len(seen) == 5
    for wrong in ({"state": "sent"}, {"pageSize": "0"}, {"pageSize": "x"}, {"pageToken": "!"}):
        assert (await http.get("/v1/attempts", params=wrong)).status_code == 422
