"""A correction that the partner did not take is sent anew by a person's word: on a real MongoDB, counted by the
simulated partner.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests import make, support
from tests.submission.callers import as_
from tests.submission.desk import TENANT, Desk, credential, document, submit
from tests.submission.test_audit import chained
from tests.submission.test_forget import forgetter, left
from tests.submission.test_partners import order
from tests.submission.test_people import bind, lost

from lendrail.contracts.event import envelope_of
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.submit import Send, Submit
from lendrail.contracts.terms import Status
from lendrail.runtime.clock import utc_now
from lendrail.runtime.step import Delivery
from lendrail.submission.attempts.attempt import reference

pytestmark = pytest.mark.asyncio
REASON = "the lender asked for it, by Zelda Fakename"


async def correct(desk: Desk, before: Submit, *contents: bytes, amount: str = "61000", **intent: Any) -> Submit:
    """The next revision, with this amount and these documents, heard."""
    application = make.application(requestedFinance={"amount": {"amount": amount, "currency": "USD"}})
    refs = tuple(document(each, f"file{place}.bin") for place, each in enumerate(contents))
    made = Send(**({"application": application, "documents": refs} | intent))
    event = submit(before.application_id, before.revision + 1, intent=made)
    key = await desk.key(event)
    desk.shelf.sealed |= {ref.id: key.seal_bytes(each) for ref, each in zip(refs, contents, strict=True)}
    await desk.hear(event)
    return event


async def refused(desk: Desk, *contents: bytes) -> tuple[Submit, Submit]:
    """An application that the partner has, and its correction, which that takes not."""
    first = await desk.submit(*contents)
    async with desk.lanes():
        await desk.until(first, "acked", *["acked"] * len(contents))
        second = await correct(desk, first, *contents)
    assert [(each.operation, each.reason) for each in await desk.acks(first)][-1] == ("update", "not-updatable")
    return first, second


def resend(event: Submit, key: str = "key-1", caller: str = "operator", **body: Any) -> dict[str, Any]:
    headers = as_(caller) | {"Idempotency-Key": key}
    url = f"/v1/opportunities/{event.opportunity_id}/resend"
    return {"url": url, "headers": headers, "json": {"reason": REASON} | body}


async def references(desk: Desk, event: Submit) -> list[str]:
    """Those of ours that the partner has, in the order of their generation."""
    creations = [each for each in (await desk.opportunity(event)).attempts if each.operation == "create"]
    there = [lead["reference"] for each in creations for lead in desk.sandbox.ledger(reference(each))["leads"]]
    assert len(there) == len(set(there))
    return there


async def kept(desk: Desk, event: Submit) -> list[str]:
    return list((await desk.store.load(str(event.opportunity_id))).get("kept", {}))


async def word(desk: Desk, event: Submit, status: Status, version: int = 9) -> None:
    """The opportunity came to this."""
    told = StatusUpdated(
        tenant_id=TENANT, mode="test", application_id=event.application_id, opportunity_id=event.opportunity_id,
        partner=event.partner, credential=event.credential, state_version=version, status=status, source="fetch",
        observed_at=make.NOW,
    )  # fmt: skip
    delivery = Delivery(told, envelope_of(told, "test", utc_now()), await desk.key(event))
    await desk.registry.on_status_updated([delivery])


async def problem(http: httpx.AsyncClient, request: dict[str, Any]) -> tuple[int, str]:
    answer = await http.post(**request)
    return answer.status_code, answer.json()["code"]


async def test_the_partner_has_two_references_one_for_each_generation(desk: Desk, http: httpx.AsyncClient) -> None:
    first, second = await refused(desk, b"fake sheet")
    before = await desk.opportunity(first)
    old = await desk.create(first)
    assert await kept(desk, first) == [before.attempts[-1].id]
    assert "Fakely" not in repr(await desk.store.load(str(first.opportunity_id))), "what is kept is sealed"
    answers = [await http.post(**resend(first)) for _ in range(2)]
    answer = answers[0].json()
    assert [each.status_code for each in answers] == [200, 200], answers[0].text
    assert answers[1].json() == answer
    assert [each.headers.get("idempotency-replayed") for each in answers] == [None, "true"]
    assert (answer["revision"], answer["state"], answer.get("partnerId")) == (second.revision, "prepared", None)
    assert answer["alreadyThere"] == [
        {"attempt": old.id, "reference": old.id, "state": "acked", "partnerId": before.partner_id}
    ]
    async with desk.lanes():
        after = await desk.until(first, "acked", "acked", "rejected", "acked", "acked")
        again = await http.post(**resend(first))
    assert again.json() == answer, "also once it is there"
    new = await desk.create(first)
    assert (new.generation, new.id) == (2, answer["id"])
    assert await references(desk, first) == [old.id, new.id]
    leads = [desk.sandbox.ledger(each)["leads"][0] for each in (old.id, new.id)]
    assert ["61000" in repr(each) for each in leads] == [False, True], "the corrected one is the second"
    assert [each["leadId"] for each in leads] == [before.partner_id, after.partner_id]
    assert [len(desk.sandbox.ledger(each)["attachments"]) for each in (old.id, new.id)] == [1, 1]
    told = [(each.generation, each.partner_id) for each in await desk.acks(first) if each.operation == "create"]
    assert told == [(1, before.partner_id), (2, after.partner_id)]
    assert await kept(desk, first) == []
    assert await problem(http, resend(first, "key-2")) == (409, "nothing-newer")


async def test_who_and_why_are_in_the_audit_and_that_there_may_be_two(desk: Desk, http: httpx.AsyncClient) -> None:
    first, _ = await refused(desk)
    before, old = await desk.opportunity(first), await desk.create(first)
    for _ in range(2):
        assert (await http.post(**resend(first))).status_code == 200
    (entry,) = await chained(desk, http, 1, application=str(first.application_id))
    assert (entry["who"], entry["what"], entry["why"]) == ("demo-operator", "opportunity-resent", REASON)
    assert entry["about"] == {
        "attempt": (await desk.create(first)).id, "revision": "2", "beside": old.id, "was": "acked",
        "applicationsThere": "2", "partnerId": before.partner_id,
    }  # fmt: skip
    assert entry["before"] != entry["after"]


async def test_an_id_that_was_lost_is_no_hindrance(desk: Desk, http: httpx.AsyncClient) -> None:
    first = await lost(desk, b"fake sheet")
    await correct(desk, first, b"fake sheet")
    old = await desk.create(first)
    assert (await http.post(**resend(first))).json()["alreadyThere"] == [
        {"attempt": old.id, "reference": old.id, "state": "submitted-id-unknown"}
    ]
    async with desk.lanes():
        after = await desk.until(first, "submitted-id-unknown", "cancelled", "rejected", "acked", "acked")
    assert after.partner_id == desk.sandbox.ledger((await desk.create(first)).id)["leads"][0]["leadId"]
    assert len(await references(desk, first)) == 2
    late = bind(old.id, partnerId=desk.sandbox.ledger(old.id)["leads"][0]["leadId"])
    assert await problem(http, late) == (409, "not-resolvable"), "the id that counts is the new one's"
    assert (await desk.opportunity(first)).partner_id == after.partner_id


async def test_where_the_new_one_is_lost_its_id_is_asked_for_and_the_old_ones_is_not_taken_for_it(
    desk: Desk, http: httpx.AsyncClient
) -> None:
    first, _ = await refused(desk)
    desk.sandbox.dial(kind="drop_reply", operation="lead", times=1)
    await http.post(**resend(first))
    async with desk.lanes():
        await desk.until(first, "acked", "rejected", "submitted-id-unknown")
    (listed,) = (await http.get("/v1/attempts", params={"state": "id-unknown"})).json()["items"]
    assert "partnerId" not in listed
    told = bind(listed["id"], outcome="sent-elsewhere")
    del told["json"]["partnerId"]
    assert (await http.post(**told)).status_code == 200
    assert (await desk.opportunity(first)).partner_id is None


async def test_a_clean_refusal_of_the_new_one_leaves_the_old_one_and_it_can_be_sent_once_more(
    desk: Desk, http: httpx.AsyncClient
) -> None:
    first, _ = await refused(desk, b"fake sheet")
    before, old = await desk.opportunity(first), await desk.create(first)
    desk.credentials(credential(desk.sandbox.api, auth={"scheme": "api-key", "key": "current-test-key"}))
    desk.tenants(options={"vocabulary": "classic"})  # words that this login's revision refuses
    await http.post(**resend(first))
    async with desk.lanes():
        after = await desk.until(first, "acked", "acked", "rejected", "rejected", "cancelled")
    desk.credentials(credential(desk.sandbox.api))
    assert (await desk.create(first), after.partner_id) == (old, before.partner_id)
    assert (await http.post(**resend(first, "key-2"))).status_code == 200
    async with desk.lanes():
        await desk.until(first, "acked", "acked", "rejected", "rejected", "cancelled", "acked", "acked")
    new = await desk.create(first)
    assert (new.generation, await references(desk, first)) == (3, [old.id, new.id])


async def test_a_newer_revision_that_comes_before_it_left_goes_in_its_place(
    desk: Desk, http: httpx.AsyncClient
) -> None:
    first, second = await refused(desk)
    await http.post(**resend(first))
    await correct(desk, second, amount="62000")
    assert await problem(http, resend(first, "key-2")) == (409, "under-way")
    async with desk.lanes():
        await desk.until(first, "acked", "rejected", "cancelled", "cancelled", "acked")
    (_, new) = await references(desk, first)
    assert "62000" in repr(desk.sandbox.ledger(new)["leads"])
    assert await kept(desk, first) == []


async def test_a_paused_partner_gets_it_when_it_is_resumed(desk: Desk, http: httpx.AsyncClient) -> None:
    first, _ = await refused(desk)
    async with desk.lanes():
        await http.post(**order("pause", "pause-1"))
        answer = await http.post(**resend(first))
        assert answer.json()["state"] == "prepared"
        assert await desk.states(first) == ["acked", "rejected", "prepared"]
        await http.post(**order("resume", "resume-1"))
        await desk.until(first, "acked", "rejected", "acked")
    assert len(await references(desk, first)) == 2


async def test_a_closed_account_is_said_and_nothing_changes(desk: Desk, http: httpx.AsyncClient) -> None:
    first, _ = await refused(desk)
    before = await desk.opportunity(first)
    desk.tenants(enabled=False)
    assert await problem(http, resend(first)) == (409, "partner-disabled")
    assert await desk.opportunity(first) == before
    desk.tenants(enabled=True)
    assert (await http.post(**resend(first))).status_code == 200, "a refusal uses up no key"


async def test_without_consent_nothing_is_sent(desk: Desk, http: httpx.AsyncClient) -> None:
    first = await desk.submit()
    async with desk.lanes():
        await desk.until(first, "acked")
    await correct(desk, first, application=make.application(consents=[]))
    assert await desk.states(first) == ["acked", "cancelled"]
    assert await problem(http, resend(first)) == (409, "no-consent")


async def test_what_the_partner_has_already_and_what_it_has_not(desk: Desk, http: httpx.AsyncClient) -> None:
    there = await desk.submit()
    async with desk.lanes():
        await desk.until(there, "acked")
    assert await problem(http, resend(there)) == (409, "nothing-newer")
    waits = await desk.submit()
    assert await problem(http, resend(waits)) == (409, "not-at-partner")


async def test_what_nobody_knows_is_settled_first(desk: Desk, http: httpx.AsyncClient) -> None:
    desk.sandbox.dial(kind="status", operation="lead", status=409)
    first = await desk.submit()
    async with desk.lanes():
        await desk.until(first, "parked")
    await correct(desk, first)
    assert await problem(http, resend(first)) == (409, "unsettled")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.ACCEPTED, "already-accepted"),
        (Status.DECLINED, "already-ended"),
        (Status.FUNDED, "already-ended"),
        (Status.WITHDRAWN, "already-ended"),
    ],
)
async def test_after_its_end_nothing_is_sent_and_nothing_kept(
    desk: Desk, http: httpx.AsyncClient, status: Status, code: str
) -> None:
    first, _ = await refused(desk)
    assert len(await kept(desk, first)) == 1
    for _ in range(2):
        await word(desk, first, status)
    assert await kept(desk, first) == []
    assert await problem(http, resend(first)) == (409, code)
    assert await desk.states(first) == ["acked", "rejected"]


async def test_an_end_before_the_correction_counts_too(desk: Desk, http: httpx.AsyncClient) -> None:
    first = await desk.submit()
    async with desk.lanes():
        await desk.until(first, "acked")
    await word(desk, first, Status.DECLINED)
    await correct(desk, first)
    assert await kept(desk, first) == []
    assert await problem(http, resend(first)) == (409, "already-ended")


async def test_erased_nothing_is_left_and_nothing_sent(desk: Desk, http: httpx.AsyncClient) -> None:
    first, _ = await refused(desk)
    key = await desk.key(first)
    await desk.vault.erase(first.key_id)
    await forgetter(desk).forget([first.key_id])
    assert await left(desk, key) == []

    async def gone() -> bool:
        return (await http.post(**resend(first))).status_code == 410

    await support.eventually(gone, 5)
    assert await desk.states(first) == ["acked", "rejected"]


@pytest.mark.parametrize(("caller", "status"), [("reader", 403), ("stranger", 404), ("live", 404), ("nobody", 401)])
async def test_only_operators_of_the_tenant_and_mode(
    desk: Desk, http: httpx.AsyncClient, caller: str, status: int
) -> None:
    first, _ = await refused(desk)
    assert (await http.post(**resend(first, caller=caller))).status_code == status
    assert await desk.states(first) == ["acked", "rejected"]


async def test_the_request_is_strict(desk: Desk, http: httpx.AsyncClient) -> None:
    first, _ = await refused(desk)
    empty = await http.post(**resend(first, reason=" ", more=1))
    assert (empty.status_code, [each["pointer"] for each in empty.json()["errors"]]) == (422, ["/reason", "/more"])
    assert await problem(http, resend(first) | {"headers": as_("operator")}) == (400, "idempotency-key-missing")
    assert (await http.post(**resend(first))).status_code == 200
    assert await problem(http, resend(first, reason="another")) == (422, "idempotency-key-reused")
    other, _ = await refused(desk)
    assert await problem(http, resend(other)) == (422, "idempotency-key-reused")
