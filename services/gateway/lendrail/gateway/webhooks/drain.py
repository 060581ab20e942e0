"""Calls that MongoDB did not take in time go to the spool, and out of it to MongoDB as soon as that is there again.

While it is away calls go to the spool at once, so that nobody waits for a store of which it is known that it does not
answer. The drain tries with growing waits and never gives up. It writes what would have been written at once; a call
that is there already, because the process died in between or the store was only slow, is not written again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from lendrail.gateway.store import soon
from lendrail.gateway.webhooks.calls import Call, Keeper
from lendrail.gateway.webhooks.segments import NoKey
from lendrail.gateway.webhooks.spool import Full, Spool
from lendrail.runtime.http import Problem
from lendrail.runtime.mongo import OUTAGES
from lendrail.runtime.problem import unavailable

log = structlog.get_logger()
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
HELD_SECONDS = 300.0
"""How long a file rests that holds what cannot be written for another reason than an outage; the others go on."""
TOGETHER = 100
FULL_RETRY_SECONDS, COMPLAINT_SECONDS = 30, 10.0


class Keeping:
    """Makes calls durable: in MongoDB, or in the spool where there is one."""

    def __init__(self, keeper: Keeper, spool: Spool | None) -> None:
        self._keeper, self._spool = keeper, spool
        self._away = False
        self._awake = asyncio.Event()
        self._held: dict[Path, float] = {}
        self._complained = float("-inf")

    async def keep(self, call: Call) -> None:
        """Durable when it returns. Raises `Problem` 503."""
        if self._spool is None:
            await soon(self._keeper.keep(call))
        elif self._away or not await self._kept_at_once(call):
            await self._put_down(call, self._spool)

    async def _kept_at_once(self, call: Call) -> bool:
        try:
            await soon(self._keeper.keep(call))
        except (*OUTAGES, Problem) as error:
            if not self._away:
                log.warning("calls go to the spool: the store does not take them", error=type(error).__name__)
            self._away = True
            return False
        except Exception as error:  # a fault of ours must not lose the partner's word
            log.error("a call could not be written and goes to the spool", exc_info=error)
            return False
        return True

    async def _put_down(self, call: Call, spool: Spool) -> None:
        try:
            await spool.append(call.packed())
        except Full:
            self._complain(spool)
            raise _come_again() from None
        except OSError as error:
            log.error("a call could not be spooled", error=type(error).__name__)
            raise unavailable() from None
        finally:
            self._awake.set()

    def _complain(self, spool: Spool) -> None:
        """Now and then: whoever is refused comes again, and again."""
        if time.monotonic() - self._complained >= COMPLAINT_SECONDS:
            self._complained = time.monotonic()
            log.error("the spool is full: calls are refused", bytes=spool.held)

    async def run(self) -> None:
        """Until cancelled: whatever is in the spool goes to MongoDB, oldest first."""
        wait = FIRST_WAIT
        while self._spool is not None:
            self._awake.clear()
            try:
                drained = await self._turn(self._spool)
                wait = FIRST_WAIT
                if not drained:
                    await self._idle()
            except (*OUTAGES, OSError) as error:
                log.warning("the spool waits for its store", error=type(error).__name__, seconds=wait)
                await asyncio.sleep(random.uniform(wait / 2, wait))
                wait = min(wait * 2, LONGEST_WAIT)

    async def _idle(self) -> None:
        """Not `wait_for`, which on Python 3.11 loses a cancellation that comes together with the event."""
        try:
            async with asyncio.timeout(HELD_SECONDS / 10 if self._held else None):
                await self._awake.wait()
        except TimeoutError:
            return

    async def _turn(self, spool: Spool) -> bool:
        """One file; whether there was one."""
        now = time.monotonic()
        self._held = {path: until for path, until in self._held.items() if until > now}
        path = await spool.oldest(tuple(self._held))
        if path is None:
            self._away = False
            return False
        try:
            found = await spool.read(path)
        except NoKey:
            log.error("a file of the spool is sealed under a key that is not mounted", file=path.name)
            self._held[path] = now + HELD_SECONDS
            return True
        faults = await self._write(found.records)
        if faults:
            self._held[path] = now + HELD_SECONDS
            log.error("a file of the spool is tried again later", file=path.name, faults=faults)
        elif found.damaged:
            await spool.put_aside(path)
            log.error("the disk damaged a file of the spool; the rest of it is kept", file=path.name)
        else:
            await spool.remove(path)
        log.info("spooled calls were stored", file=path.name, calls=len(found.records) - faults)
        return True

    async def _write(self, records: Sequence[bytes]) -> int:
        """How many could not be written, by no fault of the store. Raises what the store raises."""
        faults = 0
        for at in range(0, len(records), TOGETHER):
            together = records[at : at + TOGETHER]
            done = await asyncio.gather(*(self._one(each) for each in together), return_exceptions=True)
            failed = [each for each in done if isinstance(each, BaseException)]
            for error in failed:
                if isinstance(error, OUTAGES) or not isinstance(error, Exception):
                    raise error
                log.error("a spooled call could not be written", exc_info=error)
            faults += len(failed)
            self._away = self._away and bool(failed)
        return faults

    async def _one(self, record: bytes) -> None:
        await self._keeper.keep(Call.unpacked(record))

    async def ready(self) -> bool:
        """Whether calls would be kept without MongoDB."""
        return self._spool is not None and await self._spool.usable()

    async def close(self, seconds: float) -> None:
        if self._spool is not None:
            await self._spool.close()


def _come_again() -> Problem:
    """Nothing was stored."""
    detail = "Temporarily unavailable; repeat the same request later."
    return Problem(503, "unavailable", detail, headers={"Retry-After": str(FULL_RETRY_SECONDS)})
