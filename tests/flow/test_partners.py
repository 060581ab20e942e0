"""Every channel the whole way on real servers: fan-out behind a registry, and unknown outcomes settled class by class.

The partners' own ledgers are the judges of what was sent how often.
"""

import asyncio
import uuid
from typing import Any

import httpx
from tests.flow.stack import Stack, deal, opportunity, post, seen, until

from lendrail.runtime.standing import LOOK_SECONDS

LENDERS = ("forward-financing", "finpace", "soap-lender", "reference-partner", "email-lender")


def paper() -> str:
    return f"INV-{uuid.uuid4()}"


def statuses(view: dict[str, Any]) -> dict[str, str]:
    return {each["partner"]: each["status"] for each in view["opportunities"]}


def at(partner: str, *wanted: str) -> Any:
    return lambda view: opportunity(view, partner).get("status") in wanted


async def taken(client: httpx.AsyncClient, stack: Stack, application_id: str, partner: str, key: str = "leads") -> int:
    """How often the partner has it, by the reference that our attempts carry."""
    view = await seen(client, application_id)
    mine = opportunity(view, partner)["opportunityId"]
    references = {each["reference"] for each in stack.ledger(partner)[key]}
    listed = []
    for state in ("parked", "id-unknown", "unknown"):
        page = (await client.get("/v1/attempts", params={"state": state, "pageSize": 200})).json()["items"]
        listed += [each.get("reference") for each in page if each["opportunityId"] == mine]
    return sum(each in references for each in listed)


async def attempt(client: httpx.AsyncClient, application_id: str, partner: str, state: str) -> dict[str, Any]:
    mine = opportunity(await seen(client, application_id), partner)["opportunityId"]
    page = (await client.get("/v1/attempts", params={"state": state, "pageSize": 200})).json()["items"]
    found: dict[str, Any] = next(each for each in page if each["opportunityId"] == mine)
    return found


def leads(stack: Stack, partner: str, reference: str) -> list[dict[str, Any]]:
    return [each for each in stack.ledger(partner)["leads"] if each["reference"] == reference]


async def test_five_partners_at_once_after_a_clear_registry_check(stack: Stack, client: httpx.AsyncClient) -> None:
    stack.dial("finpace", kind="outcome", operation="submit", outcome="decline", times=1)
    stack.dial("soap-lender", kind="outcome", operation="submit", outcome="missing", times=1)
    stack.dial("reference-partner", kind="outcome", operation="create", outcome="refer", times=1)
    wanted = {
        "forward-financing": "approved",
        "finpace": "declined",
        "soap-lender": "info-required",
        "reference-partner": "referred",
        "email-lender": "submitted",
        "monetago": "approved",
        "optimum-finance": "ineligible",
    }
    before = {partner: len(stack.ledger(partner)["leads"]) for partner in (*LENDERS, "monetago")}
    application_id = await post(client, deal("40000", *LENDERS, "optimum-finance", paper=paper()))
    view = await until(client, application_id, lambda view: statuses(view) == wanted, 90)
    assert view["status"] == "approved"
    assert {each["kind"] for each in view["opportunities"] if each["partner"] == "monetago"} == {"registry"}
    assert opportunity(view, "optimum-finance")["reasons"], "an ineligible partner says why"
    assert opportunity(view, "finpace")["source"] == "webhook"
    for partner in LENDERS:
        more = 2 if partner == "email-lender" else 1  # the SOAP lender's account also wants a mail for audit
        await asyncio.sleep(0)
        assert len(stack.ledger(partner)["leads"]) == before[partner] + more, partner


async def test_a_duplicate_at_the_registry_stops_every_lender_and_shows_the_match(
    stack: Stack, client: httpx.AsyncClient
) -> None:
    before = {partner: len(stack.ledger(partner)["leads"]) for partner in LENDERS}
    stack.dial("monetago", kind="outcome", operation="registrations", outcome="duplicate", times=1)
    application_id = await post(client, deal("40000", *LENDERS, paper=paper()))

    def stopped(view: dict[str, Any]) -> bool:
        return len(view["opportunities"]) == 6 and set(statuses(view).values()) == {"duplicate"}

    view = await until(client, application_id, stopped, 60)
    assert opportunity(view, "monetago")["matches"]
    assert "registry-duplicate" in opportunity(view, "soap-lender")["flags"]
    assert opportunity(view, "soap-lender")["reasons"][0]["code"] == "registry-duplicate"
    assert {partner: len(stack.ledger(partner)["leads"]) for partner in LENDERS} == before


async def test_a_lost_registration_is_searched_and_never_made_twice(stack: Stack, client: httpx.AsyncClient) -> None:
    stack.dial("monetago", kind="drop_reply", operation="registrations", times=1)
    application_id = await post(client, deal("40000", "forward-financing", paper=paper()))
    unknown = await until(client, application_id, at("monetago", "outcome-unknown"), 30)
    assert opportunity(unknown, "monetago")["plan"] == "look-up"
    assert opportunity(unknown, "monetago")["nextCheckAt"]
    view = await until(client, application_id, at("forward-financing", "approved"), 60)
    partner_id = opportunity(view, "monetago")["partnerId"]
    (lead,) = [each for each in stack.ledger("monetago")["leads"] if each["requestId"] == partner_id]
    assert len(leads(stack, "monetago", lead["reference"])) == 1


async def test_a_registration_that_never_arrived_is_made_after_two_looks(
    stack: Stack, client: httpx.AsyncClient
) -> None:
    stack.dial("monetago", kind="refuse", operation="registrations", times=1)
    application_id = await post(client, deal("40000", "forward-financing", paper=paper()))
    view = await until(client, application_id, at("monetago", "approved"), 90)
    partner_id = opportunity(view, "monetago")["partnerId"]
    (lead,) = [each for each in stack.ledger("monetago")["leads"] if each["requestId"] == partner_id]
    assert len(leads(stack, "monetago", lead["reference"])) == 1


async def test_a_keyed_partner_is_asked_with_the_same_key_and_has_it_once(
    stack: Stack, client: httpx.AsyncClient
) -> None:
    for partner, operation in (("finpace", "submit"), ("soap-lender", "submit"), ("reference-partner", "create")):
        stack.dial(partner, kind="drop_reply", operation=operation, times=1)
    partners = ("finpace", "soap-lender", "reference-partner")
    before = {partner: len(stack.ledger(partner)["leads"]) for partner in partners}
    application_id = await post(client, deal("40000", *partners))

    def all_approved(view: dict[str, Any]) -> bool:
        return [statuses(view).get(partner) for partner in partners] == ["approved"] * 3

    await until(client, application_id, all_approved, 90)
    assert {partner: len(stack.ledger(partner)["leads"]) for partner in partners} == {
        partner: count + 1 for partner, count in before.items()
    }


async def test_a_mail_that_may_have_left_waits_for_a_person_and_is_then_marked(
    stack: Stack, client: httpx.AsyncClient
) -> None:
    stack.dial("email-lender", kind="drop_reply", operation="message", times=1)
    application_id = await post(client, deal("40000", "email-lender"))
    view = await until(client, application_id, at("email-lender", "outcome-unknown"), 30)
    assert opportunity(view, "email-lender")["plan"] == "person"
    parked = await attempt(client, application_id, "email-lender", "parked")
    assert len(leads(stack, "email-lender", parked["reference"])) == 1
    reply = await client.post(
        f"/v1/attempts/{parked['id']}/resolve",
        json={"outcome": "not-sent", "reason": "The lender says its inbox has no such mail."},
        headers={"Idempotency-Key": str(uuid.uuid4())},
    )
    assert reply.status_code == 200, reply.text
    await until(client, application_id, at("email-lender", "submitted"), 60)
    first, second = leads(stack, "email-lender", parked["reference"])
    assert (first["possibleDuplicate"], second["possibleDuplicate"]) == (False, True)
    assert first["messageId"] == second["messageId"]


async def test_money_is_told_to_the_registry_and_shown_as_the_registry_says(
    stack: Stack, client: httpx.AsyncClient
) -> None:
    stack.dial("reference-partner", kind="outcome", operation="create", outcome="fund", times=1)
    application_id = await post(client, deal("40000", "reference-partner", paper=paper()))
    await until(client, application_id, at("reference-partner", "funded"), 60)
    await until(client, application_id, at("monetago", "funded"), 60)


async def test_an_operators_pause_holds_work_and_loses_none(stack: Stack, client: httpx.AsyncClient) -> None:
    async def tell(what: str) -> None:
        reply = await client.post(
            f"/v1/partners/soap-lender/{what}",
            json={"reason": "Their maintenance window."},
            headers={"Idempotency-Key": str(uuid.uuid4())},
        )
        assert reply.status_code == 200, reply.text

    await tell("pause")
    await asyncio.sleep(2 * LOOK_SECONDS)  # until then another process may still start a call
    try:
        before = len(stack.ledger("soap-lender")["calls"])
        application_id = await post(client, deal("40000", "soap-lender", "reference-partner"))
        await until(client, application_id, at("reference-partner", "approved"), 60)
        view = await seen(client, application_id)
        assert opportunity(view, "soap-lender")["status"] == "submitting"
        assert len(stack.ledger("soap-lender")["calls"]) == before
    finally:
        await tell("resume")
    await until(client, application_id, at("soap-lender", "approved"), 60)
