"""What operators set: over HTTP, in the store, in the audit, and what partners' words do to it afterwards."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests import support
from tests.status.bench import Bench, Deal
from tests.status.conftest import MakeBench
from tests.status.reading import application, bearer

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import Report, Status
from lendrail.runtime import audit
from lendrail.runtime.clock import utc_now
from lendrail.status.desk.correcting import SETTABLE, routes
from lendrail.status.folding.observation import Corrected, Observation
from lendrail.status.forget import Forgetter
from lendrail.status.store import Heard, cause_of, subject_of

OPERATOR, READER = bearer("operator"), bearer("applications:read")
REASON = "Testa said so by phone"


class Desk:
    """One deal, and an operator at it."""

    def __init__(self, bench: Bench, client: httpx.AsyncClient) -> None:
        self.bench, self.client, self.deal, self.number = bench, client, Deal(), 0

    async def act(self, what: str, key: str = "", by: dict[str, str] = OPERATOR, **body: Any) -> httpx.Response:
        self.number += 1
        headers = by | {"Idempotency-Key": key or f"key-{self.number}"}
        address = f"/v1/opportunities/{self.deal.id}/{what}"
        return await self.client.post(address, headers=headers, json={"reason": REASON} | body)

    async def shown(self, **asked: str) -> dict[str, Any]:
        found = await self.client.get(f"/v1/opportunities/{self.deal.id}", headers=READER, params=asked)
        body: dict[str, Any] = found.json()
        return body

    async def partner_says(self, status: Status, number: int, ago: float = -1.0) -> None:
        """Acknowledged anew, at a time of the partner's own."""
        at = utc_now() - dt.timedelta(seconds=ago) if ago >= 0 else utc_now()
        report = Report(status=status, words=f"word {number}", partner_time=at)
        await self.bench.deliver(self.deal.ack(attempt_version=number, report=report))


@pytest.fixture
async def desk(bench: Bench) -> AsyncIterator[Desk]:
    app = application(bench)
    app.include_router(routes(bench.parts.correcting))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://status.test") as client:
        desk = Desk(bench, client)
        await bench.deliver(desk.deal.validated())
        await desk.partner_says(Status.IN_REVIEW, 1)
        yield desk


async def test_a_correction_holds_until_the_partners_next_word(desk: Desk) -> None:
    done = await desk.act("correct", status="declined")
    assert done.status_code == 200, done.text
    assert (done.json()["status"], done.json()["partnerStatus"]) == ("declined", "in-review")
    shown = await desk.shown()
    assert (shown["status"], shown["source"], shown["partnerStatus"], shown["version"]) == (
        "declined", "person", "in-review", 3,
    )  # fmt: skip
    said = shown["observations"][-1]["said"]
    assert (said["kind"], said["by"], said["why"]) == ("corrected", "test", REASON)
    assert shown["nextLook"] is not None  # the partner says that it is at work: it is asked on
    told = (await desk.bench.told(desk.deal.id))[-1]
    assert told.cause is not None
    assert (told.status, told.cause.channel, told.partner_status) == (Status.DECLINED, "person", Status.IN_REVIEW)
    await desk.partner_says(Status.APPROVED, 2, ago=3600)
    assert (await desk.shown())["status"] == "declined"
    await desk.partner_says(Status.APPROVED, 3)
    assert (await desk.shown())["status"] == "approved"
    assert "Testa" not in repr(await desk.bench.document(desk.deal.id))


async def test_a_pin_holds_and_shows_that_the_partner_disagrees(desk: Desk) -> None:
    assert (await desk.act("pin", status="declined")).status_code == 200
    await desk.partner_says(Status.FUNDED, 2)
    shown = await desk.shown()
    assert (shown["status"], shown["partnerStatus"], shown["partnerWords"]) == ("declined", "funded", "word 2")
    assert {"pinned", "partner-disagrees:funded"} <= set(shown["flags"])
    assert "since" in shown["pin"]
    refused = await desk.act("correct", status="approved")
    assert (refused.status_code, refused.json()["code"]) == (409, "pinned")
    freed = await desk.act("unpin")
    assert (freed.json()["status"], "pin" in freed.json()) == ("funded", False)
    assert (await desk.act("unpin")).json()["code"] == "not-pinned"


async def test_a_deal_is_followed_for_as_long_as_the_partner_works_on_it(desk: Desk) -> None:
    """Whatever a person calls it; and no longer once the partner says that it has ended."""
    await desk.act("pin", status="declined")
    assert "due" in await desk.bench.document(desk.deal.id)
    await desk.partner_says(Status.DECLINED, 2)
    assert "due" not in await desk.bench.document(desk.deal.id)
    await desk.act("pin", status="in-review")
    assert "due" not in await desk.bench.document(desk.deal.id)


async def test_a_pin_ends_at_its_time_in_whichever_replica(desk: Desk, make_bench: MakeBench) -> None:
    until = utc_now() + dt.timedelta(seconds=1)
    pinned = await desk.act("pin", status="approved", until=until.isoformat())
    assert pinned.json()["pin"].keys() == {"since", "until", "untilPartnerSays"}
    await desk.partner_says(Status.DECLINED, 2)
    pins = [each.parts.pins for each in (desk.bench, await make_bench())]
    await asyncio.gather(*(each.end() for each in pins))
    if utc_now() < until:
        assert (await desk.shown())["status"] == "approved"
    await asyncio.sleep(max((until - utc_now()).total_seconds(), 0) + 0.1)
    await asyncio.gather(*(each.end() for each in pins))
    shown = await desk.shown()
    assert (shown["status"], "pin" in shown) == ("declined", False)
    assert [each["said"]["kind"] for each in shown["observations"]].count("unpinned") == 1
    assert "pin_until" not in await desk.bench.document(desk.deal.id)
    before = await desk.shown(asOf=(until - dt.timedelta(milliseconds=1)).isoformat())
    assert before["status"] == "approved"


async def test_who_what_and_why_rest_in_the_audit(desk: Desk) -> None:
    await desk.act("correct", status="declined")
    await desk.act("pin", untilPartnerSays=["funded"])
    await desk.act("unpin")
    document = await desk.bench.document(desk.deal.id)
    entries = document["audit"]
    assert [each["what"] for each in entries] == ["status-corrected", "status-pinned", "status-unpinned"]
    key = await desk.bench.service.vault.get(str(desk.deal.application_id))
    assert {(each["who"], key.open(each["why"])) for each in entries} == {("test", REASON)}
    assert entries[0]["about"] == {"was": "in-review", "status": "declined"}
    assert entries[1]["about"]["untilPartnerSays"] == "funded"
    assert entries[1]["before"] == entries[0]["after"]
    assert entries[2]["after"] == audit.sha256(document["state"])
    assert document["unchained"]


async def test_the_same_request_takes_effect_once(desk: Desk) -> None:
    first, again = [await desk.act("correct", "once", status="declined") for _ in range(2)]
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    other = await desk.act("correct", "once", status="approved")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    many = await asyncio.gather(*(desk.act("pin", "at-once", status="approved") for _ in range(5)))
    assert {(each.status_code, each.text) for each in many} == {(200, many[0].text)}
    back = await asyncio.gather(*(desk.act("unpin", "back") for _ in range(5)))
    assert {(each.status_code, each.text) for each in back} == {(200, back[0].text)}
    document = await desk.bench.document(desk.deal.id)
    kinds = [each["said"]["kind"] for each in document["observations"]]
    assert (kinds.count("corrected"), kinds.count("pinned"), len(document["audit"])) == (2, 1, 3)


async def test_what_is_refused_says_what_to_change(desk: Desk) -> None:
    async def code(what: str, **body: Any) -> tuple[int, str]:
        answer = await desk.act(what, **body)
        return answer.status_code, answer.json()["code"]

    assert await code("correct", status="in-review") == (409, "nothing-to-correct")
    assert await code("correct", status="erased") == (422, "status-not-settable")
    assert await code("pin", status="submitting") == (422, "status-not-settable")
    assert await code("pin", until=(utc_now() - dt.timedelta(hours=1)).isoformat()) == (422, "invalid-request")
    assert await code("pin", until="tomorrow") == (422, "invalid-request")
    never = await desk.act("pin", untilPartnerSays=["declined", "erased"])
    assert (never.status_code, never.json()["code"]) == (422, "status-never-said"), "it would never end"
    assert "erased" not in never.json()["detail"].partition("one of:")[2]
    assert await code("correct", status="declined", reason=" ") == (422, "invalid-request")
    assert await code("correct", status="declined", other=1) == (422, "invalid-request")
    assert await code("unpin") == (409, "not-pinned")
    no_key = await desk.client.post(
        f"/v1/opportunities/{desk.deal.id}/correct", headers=OPERATOR, json={"status": "declined", "reason": REASON}
    )
    assert (no_key.status_code, no_key.json()["code"]) == (400, "idempotency-key-missing")
    assert "audit" not in await desk.bench.document(desk.deal.id)


async def test_only_operators_of_the_tenant_may(desk: Desk) -> None:
    for what, body in (("correct", {"status": "declined"}), ("pin", {}), ("unpin", {})):
        assert (await desk.act(what, by=READER, **body)).status_code == 403
        assert (await desk.act(what, by={}, **body)).status_code == 401
        foreign = await desk.act(what, by=bearer("operator", tenant="other"), **body)
        assert (foreign.status_code, foreign.json()["code"]) == (404, "not-found")
    assert support.TENANT != "other"


async def test_nothing_is_set_of_who_was_erased(desk: Desk) -> None:
    await desk.bench.service.vault.erase(str(desk.deal.application_id))
    answer = await desk.act("correct", status="declined")
    assert (answer.status_code, answer.json()["code"]) == (410, "erased")


def test_what_a_person_may_set_is_what_partners_say() -> None:
    ours = {"received", "invalid", "ineligible", "submitting", "outcome-unknown", "erased"}
    assert {*map(str, Status)} - {*map(str, SETTABLE)} == ours


async def test_who_is_erased_meanwhile_stays_erased(desk: Desk) -> None:
    """The key is still in memory, and the document was read before."""
    until = utc_now() + dt.timedelta(milliseconds=300)
    assert (await desk.act("pin", status="declined", until=until.isoformat())).status_code == 200
    before = await desk.bench.document(desk.deal.id)
    key = await desk.bench.service.vault.get(str(desk.deal.application_id))
    await Forgetter(desk.bench.opportunities).forget([str(desk.deal.application_id)])
    said = Corrected(status=Status.FUNDED, by="operator", why=SensitiveText("late"))
    now = utc_now()
    late = Observation(id="late", source="person", at=now, received_at=now, said=said)
    heard = Heard(subject_of(before), late, key, cause_of(before["cause"]))
    parts = desk.bench.parts
    await parts.opportunities.hear([heard], parts.timing.after_event, {before["_id"]: before})
    await asyncio.sleep(0.4)
    await parts.pins.end()
    left = await desk.bench.document(desk.deal.id)
    assert (left["status"], left["observations"], left["outbox"]) == ("erased", [], [])
    assert "pin_until" not in left
