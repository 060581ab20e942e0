"""How long stages last and when a partner is silent: the estimators, against histories whose truth is known."""

import datetime as dt
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lendrail.contracts.terms import Status
from lendrail.status.folding.decided import FINAL
from lendrail.status.polling.habits import (
    EDGES,
    IMPROBABLE,
    LEAST_HOURS,
    USUAL_SECONDS,
    Calls,
    Spell,
    Stage,
    added,
    silent,
    slot,
    spells,
    table,
)

BEGIN = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
OPEN = [each for each in Status if each not in FINAL]


def spell(seconds: float, left: bool, status: Status = Status.IN_REVIEW) -> Spell:
    return Spell(status, BEGIN, BEGIN + dt.timedelta(seconds=seconds), left)


lives = st.lists(
    st.builds(
        spell,
        st.floats(0, 1e7, allow_nan=False),
        st.booleans(),
        st.sampled_from([Status.SUBMITTED, Status.IN_REVIEW, Status.DECLINED]),
    ),
    max_size=30,
)


@given(lives, lives)
def test_tables_add_up_in_any_order(one: list[Spell], other: list[Spell]) -> None:
    whole, parts = table(one + other), added(table(other), table(one))
    assert whole.keys() == parts.keys()
    for status, stage in whole.items():
        assert stage.exits == parts[status].exits
        assert stage.seconds == pytest.approx(parts[status].seconds, abs=1e-3)


@given(lives)
def test_a_table_loses_no_second_and_no_exit(known: list[Spell]) -> None:
    found = table(known)
    assert not FINAL & found.keys()
    for status, stage in found.items():
        mine = [each for each in known if each.status == status]
        assert sum(stage.seconds) == pytest.approx(sum(each.seconds for each in mine), abs=1e-3)
        assert sum(stage.exits) == sum(each.left for each in mine)


ages = st.integers(0, 20_000_000_000).map(lambda milliseconds: milliseconds / 1000)
"""Seconds, as fine as our clock is."""


@given(lives, ages, ages, ages)
def test_expected_changes_add_up_and_are_never_none(known: list[Spell], a: float, b: float, c: float) -> None:
    first, second, third = sorted((a, b, c))
    for stage in (Stage(), *table(known).values()):
        whole = stage.changes(first, third)
        assert whole == pytest.approx(stage.changes(first, second) + stage.changes(second, third), rel=1e-6, abs=1e-9)
        assert math.isfinite(whole)
        assert whole > 0 or first == third
        assert 0 < stage.rate() < math.inf


@given(lives, st.floats(0, 1e6))
def test_one_more_exit_makes_a_stage_faster_and_one_more_watched_slower(known: list[Spell], seconds: float) -> None:
    before = table([*known, spell(60, True)])[Status.IN_REVIEW].rate()
    assert table([*known, spell(60, True), spell(0, True)])[Status.IN_REVIEW].rate() > before
    assert table([*known, spell(60, True), spell(seconds + 1, False)])[Status.IN_REVIEW].rate() < before


def test_what_was_never_seen_is_as_published_or_as_usual() -> None:
    assert Stage().rate() == pytest.approx(1 / USUAL_SECONDS)
    assert Stage().changes(0, 7200, usual=3600.0) == pytest.approx(2.0)


@pytest.mark.parametrize("watched", [0.5, 1.0, 4.0])
def test_deals_that_are_still_open_count(watched: float) -> None:
    """Of lives of a day, cut off after `watched` days: the estimate is the truth, however many did not end."""
    chance, day = random.Random(7), 86_400.0
    drawn = [chance.expovariate(1 / day) for _ in range(4000)]
    known = [spell(min(each, watched * day), each <= watched * day) for each in drawn]
    assert table(known)[Status.IN_REVIEW].rate() == pytest.approx(1 / day, rel=0.08)


def test_the_age_of_a_deal_counts() -> None:
    """A partner that answers after two to three days: nothing is expected in the first hours, all in the third day."""
    chance, day = random.Random(7), 86_400.0
    stage = table([spell(day * chance.uniform(2, 3), True) for _ in range(500)])[Status.IN_REVIEW]
    assert stage.changes(0, 6 * 3600) < 0.02
    assert stage.changes(2.5 * day, 3 * day) > 20 * stage.changes(0, day / 2)


def told(at: dt.datetime, status: str | None = None, **said: object) -> dict[str, object]:
    return {"at": at.isoformat(), "said": {"kind": "reported", "report": {"status": status}} | said}


def test_a_deals_stages_are_read_from_what_is_stored() -> None:
    hour = dt.timedelta(hours=1)
    stored: list[dict[str, object]] = [
        told(BEGIN + 5 * hour, "approved"),
        {"at": BEGIN.isoformat(), "said": {"kind": "answered", "operation": "create", "outcome": "accepted"}},
        told(BEGIN + 2 * hour, "in-review"),
        told(BEGIN + 3 * hour, "in-review"),
        told(BEGIN + 4 * hour, None),
        {"at": BEGIN.isoformat(), "said": {"kind": "validated", "status": "submitting"}},
        {"at": (BEGIN + hour).isoformat(), "said": {"kind": "missing"}},
    ]
    found = [(each.status.value, each.seconds / 3600, each.left) for each in spells(stored, BEGIN + 30 * hour)]
    assert found == [("submitted", 2, True), ("in-review", 3, True), ("approved", 25, False)]
    assert spells([], None) == []


@settings(max_examples=50)
@given(st.permutations(range(4)))
def test_the_order_of_what_is_stored_does_not_matter(order: list[int]) -> None:
    words = ["submitted", "in-review", "info-required", "approved"]
    stored = [told(BEGIN + dt.timedelta(hours=n), word) for n, word in enumerate(words)]
    assert spells([stored[n] for n in order], None) == spells(stored, None)


MONDAY = 492_048 - (492_048 // 24 + 3) % 7 * 24 - 492_048 % 24
"""An hour since 1970 at which a Monday began."""


def office(weeks: int, a_day: int = 12, chance: random.Random | None = None) -> dict[int, int]:
    """Calls in office hours, Monday to Friday."""
    chance, found = chance or random.Random(7), dict[int, int]()
    for day in range(weeks * 7):
        for _ in range(a_day if day % 7 < 5 else 0):
            hour = MONDAY + day * 24 + chance.randint(9, 16)
            found[hour] = found.get(hour, 0) | 1 << chance.randint(0, 5)
    return found


def test_the_beginning_of_a_week_is_where_it_is() -> None:
    assert dt.datetime.fromtimestamp(MONDAY * 3600, dt.UTC).weekday() == 0
    assert slot(dt.datetime.fromtimestamp(MONDAY * 3600 + 1799, dt.UTC)) == (MONDAY, 0b100)


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(64, False), (64 + 2, False), (64 + 24 * 3, True)],
    ids=["weekend", "monday-at-nine", "wednesday"],
)
def test_nights_and_weekends_are_no_silence(hours: int, expected: bool) -> None:
    """The last call was on a Friday at five."""
    slots = office(3)
    friday = MONDAY + (2 * 7 + 4) * 24 + 17
    calls = Calls(slots, MONDAY, max(slots))
    assert silent(calls, friday * 3600.0, (friday + hours) * 3600.0) is expected


def test_what_is_known_too_little_is_never_silent() -> None:
    slots = office(1)
    young = Calls(slots, max(slots) - LEAST_HOURS + 2, max(slots))
    seldom = Calls({MONDAY: 1, MONDAY + 1: 1}, MONDAY - 1000, MONDAY + 1)
    for calls in (young, seldom):
        assert not silent(calls, calls.last * 3600.0, (calls.last + 10_000) * 3600.0)


def test_fewer_deals_make_fewer_calls() -> None:
    calls = Calls(slots := office(3), MONDAY, max(slots))
    friday = MONDAY + (2 * 7 + 4) * 24 + 17
    times = friday * 3600.0, (friday + 64 + 24 * 3) * 3600.0
    assert silent(calls, *times, share=1.0)
    assert not silent(calls, *times, share=0.1)
    assert silent(calls, *times, share=9.0), "more deals do not make a silence of what was none"


@given(st.integers(0, 2**32), st.floats(0, 3e6), st.floats(0, 3e6))
def test_expected_calls_add_up(seed: int, first: float, second: float) -> None:
    slots = office(2, chance=random.Random(seed))
    calls, begin = Calls(slots, MONDAY, max(slots)), MONDAY * 3600.0
    middle, end = begin + first, begin + first + second
    assert calls.expected(begin, end) == pytest.approx(calls.expected(begin, middle) + calls.expected(middle, end))


def test_false_alarms_are_as_rare_as_is_said() -> None:
    """Calls by chance alone, day and night: how many of a thousand gaps are believed to be a silence."""
    chance, slots, gaps, alarms = random.Random(7), dict[int, int](), 0, 0
    at, last = MONDAY * 6, MONDAY * 6
    while at < (MONDAY + 56 * 24) * 6:
        at += max(1, round(chance.expovariate(1 / 9)))
        if at > (MONDAY + 28 * 24) * 6:
            calls = Calls(slots, MONDAY, last // 6)
            gaps, alarms = gaps + 1, alarms + silent(calls, (last + 1) * 600.0, at * 600.0)
        slots[at // 6] = slots.get(at // 6, 0) | 1 << at % 6
        last = at
    assert gaps > 400
    assert alarms / gaps < 10 * math.exp(-IMPROBABLE)
    assert len(EDGES) == 18
