"""The way of one application, from both doors to the notice, on real Kafka, MongoDB, SMTP and sockets."""

import asyncio
import json
import uuid
from pathlib import Path

import httpx
import pytest
from tests.flow.stack import PARTNER, Stack, loan, opportunity, post, reached, until


async def test_an_application_is_approved_and_everybody_knows(stack: Stack, client: httpx.AsyncClient) -> None:
    application_id = await post(client, loan("30000"))
    view = await until(client, application_id, reached("approved"))
    deal = opportunity(view)
    assert deal["offers"][0]["amount"] == {"amount": "24000", "currency": "USD"}
    assert deal["documentsSent"]
    events = [entry["event"] for entry in view["timeline"]]
    assert {"application-received", "application-validated", "status-updated"} <= set(events)
    (lead,) = [lead for lead in stack.ledger()["leads"] if lead["leadId"] == deal["partnerId"]]
    attachments = [each for each in stack.ledger()["attachments"] if each["leadId"] == lead["leadId"]]
    assert len(attachments) == 1

    async def mailed() -> bool:
        return any(application_id in mail.read_text() for mail in Path(stack.endpoints["mail"]).glob("*.eml"))

    async with asyncio.timeout(20):
        while not await mailed():
            await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("amount", "status"), [("30001", "declined"), ("30002", "info-required"), ("30003", "in-review")]
)
async def test_each_answer_of_the_partner_is_shown(
    stack: Stack, client: httpx.AsyncClient, amount: str, status: str
) -> None:
    view = await until(client, await post(client, loan(amount)), reached(status))
    deal = opportunity(view)
    if status == "declined":
        assert deal["declineReasons"]
        assert all(reason["words"] for reason in deal["declineReasons"])
    if status == "info-required":
        assert deal["missingInfo"]


async def test_what_the_schema_can_tell_is_told_at_once_and_nothing_is_stored(client: httpx.AsyncClient) -> None:
    application = loan("30000", reference=(reference := str(uuid.uuid4())))
    application["owners"][0]["ssn"] = "12-canary-34"
    application["owners"][0]["favouriteColour"] = "blue-canary"
    application["requestedFinance"]["amount"]["amount"] = 5
    reply = await client.post("/v1/applications", json=application, headers={"Idempotency-Key": reference})
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    pointers = {error["pointer"] for error in reply.json()["errors"]}
    assert {"/owners/0/ssn", "/owners/0/favouriteColour", "/requestedFinance/amount/amount"} <= pointers
    assert "canary" not in reply.text
    found = await client.get("/v1/applications", params={"reference": reference})
    assert found.json()["items"] == []


async def test_what_is_found_later_is_a_rejection_with_every_problem(client: httpx.AsyncClient) -> None:
    application = loan("30000")
    application["owners"][0]["ownershipPercent"] = "80"
    application["owners"][1]["ownershipPercent"] = "70"
    application["business"]["startDate"] = "2999-01-01"
    application_id = await post(client, application)
    view = await until(client, application_id, lambda seen: seen["status"] == "invalid")
    assert len(view["problems"]) >= 2


async def test_the_kafka_intake_ends_in_the_same_import(
    stack: Stack, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    good, bad = loan("30001", reference=f"good-{uuid.uuid4()}"), loan("30000", reference=f"bad-{uuid.uuid4()}")
    bad["owners"][0]["favouriteColour"] = "blue"
    file = tmp_path / "applications.json"
    file.write_text(json.dumps([good, bad]))
    stack.lendrail("publish", str(file))
    expected = {good["externalReferences"][0]["value"]: "declined", bad["externalReferences"][0]["value"]: "invalid"}
    for reference, status in expected.items():
        async with asyncio.timeout(30):
            while True:
                items = (await client.get("/v1/applications", params={"reference": reference})).json()["items"]
                if items:
                    break
                await asyncio.sleep(0.2)
        wanted = reached(status) if status == "declined" else lambda seen: seen["status"] == "invalid"
        view = await until(client, items[0]["applicationId"], wanted)
        if status == "invalid":
            assert "/owners/0/favouriteColour" in {problem["pointer"] for problem in view["problems"]}


async def test_a_partner_that_cannot_take_it_is_shown_with_reasons(client: httpx.AsyncClient) -> None:
    application = loan("30000")
    application["business"]["country"] = "GB"
    view = await until(client, await post(client, application), reached("ineligible"))
    assert any(problem["pointer"] == "/business/country" for problem in opportunity(view)["reasons"])


async def test_another_tenants_application_is_not_there(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"/v1/applications/{uuid.uuid4()}")).status_code == 404
    bare = httpx.AsyncClient(base_url=client.base_url, trust_env=False)
    assert (await bare.get(f"/v1/applications/{uuid.uuid4()}")).status_code == 401
    await bare.aclose()


async def test_partner_is_called_in_its_own_words(stack: Stack) -> None:
    """The ledger holds what the partner took; each call was one that its documentation names."""
    calls = {call["operation"] for call in stack.ledger()["calls"]}
    assert {"lead", "attachment", "deal_status", "webhook"} <= calls
    assert stack.ledger()["counts"]["leads"] == len({lead["reference"] for lead in stack.ledger()["leads"]})
    assert PARTNER in stack.endpoints["sandbox"]["partners"]
