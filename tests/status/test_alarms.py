"""A registration that turns duplicate alarms every opportunity of its application that a lender has, each once."""

import uuid
from typing import Any

import structlog
from tests.status.bench import Bench, Deal

from lendrail.contracts.terms import Match, Report, Status, opportunity_id
from lendrail.status.alarms import DUPLICATE

CREDENTIAL = "demo-registry"


def of(deal: Deal) -> Deal:
    """Another opportunity of the same application."""
    other = Deal()
    other.application_id = deal.application_id
    other.id = opportunity_id(deal.application_id, "valiant", other.partner_id)
    other.attempt = uuid.uuid5(other.id, "attempt")
    return other


def registered(deal: Deal, version: int, status: Status) -> Any:
    matches = (Match(id="fake-match-1", kind="EXCT"),) if status is Status.DUPLICATE else ()
    report = Report(status=status, words=status.value, matches=matches)
    return deal.ack(attempt_version=version, report=report, partner="monetago", credential=CREDENTIAL)


async def flags(bench: Bench, *deals: Deal) -> list[bool]:
    return [DUPLICATE in (await bench.document(each.id))["state"]["flags"] for each in deals]


async def test_every_lender_that_has_it_is_alarmed_once(bench: Bench) -> None:
    registration = Deal()
    submitted, approved, funded, declined, planned, gated = (of(registration) for _ in range(6))
    stranger = Deal()
    await bench.deliver(registered(registration, 1, Status.APPROVED))
    await bench.deliver(submitted.ack(), stranger.ack())
    for each, status in ((approved, Status.APPROVED), (funded, Status.FUNDED), (declined, Status.DECLINED)):
        await bench.deliver(each.ack(report=Report(status=status, words=status.value)))
    await bench.deliver(planned.ack("not-sent", partner_id=None, next_check_at=None))
    await bench.deliver(gated.answer("gate"), gated.ack())
    everybody = (submitted, approved, funded, declined, planned, gated, stranger)
    alarms = bench.parts.alarms
    await alarms.tell()
    assert await flags(bench, *everybody) == [False] * 7, "it is unique so far"

    await bench.deliver(registered(registration, 2, Status.DUPLICATE))
    with structlog.testing.capture_logs() as logs:
        await alarms.tell()
        await alarms.tell()
    expected = [True, True, True, False, False, False, False]
    assert await flags(bench, *everybody) == expected, "submission tells those behind its gate"
    told = [each["opportunity"] for each in logs if each["log_level"] == "critical"]
    assert sorted(told) == sorted(str(each.id) for each in (submitted, approved, funded))
    for each, word in ((submitted, "submitted"), (approved, "approved"), (funded, "funded")):
        assert (await bench.statuses(each.id))[-1] == word, "nothing is taken back"
        assert [DUPLICATE in one.flags for one in await bench.told(each.id)][-2:] == [False, True]


async def test_whoever_dies_before_it_is_noted_repeats_harmlessly(bench: Bench) -> None:
    registration = Deal()
    lender, late = of(registration), of(registration)
    await bench.deliver(lender.ack())
    await bench.deliver(registered(registration, 1, Status.DUPLICATE))
    await bench.parts.alarms.tell()
    before = await bench.document(lender.id)
    await bench.deliver(late.ack())
    await bench.opportunities.update_one({"_id": str(registration.id)}, {"$unset": {"fetch.alarmed": ""}})
    await bench.parts.alarms.tell()
    after = await bench.document(lender.id)
    assert (after["version"], len(after["observations"])) == (before["version"], len(before["observations"]))
    assert await flags(bench, lender, late) == [True, True]


async def test_another_registration_that_is_a_duplicate_again_is_told_again(bench: Bench) -> None:
    registration = Deal()
    await bench.deliver(registered(registration, 1, Status.DUPLICATE))
    await bench.parts.alarms.tell()
    lender = of(registration)
    await bench.deliver(lender.ack())
    assert len([each for each in await bench.told(lender.id) if DUPLICATE in each.flags]) == 1
    anew = {"attempt_id": uuid.uuid4(), "generation": 2, "partner_id": str(uuid.uuid4())}
    for version, status in ((1, Status.APPROVED), (2, Status.DUPLICATE)):
        event = registered(registration, version, status).model_copy(update=anew)
        await bench.deliver(event)
        await bench.parts.alarms.tell()
    alarms = [
        each["at"] for each in (await bench.document(lender.id))["observations"] if each["said"]["kind"] == "alarmed"
    ]
    assert len(alarms) == 2


async def test_a_lender_that_has_it_only_after_the_round_is_alarmed_too(bench: Bench) -> None:
    """It was asked before the registry's word, or in spite of it, and answers later."""
    registration, stranger = Deal(), Deal()
    await bench.deliver(registered(registration, 1, Status.DUPLICATE))
    await bench.parts.alarms.tell()
    late, refused, gated = (of(registration) for _ in range(3))
    await bench.deliver(gated.answer("gate"))
    await bench.deliver(
        late.ack(),
        refused.ack(report=Report(status=Status.DECLINED, words="declined")),
        gated.ack(),
        stranger.ack(),
    )
    assert await flags(bench, late, refused, gated, stranger) == [True, False, False, False]
    again = late.ack(attempt_version=2)
    await bench.deliver(again)
    await bench.deliver(again)
    assert [DUPLICATE in each.flags for each in await bench.told(late.id)] == [False, True], "once"
