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

from lendrail.contracts.terms import Report, Status, utc_now
from lendrail.partners import PARTNERS
from lendrail.status.settings import Settings
from lendrail.status.timing import Timing

Use = Callable[..., None]
POLL = (5.0, 60.0, 600.0)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    def use(**changes: Any) -> None:
        monkeypatch.setitem(PARTNERS, PARTNER, replace(PARTNERS[PARTNER], **changes))

    return use


def waits(longest: float | None = None) -> list[float]:
    """Seconds until the next look after the first, second … look in a row that brought nothing."""
    told = SimpleNamespace(sweep_seconds=900.0, longest_wait_seconds=longest, recheck_seconds=15.0)
    timing = Timing(cast(Settings, told))
    fields = [
        timing.after_look({"partner": PARTNER, "fetch": {"quiet": n}}, "t", dt.datetime.now(dt.UTC), False, False)
        for n in range(8)
    ]
    return [each["due"]["$cond"][2]["$dateAdd"]["amount"] / 1000 for each in fields]


def rounded(seconds: list[float], steps: tuple[float, ...]) -> list[float]:
    """Each wait as the step that it is, spread over a tenth."""
    return [next(step for step in steps if step * 0.99 <= each <= step * 1.101) for each in seconds]


def test_the_partners_schedule_counts_and_its_last_step_repeats(use: Use) -> None:
    assert rounded(waits(), (900.0, 1800.0, 3600.0, 7200.0))[-1] == 7200.0, "without one, as the service is set"
    use(poll=POLL)
    assert rounded(waits(), POLL) == [60.0, *[600.0] * 7]
    assert rounded(waits(longest=30.0), (30.0,)) == [30.0] * 8, "a setting caps any schedule"


async def left(bench: Bench, deal: Deal) -> float:
    """Seconds until the next look."""
    return float(((await bench.document(deal.id))["due"] - utc_now()).total_seconds())


async def test_the_partners_word_begins_the_schedule_anew(bench: Bench, use: Use) -> None:
    use(poll=POLL)
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
    use(poll=POLL)
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
    use(poll=(3600.0,))
    bench = await make_bench(longest_wait_seconds="0.2")
    bench.work()
    deal = Deal()
    await bench.deliver(deal.ack())

    async def tried() -> bool:
        return bool((await bench.document(deal.id))["fetch"].get("failures"))

    await support.eventually(tried, 10)
