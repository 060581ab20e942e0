"""How the MongoDB driver waits for a server, or for a free connection, so that whoever waits may be cancelled.

It waits with a lock that it gives up meanwhile and takes again in the end, and does that by `asyncio.wait_for`. On
Python 3.11 this waits in a task of its own. Who is cancelled a second time, or just when the wait is over, goes away
before that task has taken the lock: it gives up a lock that it does not hold, and the task then keeps it for ever.
From there on nothing passes through this client, nor can it be closed. Later versions wait as this one does.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import Any, TypeVar

import pymongo.lock

T = TypeVar("T")


async def wait_for(waiting: Awaitable[T], seconds: float | None) -> T:
    """In the caller's own task."""
    async with asyncio.timeout(seconds):
        return await waiting


def install() -> None:
    """Let every client of this process wait so."""
    driver: Any = pymongo.lock
    if sys.version_info < (3, 12):
        driver.wait_for = wait_for
