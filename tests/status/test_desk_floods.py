"""Many calls at once that no opportunity claims: the list says which it is asked for, and who dismisses them together
takes what he means and no more.
"""

import asyncio
import datetime as dt
import uuid
from collections.abc import Iterable
from typing import Any

import pytest
from tests import support
from tests.status.bench import PARTNER, Bench, Deal
from tests.status.conftest import MakeBench
from tests.status.deskwork import REASON, Operator, call, desk_of
from tests.status.deskwork import operator as operator
from tests.status.deskwork import reports_by_itself as reports_by_itself

from lendrail.contracts.terms import Status
from lendrail.runtime.audit_chain import Chain
from lendrail.runtime.audit_verify import verify
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import Collection, Document
from lendrail.status.desk import dismissing

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("reports_by_itself")]
HOUR = dt.timedelta(hours=1)


def dismissals(bench: Bench) -> Collection:
    return bench.service.database["dismissals"]


async def forged(bench: Bench, count: int, **more: Any) -> None:
    """Calls that prove nothing, about deals that nobody knows."""
    await bench.deliver(*(call(Deal(), "approved", f"FAKE.{n}", verification="hint", **more) for n in range(count)))


async def kept(bench: Bench, **more: Any) -> str:
    """A call as a feed's entry or a file's row is kept."""
    now, identity = utc_now(), str(uuid.uuid4())
    names = {"_id": identity, "tenant": support.TENANT, "partner": PARTNER, "credential": support.CREDENTIAL}
    times = {"received_at": now, "expires": now + HOUR}
    document = names | times | {"partner_id": "FAKE.kept", "words": "Approved"} | more
    await bench.parts.orphans.insert_one(document)
    return identity


async def shown(operator: Operator, **wanted: Any) -> list[Document]:
    found: list[Document] = (await operator.get("/orphans", **wanted))["orphans"]
    return found


def sources(found: Iterable[Document]) -> list[tuple[str, bool]]:
    return sorted((each["source"], each["proven"]) for each in found)


async def dismiss(operator: Operator, key: str = "", **wanted: Any) -> Any:
    return await operator.post("/orphans/dismiss", {"reason": REASON} | wanted, key)


async def test_the_list_shows_what_it_is_asked_for(bench: Bench, operator: Operator) -> None:
    early = utc_now() - 5 * HOUR
    await forged(bench, 2)
    await bench.deliver(call(Deal(), "declined", "FAKE.a", received_at=early, credential="second"))
    await kept(bench)
    row = await kept(bench, source="csv", mode="test", verified=True, partner="email-lender", row_keys={"ours": "1"})
    every = [("csv", True), ("feed", True), ("webhook", False), ("webhook", False), ("webhook", True)]
    assert sources(await shown(operator)) == every
    before = (early + HOUR).isoformat()
    for wanted, found in (
        ({"partner": "email-lender"}, every[:1]),
        ({"credential": "second"}, every[4:]),
        ({"source": "webhook"}, every[2:]),
        ({"source": "feed"}, every[1:2]),
        ({"source": "csv"}, every[:1]),
        ({"proven": "false"}, every[2:4]),
        ({"proven": "true"}, [*every[:2], every[4]]),
        ({"receivedTo": before}, every[4:]),
        ({"receivedFrom": before}, every[:4]),
        ({"source": "webhook", "proven": "true", "receivedFrom": before}, []),
        ({"partner": "nobody"}, []),
    ):
        assert sources(await shown(operator, **wanted)) == found, wanted
    assert [each["id"] for each in await shown(operator, source="csv")] == [row]
    for wanted in ({"source": "mail"}, {"prooven": "true"}, {"receivedTo": "2026-03-02T10:30:00"}, {"partner": "a b"}):
        assert (await operator.client.get("/v1/desk/orphans", params=wanted)).status_code == 422, wanted


async def test_a_flood_is_dismissed_and_nothing_that_was_proven(bench: Bench, operator: Operator) -> None:
    await forged(bench, 30)
    await bench.deliver(call(Deal(), "declined", "FAKE.a"))
    await kept(bench)
    await kept(bench, source="csv", mode="test", verified=True)
    looked = await dismiss(operator, dryRun=True)
    assert (looked.status_code, looked.json()) == (200, {"dryRun": True, "count": 30, "more": False})
    assert len(await shown(operator)) == 33, "that was to look only"
    assert await dismissals(bench).count_documents({}) == 0
    answer = (await dismiss(operator)).json()
    assert (answer["count"], answer["more"]) == (30, False)
    assert sources(await shown(operator)) == [("csv", True), ("feed", True), ("webhook", True)]
    assert (await operator.get())["orphans"]["count"] == 3
    assert (await dismiss(operator)).json()["code"] == "no-such-calls"
    assert (await dismiss(operator, proven=True, source="webhook")).json()["count"] == 1, "it was stated"
    assert sources(await shown(operator)) == [("csv", True), ("feed", True)]


async def test_only_what_fits_is_dismissed(bench: Bench, operator: Operator) -> None:
    early = utc_now() - 5 * HOUR
    await forged(bench, 3)
    await forged(bench, 4, received_at=early)
    await forged(bench, 2, credential="second")
    await forged(bench, 1, tenant_id="other")
    await forged(bench, 1, mode="live")
    assert (await dismiss(operator, credential="second")).json()["count"] == 2
    assert (await dismiss(operator, receivedTo=(early + HOUR).isoformat())).json()["count"] == 4
    assert (await dismiss(operator, partner=PARTNER)).json()["count"] == 3
    assert await bench.parts.orphans.count_documents({"dismissed": {"$exists": False}}) == 2, "others' and live ones"


async def test_who_and_why_is_in_the_audit_once_for_all_of_them(bench: Bench, operator: Operator) -> None:
    await forged(bench, 5)
    answer = (await dismiss(operator, partner=PARTNER)).json()
    (act,) = await dismissals(bench).find().to_list()
    (entry,) = act["audit"]
    assert (entry["what"], entry["who"], entry["of"]) == ("orphans-dismissed", "test", f"dismissals/{answer['id']}")
    assert entry["about"] == {"calls": "5", "proven": "false", "partner": PARTNER}
    sealed = await bench.service.vault.find([entry["key"]])
    assert sealed[entry["key"]].open(entry["why"]) == REASON
    marked = await bench.parts.orphans.find({"dismissal": answer["id"]}).to_list()
    assert len(marked) == 5
    assert not any("audit" in each for each in marked), "a flood makes no flood of entries"
    chain = Chain("status", bench.service.database, [dismissals(bench)])
    await chain.prepare()
    await chain.round()
    verdict = await verify("status", bench.service.database)
    assert (verdict.broken, verdict.links, verdict.waiting) == (None, 1, 0)


async def test_the_same_request_is_carried_out_once(bench: Bench, operator: Operator) -> None:
    await forged(bench, 3)
    first = await dismiss(operator, "k-1")
    await forged(bench, 2)
    again = await dismiss(operator, "k-1")
    assert (first.status_code, again.json()) == (200, first.json())
    assert len(await shown(operator)) == 2, "what came later was not meant"
    assert (await dismiss(operator, "k-1", partner=PARTNER)).json()["code"] == "idempotency-key-reused"
    both = await asyncio.gather(*(dismiss(operator, "k-2") for _ in range(4)))
    assert [each.json()["count"] for each in both] == [2] * 4
    assert await dismissals(bench).count_documents({}) == 2


async def test_one_call_takes_so_many_and_says_that_there_are_more(
    bench: Bench, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dismissing, "MOST", 4)
    monkeypatch.setattr(dismissing, "MOST_COUNTED", 8)
    await forged(bench, 10)
    assert (await dismiss(operator, dryRun=True)).json() == {"dryRun": True, "count": 8, "more": True}
    told = [(await dismiss(operator)).json() for _ in range(3)]
    assert [(each["count"], each["more"]) for each in told] == [(4, True), (4, True), (2, False)]
    assert await shown(operator) == []


async def test_a_dismissal_that_died_is_finished(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = await make_bench(orphan_sweep_seconds="0.1")
    operator = Operator(bench)
    await forged(bench, 3)
    part = desk_of(bench).dismissing
    with pytest.MonkeyPatch.context() as dying:
        dying.setattr(part, "finish", _nothing)
        assert (await dismiss(operator)).json()["count"] == 3
    await forged(bench, 1)
    assert len(await shown(operator)) == 4
    sweep = asyncio.create_task(part.run())

    async def finished() -> bool:
        return len(await shown(operator)) == 1

    await support.eventually(finished)
    sweep.cancel()
    (act,) = await dismissals(bench).find().to_list()
    assert "calls" not in act
    assert 44 < (act["expires"] - utc_now()).days + 1 < 46, "as long as calls are kept"
    await operator.client.aclose()


async def _nothing(_: Document) -> None:
    return


async def test_a_call_whose_opportunity_becomes_known_is_heard_all_the_same(bench: Bench, operator: Operator) -> None:
    deal = Deal()
    await bench.deliver(call(deal, "approved", deal.partner_id))
    await forged(bench, 2)
    assert (await dismiss(operator, proven=True)).json()["count"] == 1
    await bench.deliver(deal.ack())
    assert (await bench.told(deal.id))[-1].status is Status.APPROVED
    assert await bench.parts.orphans.count_documents({"partner_id": deal.partner_id}) == 0


async def test_what_cannot_be_meant_is_refused(bench: Bench, operator: Operator) -> None:
    await forged(bench, 1)
    for body, code in (
        ({"reason": None}, "reason-missing"),
        ({"dryrun": True}, "invalid-request"),
        ({"source": "mail"}, "invalid-request"),
        ({"receivedTo": "yesterday"}, "invalid-request"),
        ({"proven": None}, "invalid-request"),
    ):
        assert (await dismiss(operator, **body)).json()["code"] == code, body
    keyless = await operator.client.post("/v1/desk/orphans/dismiss", json={"reason": REASON})
    assert (keyless.status_code, keyless.json()["code"]) == (400, "idempotency-key-missing")
    reader = Operator(bench, scope="applications:read")
    assert (await dismiss(reader)).status_code == 403
    await reader.client.aclose()
    assert len(await shown(operator)) == 1


async def test_what_was_dismissed_costs_the_list_nothing(bench: Bench, operator: Operator) -> None:
    """Nor does a flood of unproven calls cost whoever looks for proven ones."""
    now = utc_now()
    names = {"tenant": support.TENANT, "mode": "test", "partner": PARTNER, "credential": support.CREDENTIAL}
    old = names | {"received_at": now - HOUR, "verified": False}
    await bench.parts.orphans.insert_many([old | {"_id": f"gone-{n}", "dismissed": now} for n in range(2000)])
    await bench.parts.orphans.insert_many([old | {"_id": f"forged-{n}"} for n in range(1000)])
    await bench.parts.orphans.insert_one(old | {"_id": "proven", "verified": True, "received_at": now})
    assert await _examined(bench, operator, "proven=true", ["proven"]) < 20
    assert await _examined(bench, operator, "receivedFrom=" + now.isoformat()[:19] + "Z", ["proven"]) < 20
    assert await _examined(bench, operator, "", None) < 1020


async def _examined(bench: Bench, operator: Operator, query: str, found: list[str] | None) -> int:
    """Documents that MongoDB looked at for one list, by its own profiler."""
    database = bench.service.database
    await database.command("profile", 2)
    answer = await operator.client.get(f"/v1/desk/orphans?{query}")
    await database.command("profile", 0)
    told = answer.json()
    assert found is None or [each["id"] for each in told["orphans"]] == found
    (looked,) = await database["system.profile"].find({"command.find": "orphans"}).sort("ts", -1).limit(1).to_list()
    assert not looked.get("hasSortStage"), "it is read in order"
    return int(looked["docsExamined"])
