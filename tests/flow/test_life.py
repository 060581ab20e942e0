"""What happens to an application after it was sent: the missing paper, a correction, one more partner, an offer.

On real servers; the partners' own ledgers say what they got.
"""

import uuid
from typing import Any

import httpx
from tests.flow.stack import Stack, deal, loan, opportunity, post, seen, until
from tests.flow.test_partners import at, statuses

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


async def amend(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> dict[str, Any]:
    """The answer to a change that was taken, sent twice under one key: the second one changes nothing."""
    headers = {"Idempotency-Key": str(uuid.uuid4())} | more.pop("headers", {})
    first = await client.request(method, path, headers=headers, **more)
    assert first.status_code == 202, first.text
    again = await client.request(method, path, headers=headers, **more)
    assert (again.status_code, again.json()) == (202, first.json())
    found: dict[str, Any] = first.json()
    return found


async def upload(client: httpx.AsyncClient, application_id: str, content: bytes = PDF) -> dict[str, Any]:
    path = f"/v1/applications/{application_id}/documents"
    return await amend(client, "POST", path, params={"kind": "bank-statement", "name": "fake.pdf"}, content=content)


async def id_at(client: httpx.AsyncClient, application_id: str, partner: str) -> str:
    return str(opportunity(await seen(client, application_id), partner)["opportunityId"])


async def test_what_was_missing_is_uploaded_and_the_partner_goes_on(stack: Stack, client: httpx.AsyncClient) -> None:
    application_id = await post(client, loan("24002"))
    view = await until(client, application_id, at("forward-financing", "info-required"), 60)
    before = len(stack.ledger()["attachments"])
    assert (await upload(client, application_id))["revision"] == 2
    view = await until(client, application_id, at("forward-financing", "approved"), 60)
    assert len(stack.ledger()["attachments"]) == before + 1
    assert [(each["kind"], each["revision"]) for each in view["amendments"]] == [("document-added", 2)]


async def test_a_partner_is_added_later_and_nobody_else_hears_of_it(stack: Stack, client: httpx.AsyncClient) -> None:
    application_id = await post(client, deal("40000", "forward-financing"))
    await until(client, application_id, at("forward-financing", "approved"), 60)
    leads = len(stack.ledger()["leads"])
    await amend(
        client, "POST", f"/v1/applications/{application_id}/opportunities", json={"partners": ["reference-partner"]}
    )
    view = await until(client, application_id, at("reference-partner", "approved"), 60)
    assert statuses(view)["forward-financing"] == "approved"
    assert len(stack.ledger()["leads"]) == leads


async def test_a_correction_updates_where_it_can_and_is_refused_where_it_cannot(
    stack: Stack, client: httpx.AsyncClient
) -> None:
    application = deal("40003", "forward-financing", "reference-partner")
    application_id = await post(client, application)
    await until(client, application_id, at("reference-partner", "in-review"), 60)
    await until(client, application_id, at("forward-financing", "in-review", "submitted"), 60)
    application["requestedFinance"]["amount"]["amount"] = "41003"
    path = f"/v1/applications/{application_id}"
    stale = await client.put(path, json=application, headers={"Idempotency-Key": "k", "If-Match": '"7"'})
    assert stale.status_code == 412
    await amend(client, "PUT", path, json=application, headers={"If-Match": '"1"'})

    def told(view: dict[str, Any]) -> bool:
        return "not-updatable" in str(opportunity(view, "forward-financing"))

    await until(client, application_id, told, 60)
    assert len([each for each in stack.ledger("reference-partner")["calls"] if each["operation"] == "update"]) == 1


async def test_an_offer_is_accepted_where_the_partner_can_and_reported_where_it_has_a_link(
    stack: Stack, client: httpx.AsyncClient
) -> None:
    application_id = await post(client, deal("40000", "forward-financing", "reference-partner"))
    both = ("forward-financing", "reference-partner")
    view = await until(client, application_id, lambda it: [statuses(it).get(each) for each in both] == ["approved"] * 2)
    here, there = (opportunity(view, each) for each in both)
    await amend(
        client,
        "POST",
        f"/v1/opportunities/{there['opportunityId']}/accept",
        json={"offerId": there["offers"][0]["id"]},
    )
    await until(client, application_id, at("reference-partner", "accepted"), 60)
    path = f"/v1/opportunities/{here['opportunityId']}/accept"
    refused = await client.post(
        path, json={"offerId": here["offers"][0]["id"]}, headers={"Idempotency-Key": str(uuid.uuid4())}
    )
    assert refused.status_code == 409, refused.text
    await amend(client, "POST", path, json={"offerId": here["offers"][0]["id"], "reported": True})
    view = await until(client, application_id, at("forward-financing", "accepted"), 60)
    assert "accepted-reported" in opportunity(view, "forward-financing")["flags"]


async def test_withdrawn_where_the_partner_takes_it_and_a_clear_no_elsewhere(
    stack: Stack, client: httpx.AsyncClient
) -> None:
    application_id = await post(client, deal("40003", "forward-financing", "soap-lender"))
    await until(client, application_id, at("soap-lender", "in-review"), 60)
    await until(client, application_id, at("forward-financing", "in-review"), 60)
    unable = await client.post(
        f"/v1/opportunities/{await id_at(client, application_id, 'forward-financing')}/withdraw",
        json={"reason": "the applicant found another way"},
        headers={"Idempotency-Key": str(uuid.uuid4())},
    )
    assert (unable.status_code, unable.json()["code"]) == (409, "not-possible-at-partner")
    path = f"/v1/opportunities/{await id_at(client, application_id, 'soap-lender')}/withdraw"
    await amend(client, "POST", path, json={"reason": "the applicant found another way"})
    await until(client, application_id, at("soap-lender", "withdrawn"), 60)
    assert [each["operation"] for each in stack.ledger("soap-lender")["calls"]].count("update") == 1
