"""The store's clock, as a process tells it whose own clock is wrong."""

from __future__ import annotations

import datetime as dt
import time

import time_machine
from hypothesis import given
from hypothesis import strategies as st

from lendrail.runtime.clock import StoreClock

NOON = dt.datetime(2030, 1, 2, 12, 0, tzinfo=dt.UTC)
NEAR = dt.timedelta(seconds=1)


def test_before_the_first_look_a_process_has_its_own_clock_only() -> None:
    assert abs(StoreClock().now() - dt.datetime.now(dt.UTC)) < NEAR


@given(st.floats(-900, 900), st.floats(0, 0.5))
def test_a_wrong_clock_of_a_process_does_not_matter(wrong: float, took: float) -> None:
    clock, began = StoreClock(), time.monotonic() - took
    clock.seen(NOON, began, began + took)
    with time_machine.travel(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=wrong)):
        passed = dt.timedelta(seconds=time.monotonic() - began)
        assert abs(clock.now() - NOON - passed) < NEAR


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.001, 0.4), st.floats(0, 1)), min_size=1, max_size=20))
def test_looks_that_agree_do_not_make_time_waver(looks: list[tuple[float, float, float]]) -> None:
    """The store tells its time somewhere within the look. What is known by then changes only for what is known better,
    so among looks of like precision it does not change at all.
    """
    clock, zero = StoreClock(), NOON - dt.timedelta(seconds=1000)
    told = set()
    for began, took, share in looks:
        took = 0.1 + took / 10  # none is twice as good as another
        clock.seen(zero + dt.timedelta(seconds=began + took * share), began, began + took)
        assert clock._look is not None
        told.add(clock._look.zero)
        assert abs(clock._look.zero - zero) <= clock._look.within
    assert len(told) == 1


def test_a_store_that_was_set_right_is_followed() -> None:
    clock, began = StoreClock(), time.monotonic()
    clock.seen(NOON, began, began)
    clock.seen(NOON + dt.timedelta(hours=1), began, began)
    assert abs(clock.now() - NOON - dt.timedelta(hours=1)) < NEAR
