"""What operators do is in the audit: with its effect in one write, chained afterwards, shown to their own tenant."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests import support
from tests.submission.callers import Verifier, as_
from tests.submission.desk import CREDENTIAL, PARTNER, TENANT, Desk
from tests.submission.test_people import bind, lost

from lendrail.runtime.audit_verify import verify
from lendrail.submission.app import build
from lendrail.submission.settings import Settings
from lendrail.submission.store import digest

pytestmark = pytest.mark.asyncio
REASON = "told by Zelda Fakename"


async def chained(desk: Desk, http: httpx.AsyncClient, count: int, **query: str) -> list[dict[str, Any]]:
    """The entries, newest first, as soon as a worker has linked as many."""

    async def look() -> Any:
        items = (await http.get("/v1/audit", params=query)).json()["items"]
        return len(items) >= count and items

    async with desk.lanes():
        found: list[dict[str, Any]] = await support.eventually(look)
        await support.linked("submission", desk.store.collection.database)
    return found


async def test_a_resolution_is_one_entry_with_hashes_of_what_it_changed(desk: Desk, http: httpx.AsyncClient) -> None:
    event = await lost(desk)
    create = await desk.create(event)
    before = digest(await desk.opportunity(event))
    request = bind(create.id, reason=REASON)
    request["headers"] |= {"X-Request-Id": "r-7"}
    for _ in range(2):
        assert (await http.post(**request)).status_code == 200
    after = digest(await desk.opportunity(event))
    (entry,) = await chained(desk, http, 1, application=str(event.application_id))
    assert {
        "tenant": TENANT,
        "mode": "test",
        "who": "demo-operator",
        "what": "attempt-resolved",
        "of": f"opportunities/{event.opportunity_id}",
        "requestId": "r-7",
        "why": REASON,
        "before": before,
        "after": after,
        "about": {
            "attempt": create.id,
            "was": "submitted-id-unknown",
            "outcome": "partner-id",
            "partnerId": "FAKE.lead-1",
        },
        "service": "submission",
        "sequence": 1,
    }.items() <= entry.items()
    assert before != after
    links = await desk.store.collection.database["audit"].find({}).to_list()
    assert "Fakename" not in repr(links)


async def test_the_chain_goes_on_while_lanes_write_the_same_document(desk: Desk, http: httpx.AsyncClient) -> None:
    """The worker's mark and the lanes' compare-and-set do not disturb one another."""
    event = await lost(desk, b"fake sheet")
    create = await desk.create(event)
    lead = (await desk.ledger(event))["leads"][0]["leadId"]
    assert (await http.post(**bind(create.id, partnerId=lead))).status_code == 200
    async with desk.lanes():
        await desk.until(event, "acked", "acked")
    assert len(await chained(desk, http, 1)) == 1
    document = await desk.store.load(str(event.opportunity_id))
    assert (document["chained"], "unchained" in document) == (1, False)


async def test_pauses_and_questions_are_entries_too(desk: Desk, http: httpx.AsyncClient) -> None:
    for number, what in enumerate(("pause", "resume")):
        body = {"reason": REASON} | ({"minutes": 5} if what == "pause" else {})
        for _ in range(2):
            answer = await http.post(
                f"/v1/partners/{PARTNER}/{what}", json=body, headers={"Idempotency-Key": f"key-{number}"}
            )
            assert answer.status_code == 200, answer.text
    found = await chained(desk, http, 2)
    assert [(each["what"], each["of"], each["why"]) for each in found] == [
        (what, f"partners/{PARTNER}", REASON) for what in ("partner-resumed", "partner-paused")
    ]
    assert "before" not in found[0]
    assert all(each["after"] for each in found)


async def test_an_erased_person_leaves_the_chain_whole_and_the_reason_unreadable(
    desk: Desk, http: httpx.AsyncClient
) -> None:
    event = await lost(desk)
    assert (await http.post(**bind((await desk.create(event)).id, reason=REASON))).status_code == 200
    (entry,) = await chained(desk, http, 1)
    assert entry["why"] == REASON
    _, app = build(Settings(), Verifier(), publisher=desk.heard, client=desk.client)  # type: ignore[arg-type]
    await desk.vault.erase(event.key_id)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as later:
        (entry,) = (await later.get("/v1/audit", headers=as_("operator"))).json()["items"]
    assert "why" not in entry
    assert (await verify("submission", desk.store.collection.database)).broken is None


@pytest.mark.parametrize(("caller", "status"), [("reader", 403), ("nobody", 401), ("stranger", 200), ("live", 200)])
async def test_only_operators_and_only_their_own(desk: Desk, http: httpx.AsyncClient, caller: str, status: int) -> None:
    await http.post(
        f"/v1/partners/{PARTNER}/pause", json={"reason": REASON}, headers={"Idempotency-Key": f"key-{CREDENTIAL}"}
    )
    await chained(desk, http, 1)
    answer = await http.get("/v1/audit", headers=as_(caller))
    assert answer.status_code == status
    assert status != 200 or answer.json() == {"items": []}
