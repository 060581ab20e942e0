"""Ending tasks that lose a cancellation."""

import asyncio

import pytest

from lendrail.runtime import tasks
from lendrail.runtime.failures import DefectMeter, TooManyDefects
from lendrail.runtime.tasks import end


async def test_a_task_that_swallows_cancellations_ends_all_the_same() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.sleep(60)

    async def failing() -> None:
        raise ValueError

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(failing())]
    await asyncio.sleep(0)
    await asyncio.wait_for(end(tasks), 10)
    assert swallowed == 2
    assert all(task.done() for task in tasks)
    assert tasks[1].exception() is not None


async def test_a_loop_that_fails_starts_again_until_it_fails_too_often() -> None:
    runs = 0

    async def fails_twice() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise ZeroDivisionError

    async def always_fails() -> None:
        raise ZeroDivisionError

    await tasks.kept(fails_twice, DefectMeter())
    assert runs == 3
    meter = DefectMeter(limit=1)
    with pytest.raises(TooManyDefects):
        await tasks.kept(always_fails, meter)
    assert meter.tripped
