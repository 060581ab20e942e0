"""Background tasks: kept running while the service lives, and ended for sure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import structlog

from lendrail.runtime.failures import DefectMeter

log = structlog.get_logger()
AGAIN_SECONDS = 0.5


async def kept(run: Callable[[], Coroutine[Any, Any, None]], defects: DefectMeter) -> None:
    """Run a loop, and again when it fails: what it left is still stored. Raises `TooManyDefects` in the end."""
    while True:
        try:
            await run()
            return
        except Exception as error:
            log.error("a background loop failed and starts again", exc_info=error)
            defects.count()
            await asyncio.sleep(AGAIN_SECONDS)


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel `tasks` and return when all have ended, whatever they ended with.

    Once is not enough: `asyncio.wait_for` of Python 3.11 drops a cancellation that comes together with its result, and
    the MongoDB driver writes through it.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
