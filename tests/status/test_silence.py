"""Partners that fall silent are looked at more often, with one alarm, until they call again."""

import datetime as dt

import structlog
from tests import support
from tests.status.bench import Bench, Deal
from tests.status.open_deals import HOUR, ago, history, put

from lendrail.contracts.terms import Status
from lendrail.runtime.clock import utc_now
from lendrail.status.polling.silence import CHECK_SECONDS, Callers, Watch


async def test_a_partner_that_falls_silent_is_looked_at_more_often_until_it_calls_again(bench: Bench) -> None:
    """A credential that called every hour: after a day without a call the alarm comes once, whoever looks."""
    name = await put(bench, Status.APPROVED, HOUR)
    far = utc_now() + dt.timedelta(hours=20)
    await bench.opportunities.update_one({"_id": name}, {"$set": {"due": far}})
    callers, watch = bench.parts.watch._callers, bench.parts.watch
    other = Watch(Callers(callers.collection), bench.opportunities, bench.parts.timing)
    await history(bench, silent_hours=24)
    with structlog.testing.capture_logs() as logs:
        await watch.check()
        await other.check()
        await watch.check()
    alarms = [each for each in logs if each["log_level"] == "critical"]
    assert [(each["credential"], each["open"]) for each in alarms] == [(support.CREDENTIAL, 1)]
    assert callers.is_silent(support.CREDENTIAL)
    assert other._callers.is_silent(support.CREDENTIAL)
    document = await bench.opportunities.find_one({"_id": name}) or {}
    assert document["due"] < utc_now() + dt.timedelta(seconds=901), "it is looked at soon"
    slow = document["fetch"]["every"]
    deal = Deal()
    await bench.deliver(deal.webhook(foreign_id="nobody", received_at=utc_now()))
    with structlog.testing.capture_logs() as logs:
        await watch.check()
    assert [each["log_level"] for each in logs] == ["warning"]
    assert not callers.is_silent(support.CREDENTIAL)
    stored = await callers.collection.find_one({"_id": support.CREDENTIAL}) or {}
    assert not {"silent_since", "hurried"} & stored.keys()
    assert slow >= 900


async def test_no_alarm_for_want_of_deals_or_of_history(bench: Bench) -> None:
    await history(bench, silent_hours=24)
    await bench.parts.watch.check()
    assert not bench.parts.watch._callers.silent, "nothing is open, so nothing is to be told"
    await put(bench, Status.APPROVED, HOUR)
    callers = bench.parts.watch._callers.collection
    await callers.update_one({}, {"$set": {"usual_open": 50.0}})
    await bench.parts.watch.check()
    assert not bench.parts.watch._callers.silent, "one of fifty deals makes a fiftieth of the calls"
    await callers.update_one({}, {"$set": {"usual_open": 1.0, "first": int(utc_now().timestamp() // 3600) - 100}})
    await bench.parts.watch.check()
    assert not bench.parts.watch._callers.silent
    await callers.update_one({}, {"$set": {"first": int(utc_now().timestamp() // 3600) - 500}})
    await bench.parts.watch.check()
    assert bench.parts.watch._callers.silent


async def test_whoever_dies_after_the_alarm_leaves_the_rest_to_the_next(bench: Bench) -> None:
    name = await put(bench, Status.APPROVED, HOUR)
    await bench.opportunities.update_one({"_id": name}, {"$set": {"due": ago(-20 * HOUR)}})
    await history(bench, silent_hours=24)
    callers = bench.parts.watch._callers.collection
    await callers.update_one({}, [{"$set": {"silent_since": "$$NOW"}}])
    await bench.parts.watch.check()
    assert ((await bench.opportunities.find_one({"_id": name})) or {})["due"] < ago(-901)
    assert ((await callers.find_one({})) or {})["hurried"]


async def test_calls_are_counted_once_and_old_hours_are_forgotten(bench: Bench) -> None:
    deal, callers = Deal(), bench.parts.watch._callers.collection
    call = deal.webhook(foreign_id="nobody")
    for _ in range(3):
        await bench.deliver(call)
        bench.parts.watch._callers._noted.clear()
    (found,) = await callers.find().to_list()
    assert [bits.bit_count() for bits in found["slots"].values()] == [1]
    await callers.update_one({}, {"$set": {"slots.1000": 1, "first": 1000}})
    await bench.parts.watch.check()
    (found,) = await callers.find().to_list()
    assert "1000" not in found["slots"]
    assert found["first"] > 1000
    assert CHECK_SECONDS <= 60
