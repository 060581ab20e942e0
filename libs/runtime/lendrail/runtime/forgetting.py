"""A person is erased by deleting the data key of the application; every service then drops what it kept of it.

The deletion itself is the message: nothing is published, and no service can miss it. Each service walks along the
erased keys in the order of their times and says which applications are to be forgotten. It walks twice: at once, and
again after a while, for what somebody wrote who still had the key in memory, or whose write was on its way. Where it
stands is kept in the service's own database, so a database that is restored from a backup forgets again what it had
forgotten.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence

import structlog

from lendrail.runtime.mongo import OUTAGES, Collection
from lendrail.runtime.vault import Vault

log = structlog.get_logger()
POLL_SECONDS = 1.0
AGAIN_SECONDS = 600.0
"""Longer than any lease, request or batch that began before the erasure."""
OVERLAP = dt.timedelta(seconds=30)
"""Erasures that became visible later than younger ones, and keys that were read while they were deleted."""
BATCH = 200
Forget = Callable[[Sequence[str]], Awaitable[None]]
"""Drop what is kept of these applications, and leave what shows that they were there. Doing it again changes nothing.
"""


class Forgetting:
    """Follows the erasures, for the memory of this process and for the store of its service."""

    def __init__(
        self, vault: Vault, places: Collection, forget: Sequence[Forget], *, again_seconds: float = AGAIN_SECONDS
    ) -> None:
        """`places`: where the walks stand; shared by the replicas of a service."""
        self._vault, self._places, self._forget = vault, places, forget
        self._walks = {"at once": 0.0, "again": again_seconds}
        self._seen: dt.datetime | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.turn()
            except OUTAGES as error:
                log.warning("erasures wait for their store", error=type(error).__name__)
            await asyncio.sleep(POLL_SECONDS)

    async def turn(self) -> None:
        """Everything that is to be forgotten by now."""
        await self._empty_memory()
        for walk, delay in self._walks.items() if self._forget else ():
            while await self._walk(walk, delay):
                pass

    async def _empty_memory(self) -> None:
        """This process alone: it must not open what it could open a moment ago."""
        newest = await self._vault.newest_erasure()
        if newest is None or (self._seen is not None and newest < self._seen - OVERLAP):
            return
        since = (self._seen or newest) - OVERLAP
        self._vault.forget([id async for id in self._vault.erased_since(since)])
        self._seen = newest

    async def _walk(self, walk: str, delay: float) -> bool:
        """One batch; whether there may be another one. The place moves on only after the work was done."""
        place = await self._places.find_one({"_id": walk}) or {}
        after = (place["at"], place["key"]) if place else None
        batch = await self._vault.erasures(after, delay, BATCH)
        if not batch:
            return False
        applications = [key for key, _ in batch]
        for forget in self._forget:
            await forget(applications)
        key, at = batch[-1]
        await self._places.update_one({"_id": walk}, {"$set": {"at": at, "key": key}}, upsert=True)
        log.info("erased applications were forgotten", applications=len(batch), walk=walk)
        return len(batch) == BATCH
