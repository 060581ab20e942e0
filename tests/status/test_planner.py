"""Which look is worth most, what a budget buys, and that the planner beats looking in turn on the same histories."""

import datetime as dt
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.status.bench import PARTNER

from lendrail.contracts.terms import Status
from lendrail.status.polling.habits import Stage, spells, table
from lendrail.status.polling.order import worth_of
from lendrail.status.polling.planner import WAITING, Group, bought, index, needed, staleness, worth

rates = st.floats(1e-9, 1e-1)
gaps = st.floats(1.0, 1e7)


def sum_of(function: Callable[[float], float], end: float, parts: int = 4000) -> float:
    """An integral from 0 on, by the rule of the middle."""
    width = end / parts
    return sum(function((n + 0.5) * width) for n in range(parts)) * width


@pytest.mark.parametrize("rate", [1e-8, 1e-5, 1e-3, 0.1])
@pytest.mark.parametrize("gap", [10.0, 1e3, 1e5])
def test_the_short_forms_are_the_integrals(rate: float, gap: float) -> None:
    assert index(rate, gap) == pytest.approx(sum_of(lambda t: t * -math.expm1(-rate * t), gap), rel=1e-3)
    wrong = sum_of(lambda t: (gap - t) * -math.expm1(-rate * t), gap) / gap
    assert staleness(rate, gap) == pytest.approx(wrong, rel=1e-3)


@given(rates, gaps, gaps)
def test_a_look_is_worth_more_the_longer_it_waits(rate: float, one: float, other: float) -> None:
    short, long = sorted((one, other))
    assert 0 <= worth(rate, short) <= worth(rate, long) * (1 + 1e-9)
    assert 0 <= staleness(rate, short) <= staleness(rate, long) * (1 + 1e-6) <= long


@given(rates, rates, gaps)
def test_what_changes_more_often_goes_first(one: float, other: float, gap: float) -> None:
    slow, fast = sorted((one, other))
    assert worth(slow, gap) <= worth(fast, gap) * (1 + 1e-6)


@given(rates, gaps, st.floats(0, 1))
def test_promises_and_readers_bring_a_look_forward(rate: float, gap: float, share: float) -> None:
    plain = worth(rate, gap)
    assert worth(rate, gap, [gap * 2]) == worth(rate, gap, [-1.0]) == plain, "not yet, or seen already"
    assert worth(rate, gap, [gap * share]) >= plain
    assert worth(rate, gap, [gap * share / 2]) >= worth(rate, gap, [gap * share]) * (1 - 1e-9)
    assert worth(rate, gap, waiting=True) == plain * WAITING


groups = st.lists(st.builds(Group, st.integers(1, 5000), st.floats(1e-8, 1e-2), st.floats(10, 1e5)), max_size=6)


@given(groups, st.floats(1e-4, 10))
def test_a_plan_is_never_worse_than_turns_nor_better_than_no_limit(known: Sequence[Group], budget: float) -> None:
    free, tight = bought(known, None), bought(known, budget)
    if not known:
        assert free is tight is None
        return
    assert free is not None
    assert tight is not None
    assert free.wanted == free.planned == free.in_turn == tight.wanted
    assert tight.wanted <= tight.planned * (1 + 1e-6)
    assert tight.planned <= tight.in_turn * (1 + 1e-3)
    if needed(known) <= budget:
        assert tight == free


def test_more_budget_buys_less_staleness() -> None:
    known = [Group(300, 1 / 7200, 900), Group(700, 1 / 864_000, 900)]
    found = [bought(known, looks / 3600) for looks in (60, 300, 1200, 3600)]
    planned = [round(each.planned) for each in found if each]
    assert planned == sorted(planned, reverse=True)
    assert planned[0] > 3 * planned[2]
    assert needed(known) * 3600 == pytest.approx(4000)


HOUR = 3600.0
BEGIN = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
LIVES: dict[Status, Callable[[random.Random], float]] = {
    Status.SUBMITTED: lambda chance: chance.expovariate(1 / (2 * HOUR)),
    Status.IN_REVIEW: lambda chance: chance.lognormvariate(math.log(20 * HOUR), 0.6),
    Status.APPROVED: lambda chance: chance.uniform(5 * 24, 20 * 24) * HOUR,
}
"""How long each stage lasts; then the deal ends."""


@dataclass
class Deal:
    """One deal's true history, and what was seen of it."""

    changes: list[tuple[float, Status]]
    seen_at: float = 0.0
    shown: Status = Status.SUBMITTED
    since: float = 0.0
    wrong: float = 0.0
    delays: list[float] = field(default_factory=list)

    def now(self, at: float) -> Status:
        return [status for time, status in self.changes if time <= at][-1]

    def look(self, at: float) -> None:
        """What the partner says; how long that was not what we showed."""
        missed = [time for time, _ in self.changes if self.seen_at < time <= at]
        if missed:
            self.delays += [at - time for time in missed]
            self.wrong += (at - missed[0]) ** 2 / 2
            self.since = at
        self.shown, self.seen_at = self.now(at), at


def history(chance: random.Random, begin: float) -> Deal:
    at, changes = begin, [(begin, Status.SUBMITTED)]
    for status, after in ((Status.SUBMITTED, Status.IN_REVIEW), (Status.IN_REVIEW, Status.APPROVED),
                          (Status.APPROVED, Status.FUNDED)):  # fmt: skip
        at += LIVES[status](chance)
        changes.append((at, after))
    return Deal(changes, seen_at=begin, since=begin)


def moment(at: float) -> dt.datetime:
    return BEGIN + dt.timedelta(seconds=at)


def learned(seed: int) -> Mapping[Status, Stage]:
    """From other deals than those that are planned, as they would be stored."""
    chance, found = random.Random(seed), []
    for _ in range(400):
        known = history(chance, 0.0)
        stored = [
            {"at": moment(at).isoformat(), "said": {"kind": "reported", "report": {"status": status.value}}}
            for at, status in known.changes
        ]
        found += spells(stored, None)
    return table(found)


Choose = Callable[[Sequence[Deal], float], Deal]


def simulate(choose: Choose, seed: int, looks_an_hour: float, days: float = 8.0) -> tuple[float, float]:
    """The mean staleness of all open deals over all time, and the mean delay until a change is seen; in seconds."""
    chance, end = random.Random(seed), days * 24 * HOUR
    deals = [history(chance, chance.uniform(-10 * 24, days * 24) * HOUR) for _ in range(160)]
    for each in deals:  # those that began earlier are seen as they stand at the beginning
        if each.changes[0][0] < 0:
            each.shown, each.seen_at = each.now(0.0), 0.0
            each.since = [at for at, _ in each.changes if at <= 0][-1]
    at, followed = 0.0, 0.0
    while at < end:
        open_ = [each for each in deals if each.changes[0][0] <= at and each.shown is not Status.FUNDED]
        if open_:
            choose(open_, at).look(at)
        followed += len(open_) * HOUR / looks_an_hour
        at += HOUR / looks_an_hour
    for each in deals:
        if each.changes[0][0] <= end:
            each.look(end)
    delays = [delay for each in deals for delay in each.delays]
    return sum(each.wrong for each in deals) / followed, sum(delays) / len(delays)


def in_turn(deals: Sequence[Deal], at: float) -> Deal:
    return min(deals, key=lambda each: each.seen_at)


def planned(stages: Mapping[Status, Stage]) -> Choose:
    """As the service ranks documents."""

    def document(deal: Deal, at: float) -> dict[str, Any]:
        fetch = {"seen_at": moment(deal.seen_at), "since": moment(deal.since)}
        return {"partner": PARTNER, "status": deal.shown.value, "now": moment(at), "fetch": fetch}

    return lambda deals, at: max(deals, key=lambda each: worth_of(document(each, at), stages.get(each.shown, Stage())))


@pytest.mark.parametrize("looks_an_hour", [4.0, 12.0])
def test_the_planner_beats_turns_on_the_same_histories(looks_an_hour: float) -> None:
    stages = learned(1)
    for seed in (2, 3):
        turns, turns_delay = simulate(in_turn, seed, looks_an_hour)
        plan, plan_delay = simulate(planned(stages), seed, looks_an_hour)
        print(f"{looks_an_hour:g} looks/h: staleness {turns:.0f} s in turn, {plan:.0f} s planned; "
              f"a change is seen after {turns_delay / 60:.0f} min, {plan_delay / 60:.0f} min")  # fmt: skip
        assert plan < 0.4 * turns
        assert plan_delay < 0.6 * turns_delay
