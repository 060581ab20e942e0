"""What may be read over HTTP, and by whom."""

import asyncio
import datetime as dt
import uuid

import httpx
from tests import make, support
from tests.status.bench import PARTNER, Bench, Deal
from tests.status.conftest import MakeBench
from tests.status.reading import bearer

from lendrail.contracts.sensitive import Sensitive, SensitiveText
from lendrail.contracts.terms import Money, Offer, Report, Status
from lendrail.runtime.clock import utc_now

READER, OPERATOR = bearer("applications:read"), bearer("operator")


async def test_the_owner_sees_the_whole_truth(bench: Bench, client: httpx.AsyncClient) -> None:
    deal = Deal()
    offer = Offer(
        id="base one",
        variant="12/3",
        amount=Money.model_validate({"amount": "30000", "currency": "USD"}),
        action_link=Sensitive("https://offers.example.test/fake"),
    )
    report = Report(status=Status.APPROVED, words="Approval Sent", offers=(offer,), notes=SensitiveText("call Testa"))
    await bench.deliver(deal.validated())
    await bench.deliver(deal.ack(report=report))
    reply = await client.get(f"/v1/opportunities/{deal.id}", headers=READER)
    assert reply.status_code == 200
    body = reply.json()
    assert (body["status"], body["version"], body["source"]) == ("approved", 2, "ack")
    assert (body["partnerWords"], body["notes"]) == ("Approval Sent", "call Testa")
    handed_over = f"/v1/opportunities/{deal.id}/offers/base%20one/link?variant=12%2F3"
    assert body["offers"][0]["linkPath"] == handed_over
    assert "offers.example.test" not in reply.text
    assert body["observations"][1]["said"]["report"]["offers"] == body["offers"]
    assert body["offers"][0]["amount"] == {"amount": "30000", "currency": "USD"}
    assert 0 <= body["ageSeconds"] < 60
    assert [each["source"] for each in body["observations"]] == ["validation", "ack"]
    assert body["nextLook"]["reason"] == "sweep"


async def test_nobody_else_sees_it(bench: Bench, client: httpx.AsyncClient) -> None:
    deal = Deal()
    await bench.deliver(deal.validated())
    address = f"/v1/opportunities/{deal.id}"
    foreign = await client.get(address, headers=bearer("applications:read", tenant="other"))
    unknown = await client.get(f"/v1/opportunities/{uuid.uuid4()}", headers=READER)
    odd = await client.get(f"/v1/opportunities/{str(deal.id).upper()}", headers=READER)
    for answer in (foreign, unknown, odd):
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        told = answer.json()
        assert (told["code"], told["detail"]) == ("not-found", "You have no such opportunity.")
    assert (await client.get(address)).status_code == 401
    assert (await client.get(address, headers=OPERATOR)).status_code == 403


async def test_an_erased_person_is_shown_as_erased(bench: Bench, client: httpx.AsyncClient) -> None:
    deal = Deal()
    await bench.deliver(deal.validated())
    await bench.service.vault.erase(str(deal.application_id))
    body = (await client.get(f"/v1/opportunities/{deal.id}", headers=READER)).json()
    assert body["status"] == "erased"
    assert "observations" not in body


async def test_who_was_erased_elsewhere_is_shown_as_erased_at_once(
    make_bench: MakeBench, bench: Bench, client: httpx.AsyncClient
) -> None:
    """Whatever this process remembers: the store is asked."""
    deal = Deal()
    await bench.deliver(deal.validated())
    address = f"/v1/opportunities/{deal.id}"
    before = await client.get(address, headers=READER)
    elsewhere = await make_bench()
    await elsewhere.service.vault.erase(str(deal.application_id))
    after = await client.get(address, headers=READER)
    assert [before.json()["status"], after.json()["status"]] == ["submitting", "erased"]
    assert before.headers["cache-control"] == after.headers["cache-control"] == "no-store"
    assert (await client.get("/v1/orphans", headers=OPERATOR)).headers["cache-control"] == "no-store"
    assert (await client.get("/v1/looks", headers=OPERATOR)).headers["cache-control"] == "no-store"


async def test_operators_see_ids_and_times_of_orphans(bench: Bench, client: httpx.AsyncClient) -> None:
    orphan = Deal()
    await bench.deliver(orphan.webhook(received_at=make.NOW))
    assert (await client.get("/v1/orphans", headers=READER)).status_code == 403
    (found,) = (await client.get("/v1/orphans", headers=OPERATOR)).json()["orphans"]
    assert found["partnerId"] == orphan.partner_id
    assert found["receivedAt"].startswith("2026-03-02T10:30:00")
    assert set(found) == {"id", "partner", "credential", "partnerId", "receivedAt"}
    others = await client.get("/v1/orphans", headers=bearer("operator", tenant="other"))
    assert others.json() == {"orphans": []}


async def test_operators_see_looks_that_told_nothing(bench: Bench, client: httpx.AsyncClient) -> None:
    deal, fine = Deal(), Deal()
    await bench.deliver(deal.ack(), fine.ack())
    failure = {"fetch.failures": 3, "fetch.error": "unreadable-reply"}
    kept = {"fetch.kept": {"raw": b"sealed Testa", "key": "k", "bytes": 12, "at": make.NOW}}
    await bench.opportunities.update_one({"_id": str(deal.id)}, {"$set": failure | kept})
    feed = {"_id": support.CREDENTIAL, "tenant": support.TENANT, "partner": PARTNER, "credential": support.CREDENTIAL}
    await bench.parts.feeds.collection.insert_one(feed | {"fetch": {"failures": 1, "error": "deadline"}})
    assert (await client.get("/v1/looks", headers=READER)).status_code == 403
    answer = await client.get("/v1/looks", headers=OPERATOR)
    first, second = answer.json()["looks"]
    assert (first["opportunityId"], first["failures"], first["error"]) == (str(deal.id), 3, "unreadable-reply")
    assert first["unreadableReply"] == {"keptAt": "2026-03-02T10:30:00+00:00", "bytes": 12}
    assert (second["feed"], second["error"], second["due"]) == (support.CREDENTIAL, "deadline", None)
    assert "Testa" not in answer.text
    others = await client.get("/v1/looks", headers=bearer("operator", tenant="other"))
    assert others.json() == {"looks": []}
    shown = (await client.get(f"/v1/opportunities/{deal.id}", headers=READER)).json()
    assert (shown["unreadableReply"]["bytes"], shown["kind"]) == (12, "lender")


async def test_all_that_a_partner_told_is_shown(bench: Bench, client: httpx.AsyncClient) -> None:
    deal = Deal()
    told = {
        "contact": {"name": "Testa Fakely", "email": "testa@partner.example.test"},
        "closeChance": "62.5",
        "closesOn": "2026-04-01",
        "commission": {"amount": "250.00", "currency": "GBP"},
        "matches": [{"id": "FAKE-1", "kind": "EXCT"}],
    }
    report = Report.model_validate({"status": "in-review", "words": "Working"} | told)
    await bench.deliver(deal.ack(report=report))
    assert "Fakely" not in repr(await bench.document(deal.id))
    body = (await client.get(f"/v1/opportunities/{deal.id}", headers=READER)).json()
    assert {name: body[name] for name in told} == told


async def test_every_status_says_whose_word_it_is_of_when_and_when_there_is_more(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    deal = Deal()
    await bench.deliver(deal.validated())
    told_at = utc_now() - dt.timedelta(seconds=5)
    report = Report(status=Status.APPROVED, words="Approval Sent", partner_time=told_at)
    await bench.deliver(deal.ack(report=report))
    body = (await client.get(f"/v1/opportunities/{deal.id}", headers=READER)).json()
    assert {"source", "partnerTime", "statusReceivedAt", "observedAt", "ageSeconds", "nextCheckAt"} <= body.keys()
    assert dt.datetime.fromisoformat(body["partnerTime"]) == told_at <= dt.datetime.fromisoformat(body["nextCheckAt"])
    told = body["cause"]
    assert (told["channel"], told["event"]) == ("ack", body["observations"][-1]["id"])
    assert [(each["from"], each["to"]) for each in told["hops"]] == [
        ("partner", "received"),
        ("received", "heard"),
        ("heard", "told"),
    ]
    assert told["hops"][0]["milliseconds"] >= 5000
    assert [each.model_dump(mode="json", by_alias=True)["cause"] for each in await bench.told(deal.id)][-1]["hops"]


async def test_a_status_is_as_old_as_the_last_look_that_found_it(bench: Bench, client: httpx.AsyncClient) -> None:
    """In whole seconds, as everywhere."""
    deal, now = Deal(), utc_now()
    told_at = now - dt.timedelta(hours=5)
    report = Report(status=Status.APPROVED, words="Approval Sent", partner_time=told_at)
    await bench.deliver(deal.ack(report=report, asked_at=told_at))

    async def seen() -> tuple[str, int]:
        body = (await client.get(f"/v1/opportunities/{deal.id}", headers=READER)).json()
        age = body["ageSeconds"]
        assert isinstance(age, int)
        assert abs((utc_now() - dt.datetime.fromisoformat(body["seenAt"])).total_seconds() - age) < 5
        return body["observedAt"], round(age / 3600)

    observed, hours = await seen()
    assert (dt.datetime.fromisoformat(observed), hours) == (told_at, 5)
    look = {"fetch.seen_at": now - dt.timedelta(hours=2)}
    await bench.opportunities.update_one({"_id": str(deal.id)}, {"$set": look})
    assert await seen() == (observed, 2), "it was looked at, and nothing was new"
    then = {"asOf": (now - dt.timedelta(hours=1)).isoformat()}
    body = (await client.get(f"/v1/opportunities/{deal.id}", headers=READER, params=then)).json()
    assert body["ageSeconds"] == 4 * 3600


async def test_what_happened_when_and_what_we_knew_when(bench: Bench, client: httpx.AsyncClient) -> None:
    deal, address = Deal(), "/v1/opportunities/{}"
    offer = Offer(id="base", amount=Money.model_validate({"amount": "30000", "currency": "USD"}))
    await bench.deliver(deal.validated())
    await asyncio.sleep(0.02)
    between = utc_now()
    await asyncio.sleep(0.02)
    long_ago = make.NOW
    report = Report(status=Status.APPROVED, words="Approval Sent", partner_time=long_ago, offers=(offer,))
    await bench.deliver(deal.ack(report=report))

    async def asked(**times: dt.datetime) -> httpx.Response:
        texts = {name: at.isoformat() for name, at in times.items()}
        return await client.get(address.format(deal.id), headers=READER, params=texts)

    knew, was, both = (
        await asked(knownAt=between),
        await asked(asOf=between),
        await asked(asOf=between, knownAt=between),
    )
    assert [each.json()["status"] for each in (knew, was, both)] == ["submitting", "approved", "submitting"]
    assert (knew.json()["version"], "version" in was.json()) == (1, False)
    assert knew.json()["knownAt"] == between.isoformat().replace("+00:00", "Z")
    assert [len(each.json()["observations"]) for each in (knew, was)] == [1, 2]
    assert was.json()["offerHistory"][0]["original"] == was.json()["offerHistory"][0]["latest"]
    early = await asked(knownAt=long_ago)
    assert (early.status_code, early.json()["code"]) == (404, "not-known-then")
    assert (await asked(asOf=long_ago)).json()["status"] == "approved"
    bad = await client.get(address.format(deal.id) + "?asOf=Testa", headers=READER)
    assert (bad.status_code, bad.json()["code"], "Testa" in bad.text) == (400, "time-invalid", False)
    await bench.service.vault.erase(str(deal.application_id))
    assert (await asked(knownAt=between)).json()["status"] == "erased"
