"""Australian businesses the whole way: the business register is asked first, and the lender is one that no line of code
knows: a file declares it.
"""

from typing import Any

import httpx
from tests.flow.stack import Stack, deal, opportunity, post, seen, until

LENDER = "acme-lending"
PLAYED_BY = "reference-partner"
USER = "demo-acme"
"""As whom the simulated partner knows us there; the tenant's account at the built-in one is another user."""
REGISTER = "abn-lookup"
ACTIVE, CANCELLED, UNKNOWN = "89 000 000 019", "80 000 000 001", "44 000 000 012"
NEVER_ASKED = "25 000 000 013"
"""As unknown there; what the register said once is remembered."""


def australian(number: str, amount: str, **changes: Any) -> dict[str, Any]:
    """`amount` differs from test to test: the same wish of the same business would be a duplicate."""
    data = deal(amount, LENDER, **changes)
    data["business"] |= {"country": "AU", "legalName": "Fake Bakery Pty Ltd"}
    data["business"].pop("tradingName")
    data["business"]["registrations"] = [{"scheme": "abn", "country": "AU", "number": number}]
    data["requestedFinance"]["amount"]["currency"] = "AUD"
    return data


def at(*wanted: str) -> Any:
    return lambda view: opportunity(view, LENDER).get("status") in wanted


def rejected(view: dict[str, Any]) -> bool:
    return bool(view["status"] == "invalid")


def checks(view: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["name"], each["result"], each["code"]) for each in view["checks"]]


def taken(stack: Stack, kind: str = "leads") -> list[dict[str, Any]]:
    return [each for each in stack.ledger(PLAYED_BY)[kind] if each["user"] == USER]


def looks(stack: Stack, number: str) -> int:
    return sum(each.get("reference") == number.replace(" ", "") for each in stack.ledger(REGISTER)["calls"])


async def test_a_checked_business_goes_to_a_lender_that_a_file_alone_declares(
    stack: Stack, client: httpx.AsyncClient
) -> None:
    before = len(taken(stack))
    application_id = await post(client, australian(ACTIVE, "41000"))
    view = await until(client, application_id, at("approved"), 60)
    mine = opportunity(view, LENDER)
    assert (mine["source"], mine["offers"][0]["amount"]) == ("webhook", {"amount": "32800.00", "currency": "AUD"})
    assert checks(view) == [("abn", "passed", "matches")]
    assert looks(stack, ACTIVE) == 1, "its word is remembered"
    (lead,) = taken(stack)[before:]
    assert lead["id"] == mine["partnerId"]
    assert any(each["reference"] == lead["reference"] for each in taken(stack, "attachments"))


async def test_what_the_file_says_of_the_lender_holds_applications_back(
    stack: Stack, client: httpx.AsyncClient
) -> None:
    before = len(taken(stack))
    bare = australian(ACTIVE, "42000", financials={"asOf": "2025-12-31"})
    reasons = {"/business/country": deal("40000", LENDER), "/financials/annualRevenue": bare}
    for pointer, application in reasons.items():
        view = await until(client, await post(client, application), at("ineligible"))
        assert pointer in [each["pointer"] for each in opportunity(view, LENDER)["reasons"]]
    assert len(taken(stack)) == before
    reply = await client.get(f"/v1/schemas/{LENDER}")
    assert reply.status_code == 200, reply.text


async def test_a_number_that_is_not_in_use_comes_back_with_its_field(stack: Stack, client: httpx.AsyncClient) -> None:
    before = len(taken(stack))
    for number, code in ((CANCELLED, "abn-cancelled"), (UNKNOWN, "abn-not-found")):
        view = await until(client, await post(client, australian(number, "43000")), rejected)
        assert ("/business/registrations/0/number", code) in [
            (each["pointer"], each["code"]) for each in view["problems"]
        ]
        assert view["opportunities"] == []
    assert len(taken(stack)) == before


async def test_a_register_that_is_down_stops_nobody(stack: Stack, client: httpx.AsyncClient) -> None:
    """Nor is its silence a word against anybody: it would refuse this number if it could be asked."""
    stack.dial(REGISTER, kind="status", operation="search_by_abn", status=503)
    application_id = await post(client, australian(NEVER_ASKED, "44000"))
    await until(client, application_id, at("approved"), 60)
    assert looks(stack, NEVER_ASKED) >= 1
    assert checks(await seen(client, application_id)) == [("abn", "not-checked", "unavailable")]
