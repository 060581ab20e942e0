"""How long a caller waits for the store: no longer than is promised, whatever the driver does with a cancellation."""

import asyncio
import time

import pytest

from lendrail.gateway import store
from lendrail.gateway.store import soon
from lendrail.runtime.http import Problem

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PATIENCE_SECONDS", 0.1)


async def test_the_answer_comes_through_and_so_does_a_fault() -> None:
    async def fails() -> None:
        raise KeyError("taken")

    assert await soon(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(KeyError):
        await soon(fails())


async def test_work_that_swallows_its_cancellation_keeps_nobody_waiting() -> None:
    swallowed = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            swallowed.set()
            await asyncio.sleep(2)

    began = time.monotonic()
    with pytest.raises(Problem) as caught:
        await soon(stubborn())
    assert caught.value.status == 503
    assert time.monotonic() - began < 1
    await asyncio.wait_for(swallowed.wait(), 1)


async def test_a_caller_that_goes_away_takes_its_work_along() -> None:
    cancelled = asyncio.Event()

    async def works() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    caller = asyncio.create_task(soon(works()))
    await asyncio.sleep(0.02)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await asyncio.wait_for(cancelled.wait(), 1)
