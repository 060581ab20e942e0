"""Looks under a budget, what is measured for them, and the page that tells of it all."""

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import support
from tests.status.bench import PARTNER, Bench, Deal, credentials_file
from tests.status.conftest import MakeBench
from tests.status.open_deals import HOUR, ago, history, put
from tests.status.reading import bearer

from lendrail.contracts.terms import Report, Status
from lendrail.runtime import due
from lendrail.runtime.clock import utc_now
from lendrail.status.polling import order as module
from lendrail.status.polling.habits import Stage
from lendrail.status.polling.order import Order
from lendrail.status.polling.readers import LOOKS_ENDED
from lendrail.status.polling.workers import LIMITED_LANES

READER, OPERATOR = bearer("applications:read"), bearer("operator")
SWEEPS = {"credential": support.CREDENTIAL, "fetch.reason": "sweep"}


def seldom(days: float) -> Stage:
    """A stage that lasts so long, as seen very often."""
    parts = len(Stage().exits)
    return Stage((1_000,) * parts, (1_000 * days * 86_400.0,) * parts)


async def test_under_a_budget_the_look_that_is_worth_most_goes_first(bench: Bench) -> None:
    stages = {Status.IN_REVIEW: seldom(0.1), Status.APPROVED: seldom(20)}
    quick = await put(bench, Status.IN_REVIEW, 2 * HOUR)
    older = await put(bench, Status.APPROVED, 3 * HOUR)
    fresh = await put(bench, Status.IN_REVIEW, HOUR / 60)
    read = await put(bench, Status.APPROVED, 3 * HOUR, read_at=ago(60))
    promised = await put(bench, Status.APPROVED, 3 * HOUR, promised=[ago(2 * HOUR)])
    later = await put(bench, Status.IN_REVIEW, 30 * HOUR)
    await bench.opportunities.update_one({"_id": later}, {"$set": {"due": ago(-60)}})
    order = Order(bench.opportunities, lambda _: stages)
    found = await order(SWEEPS, 10)
    assert set(found) == {quick, older, fresh, read, promised}, "what is not due is no choice"
    assert found.index(quick) < found.index(older)
    assert found.index(read) < found.index(older)
    assert found.index(promised) < found.index(older)
    assert found[-1] == fresh


async def test_a_chosen_look_that_somebody_else_took_is_not_made_twice(bench: Bench) -> None:
    names = [await put(bench, Status.IN_REVIEW, each * HOUR) for each in (3, 2, 1)]
    orders = [Order(bench.opportunities, lambda _: {}) for _ in range(2)]
    claimed = []
    for _ in range(3):
        for each in orders:
            claimed += [d["_id"] for d, _ in await due.take(bench.opportunities, await each(SWEEPS, 1), 60)]
    assert claimed == names, "each once, the oldest first where all are the same"


async def test_the_worker_of_a_credential_with_a_budget_follows_the_order(
    make_bench: MakeBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a partner that answers nothing: what counts is which opportunities are claimed first, one for each lane. Of
    these two any may be asked about first, and may have failed first.
    """
    bench = await make_bench(retry_seconds="[600]")
    for each in (9, 8, 7, 6):
        await put(bench, Status.APPROVED, each * HOUR)
    best = await put(bench, Status.APPROVED, HOUR)
    await bench.opportunities.update_one({"_id": best}, {"$set": {"due": utc_now()}})
    monkeypatch.setattr(module, "worth_of", lambda document, _: float(document["_id"] == best))
    credentials_file(tmp_path, rate={"requests": 1, "seconds": 0.3})
    leased = {"updateDescription.updatedFields.lease": {"$exists": True}}
    first: set[str] = set()
    async with await bench.opportunities.watch([{"$match": leased}]) as claims, asyncio.timeout(30):
        bench.work()
        while len(first) < LIMITED_LANES:
            first.add((await claims.next())["documentKey"]["_id"])
    assert best in first


async def test_reading_an_opportunity_makes_its_looks_worth_more(bench: Bench, client: httpx.AsyncClient) -> None:
    name = await put(bench, Status.APPROVED, HOUR)
    for expected in (True, False):
        before = (await bench.opportunities.find_one({"_id": name}) or {})["fetch"].get("read_at")
        assert (await client.get(f"/v1/opportunities/{name}", headers=READER)).status_code == 200
        after = (await bench.opportunities.find_one({"_id": name}) or {})["fetch"]["read_at"]
        assert (after != before) is expected, "it is noted now and then, not at each reading"
    assert (await client.get(f"/v1/opportunities/{uuid.uuid4()}", headers=READER)).status_code == 404


async def test_that_it_is_looked_at_no_more_is_shown(bench: Bench, client: httpx.AsyncClient) -> None:
    name = await put(bench, Status.APPROVED, 9 * HOUR, ended=ago(60))
    before = (await client.get(f"/v1/opportunities/{name}", headers=READER)).json()
    await bench.opportunities.update_one({"_id": name}, {"$unset": {"due": 1}})
    after = (await client.get(f"/v1/opportunities/{name}", headers=READER)).json()
    assert [LOOKS_ENDED in each["flags"] for each in (before, after)] == [False, True]
    assert (after["nextLook"], "looksEndedAt" in after, "nextCheckAt" in after) == (None, True, False)


async def measured(bench: Bench) -> dict[str, Any]:
    """After one turn of the worker."""
    await bench.parts.measuring.provide()
    await bench.parts.measuring.collection.update_many({}, [{"$set": {"due": "$$NOW"}}])
    for document, lease in await due.claim(bench.parts.measuring.collection, {}, 5, 60):
        await bench.parts.measuring.measure(document, lease, 0)
    (found,) = await bench.parts.measuring.collection.find().to_list()
    return found


async def test_what_is_measured_is_what_was_observed(bench: Bench) -> None:
    deal, open_ = Deal(), Deal()
    await bench.deliver(deal.ack(), open_.ack())
    times = [ago(7 * HOUR), ago(5 * HOUR), ago(2 * HOUR)]
    for number, (at, status) in enumerate(zip(times, (Status.IN_REVIEW, Status.APPROVED, Status.FUNDED), strict=True)):
        report = Report(status=status, words=status.value, partner_time=at)
        await bench.deliver(deal.ack(attempt_version=number + 2, report=report))
    await bench.opportunities.update_one({"_id": str(open_.id)}, {"$set": {"fetch.seen_at": ago(-HOUR)}})
    found = await measured(bench)
    stages = found["stages"]
    assert (found["_id"], found["deals"], set(stages)) == (PARTNER, 2, {"submitted", "in-review", "approved"})
    assert [sum(stages[each]["exits"]) for each in ("submitted", "in-review", "approved")] == [0, 1, 1]
    assert sum(stages["in-review"]["seconds"]) == pytest.approx(2 * HOUR, rel=0.01)
    assert sum(stages["approved"]["seconds"]) == pytest.approx(3 * HOUR, rel=0.01)
    assert sum(stages["submitted"]["seconds"]) == pytest.approx(HOUR, rel=0.1), "an open one counts as long as seen"
    again = await measured(bench)
    assert again["stages"] == stages, "counted anew, not on top"
    assert "lease" not in again
    other = bench.parts.measuring.__class__(
        bench.parts.measuring.collection, bench.opportunities, bench.parts.measuring._credentials
    )
    await other.learn()
    assert other.of(PARTNER) == bench.parts.measuring.of(PARTNER)


async def test_who_is_erased_is_counted_no_more(bench: Bench) -> None:
    deal = Deal()
    await bench.deliver(deal.ack(report=Report(status=Status.IN_REVIEW, words="Working")))
    assert set((await measured(bench))["stages"]) == {"in-review"}
    from lendrail.status.forget import Forgetter

    await Forgetter(bench.opportunities).forget([str(deal.application_id)])
    assert (await measured(bench))["stages"] == {}


async def test_operators_see_what_the_budget_buys(bench: Bench, client: httpx.AsyncClient, tmp_path: Path) -> None:
    rate = {"requests": 2, "seconds": 3600}
    credentials_file(tmp_path, rate=rate)
    for each in range(8):
        await put(bench, Status.APPROVED if each % 2 else Status.IN_REVIEW, (each + 1) * HOUR, every=900.0)
    ended = await put(bench, Status.APPROVED, 9 * HOUR, ended=ago(60))
    await bench.opportunities.update_one({"_id": ended}, {"$unset": {"due": 1}})
    final = Deal()
    await bench.deliver(final.ack(report=Report(status=Status.DECLINED, words="Declined")))
    await bench.opportunities.update_many({}, {"$set": {"state.observedAt": ago(10 * HOUR).isoformat()}})
    await history(bench, silent_hours=24)
    await bench.parts.watch.check()
    assert (await client.get("/v1/staleness", headers=READER)).status_code == 403
    answer = await client.get("/v1/staleness", headers=OPERATOR)
    assert answer.headers["cache-control"] == "no-store"
    (row,) = answer.json()["credentials"]
    assert (row["partner"], row["credential"], row["mode"]) == (PARTNER, support.CREDENTIAL, "test")
    assert (row["open"], row["followed"], row["overdue"]) == (9, 8, 8)
    assert row["looksPerHour"] == {"needed": 32.0, "budget": 2.0}
    ages = row["ageSeconds"]
    assert ages["p50"] == pytest.approx(5 * HOUR, rel=0.06)
    assert ages["max"] == pytest.approx(9 * HOUR, rel=0.01)
    assert ages["p50"] <= ages["p95"] <= ages["max"]
    buys = row["stalenessSeconds"]
    assert buys["wanted"] < buys["planned"] <= buys["inTurn"]
    assert row["webhooks"]["silentSince"] is not None
    assert row["webhooks"]["usualPerDay"] == pytest.approx(24, rel=0.1)
    (told,) = answer.json()["ended"]
    assert (told["opportunityId"], told["status"]) == (ended, "approved")
    others = (await client.get("/v1/staleness", headers=bearer("operator", tenant="other"))).json()
    assert others == {"credentials": [], "ended": []}


async def test_a_status_is_as_old_as_the_partners_last_word_where_nobody_looks(
    bench: Bench, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    """Also at a partner that neither calls nor can be asked: what it says comes in files."""
    by_file = {"partner": "email-lender", "credential": "demo-mail"}
    named = {"id": "demo-mail", "tenant": support.TENANT, "mode": "test", "baseUrl": "smtp://127.0.0.1:1"}
    file = credentials_file(tmp_path)
    known = json.loads(file.read_text())["credentials"]
    auth = {"scheme": "smtp", "username": "fake", "password": "fake"}
    file.write_text(json.dumps({"credentials": [*known, named | {"partner": "email-lender", "auth": auth}]}))
    told = Report(status=Status.IN_REVIEW, words="Working", partner_time=ago(2 * HOUR))
    sent = Report(status=Status.IN_REVIEW, words="in-review", partner_time=ago(50 * HOUR))
    await bench.deliver(Deal().ack(report=told))
    await bench.deliver(
        Deal().ack(**by_file, partner_id=None, report=sent),
        Deal().ack("not-sent", **by_file, partner_id=None, next_check_at=None),
    )
    rows = (await client.get("/v1/staleness", headers=OPERATOR)).json()["credentials"]
    ages = {row["partner"]: row["ageSeconds"]["max"] for row in rows}
    assert ages == {
        PARTNER: pytest.approx(2 * HOUR, rel=0.01),
        "email-lender": pytest.approx(50 * HOUR, rel=0.01),
    }
    assert [(row["open"], row["followed"]) for row in rows] == [(1, 1), (1, 0)]
