"""When a partner is looked at next: by its own schedule, which its own word begins anew."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests import support
from tests.status.bench import PARTNER, Bench, Deal
from tests.status.conftest import MakeBench

from lendrail.contracts.terms import Report, Status
from lendrail.partners import PARTNERS
from lendrail.partners.polling import Polling
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import Document
from lendrail.status.folding.observation import State
from lendrail.status.settings import Settings
from lendrail.status.timing import SPREAD_SECONDS, Timing

Use = Callable[..., None]
POLL = (5.0, 60.0, 600.0)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    def use(**changes: Any) -> None:
        monkeypatch.setitem(PARTNERS, PARTNER, replace(PARTNERS[PARTNER], **changes))

    return use


def waits(longest: float | None = None, status: Status = Status.IN_REVIEW, silent: bool = False) -> list[float]:
    """Seconds until the next look after the first, second … look in a row that brought nothing, of a young deal."""
    told = SimpleNamespace(sweep_seconds=900.0, longest_wait_seconds=longest, recheck_seconds=15.0)
    timing, now = Timing(cast(Settings, told), lambda _: silent), dt.datetime.now(dt.UTC)
    names = dict.fromkeys(("_id", "application_id", "tenant", "mode", "credential", "opportunity_id"), "fake")
    state = State(status=status, source="poll", observed_at=now)
    fields = [
        timing.after_look(names | {"partner": PARTNER, "fetch": {"quiet": n}}, "t", now, state, False) for n in range(8)
    ]
    amounts = [each["fetch.every"]["$divide"][0] for each in fields]
    return [(each if isinstance(each, int) else each["$switch"]["default"]) / 1000 for each in amounts]


def rounded(seconds: list[float], steps: tuple[float, ...]) -> list[float]:
    """Each wait as the step that it is, spread over a tenth."""
    return [next(step for step in steps if step * 0.99 <= each <= step * 1.101) for each in seconds]


def test_the_partners_schedule_counts_and_its_last_step_repeats(use: Use) -> None:
    assert rounded(waits(), (900.0, 1800.0, 3600.0, 7200.0))[-1] == 7200.0, "without one, as the service is set"
    use(poll=Polling(waits=POLL, stages={Status.APPROVED: (3600.0,)}))
    assert rounded(waits(), POLL) == [60.0, *[600.0] * 7]
    assert rounded(waits(status=Status.APPROVED), (3600.0,)) == [3600.0] * 8, "a stage has a schedule of its own"
    assert rounded(waits(longest=30.0), (30.0,)) == [30.0] * 8, "a setting caps any schedule"


def test_a_silent_partner_is_looked_at_more_often_but_never_faster_than_its_shortest_wait(use: Use) -> None:
    use(poll=Polling(waits=POLL))
    assert rounded(waits(silent=True), (15.0, 150.0)) == [15.0, *[150.0] * 7]
    use(poll=Polling(waits=(60.0,)))
    assert rounded(waits(silent=True), (60.0,)) == [60.0] * 8


async def looked(bench: Bench, deal: Deal, **fetch: Any) -> Document:
    """The document after one look that brought no news; `fetch`: how it was before, times in seconds from now."""
    times = {k: utc_now() + dt.timedelta(seconds=v) if k != "quiet" else v for k, v in fetch.items()}
    await bench.opportunities.update_one({"_id": str(deal.id)}, {"$set": {f"fetch.{k}": v for k, v in times.items()}})
    document = await bench.document(deal.id)
    state = State.model_validate(
        document["state"], context={"key": await bench.service.vault.get(document["application_id"])}
    )
    fields = bench.parts.timing.after_look(document, "none", utc_now(), state, False)
    await bench.opportunities.update_one({"_id": str(deal.id)}, [{"$set": fields}])
    return await bench.document(deal.id)


async def test_old_deals_are_looked_at_seldom_and_silent_ones_in_the_end_not_at_all(bench: Bench, use: Use) -> None:
    day = 86_400.0
    use(poll=Polling(waits=(60.0,), aging=((7 * day, 3600.0), (30 * day, 7200.0)), ends_after=90 * day))
    deal = Deal()
    await bench.deliver(deal.ack())
    for age, wait in ((6, 60), (8, 3600), (29, 3600), (31, 7200)):
        document = await looked(bench, deal, first=-age * day)
        assert wait <= document["fetch"]["every"] <= wait * 1.11, age
        assert wait - 5 <= await left(bench, deal) <= wait * 1.11
        assert "ended" not in document["fetch"]
    document = await looked(bench, deal, until=-1)
    assert "due" not in document
    assert abs((document["fetch"]["ended"] - utc_now()).total_seconds()) < 5
    await bench.deliver(deal.webhook())
    assert (await bench.document(deal.id))["fetch"]["reason"] == "hint", "a call is still followed"
    await bench.deliver(deal.ack(attempt_version=2, report=Report(status=Status.REFERRED, words="Referred")))
    await bench.opportunities.update_one({"_id": str(deal.id)}, {"$set": {"fetch.reason": "sweep"}})
    await bench.deliver(deal.ack(attempt_version=3, report=Report(status=Status.IN_REVIEW, words="Working")))
    document = await bench.document(deal.id)
    assert ("ended" in document["fetch"], document["fetch"]["until"] > utc_now()) == (False, True), "news begin it anew"


@pytest.mark.parametrize(("reason", "ends"), [("sweep", True), ("hint", False)])
async def test_a_partner_that_never_answers_is_not_asked_for_ever(bench: Bench, reason: str, ends: bool) -> None:
    deal = Deal()
    await bench.deliver(deal.ack())
    for over in (False, True):
        before = {"fetch.reason": reason, "fetch.until": utc_now() + dt.timedelta(hours=-1 if over else 1)}
        await bench.opportunities.update_one({"_id": str(deal.id)}, {"$set": before})
        document = await bench.document(deal.id)
        fields = bench.parts.timing.after_failure(document, "none", "deadline", None)
        await bench.opportunities.update_one({"_id": str(deal.id)}, [{"$set": fields}])
        document = await bench.document(deal.id)
        assert ("due" not in document, "ended" in document["fetch"]) == (over and ends,) * 2
        assert document["fetch"]["error"] == "deadline"


async def test_a_promised_time_is_a_time_to_look(bench: Bench, use: Use) -> None:
    use(poll=Polling(waits=(5 * 3600.0,), turnaround={Status.REFERRED: 3600.0}))
    deal, closing = Deal(), Deal()
    await bench.deliver(deal.ack(report=Report(status=Status.REFERRED, words="Referred")))
    assert 3590 < await left(bench, deal) < 3600 + SPREAD_SECONDS, "what the partner publishes"
    tomorrow = (utc_now() + dt.timedelta(days=1)).date()
    await bench.deliver(closing.ack(report=Report(status=Status.APPROVED, words="Sale", closes_on=tomorrow)))
    (noon,) = (await bench.document(closing.id))["fetch"]["promised"]
    assert (noon.date(), noon.hour) == (tomorrow, 12)
    kept = await looked(bench, deal, quiet=3)
    assert kept["due"] == kept["fetch"]["promised"][0], "also after a look"
    over = await looked(bench, deal, since=-7200)
    assert (over["due"] - utc_now()).total_seconds() > 4 * 3600, "one that is over asks for no look"


async def left(bench: Bench, deal: Deal) -> float:
    """Seconds until the next look."""
    return float(((await bench.document(deal.id))["due"] - utc_now()).total_seconds())


async def test_the_partners_word_begins_the_schedule_anew(bench: Bench, use: Use) -> None:
    use(poll=Polling(waits=POLL))
    deal = Deal()
    await bench.deliver(deal.ack())
    assert 3 < await left(bench, deal) < 6
    later = {"due": utc_now() + dt.timedelta(seconds=500), "fetch.quiet": 3}
    await bench.opportunities.update_one({"_id": str(deal.id)}, {"$set": later})
    await bench.deliver(deal.ack(operation="document", attempt_id=deal.application_id, document="a.pdf"))
    assert await left(bench, deal) > 400, "that a document went there is no word of the partner"
    await bench.deliver(deal.ack(attempt_version=2, report=Report(status=Status.REFERRED, words="Referred")))
    assert 3 < await left(bench, deal) < 6
    assert (await bench.document(deal.id))["fetch"]["quiet"] == 0


async def test_nothing_is_polled_that_cannot_be(bench: Bench, use: Use) -> None:
    use(poll=Polling(waits=POLL))
    nameless, decided = Deal(), Deal()
    await bench.deliver(nameless.ack("accepted-id-unknown"))
    await bench.deliver(decided.ack(report=Report(status=Status.DECLINED, words="Declined")))
    without = decided.ack(partner_id=None, report=Report(status=Status.DECLINED, words="Declined"))
    assert without.partner_id is None
    use(read=None)
    mute = Deal()
    await bench.deliver(mute.ack())
    await bench.deliver(mute.webhook())
    for deal in (nameless, decided, mute):
        assert "due" not in await bench.document(deal.id)


async def test_the_schedule_is_followed(make_bench: MakeBench, use: Use) -> None:
    """The partner is away, so looks fail; what counts is that the first one comes after the capped wait."""
    use(poll=Polling(waits=(3600.0,)))
    bench = await make_bench(longest_wait_seconds="0.2")
    bench.work()
    deal = Deal()
    await bench.deliver(deal.ack())

    async def tried() -> bool:
        return bool((await bench.document(deal.id))["fetch"].get("failures"))

    await support.eventually(tried, 10)
