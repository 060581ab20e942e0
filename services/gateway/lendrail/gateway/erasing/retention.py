"""Applications are erased by themselves when their time is over, counted from their last change.

A loop asks the lists, which know when something was last said of an application, and goes through the same door as a
person does: the mark with its audit entry, then the key.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from lendrail.contracts.terms import Mode, Status
from lendrail.gateway.erasing.erase import Eraser, still_open
from lendrail.gateway.lists.index import Index
from lendrail.gateway.lists.indexer import Indexer
from lendrail.gateway.reads import Reader
from lendrail.gateway.store import Applications
from lendrail.runtime import audit
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import OUTAGES, Document
from lendrail.runtime.pace import rest

log = structlog.get_logger()
LOOK_SECONDS, AGAIN_SECONDS = 3600.0, 30.0
BATCH = 50
REASON = "retention-ended"
BY_AGE = "by-age"
_THERE = [status.value for status in Status if status is not Status.ERASED]


class Retention:
    def __init__(
        self,
        days: Mapping[Mode, int],
        listed: Index,
        indexer: Indexer,
        applications: Applications,
        reader: Reader,
        eraser: Eraser,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        """`days` after its last change an application of this mode is erased; 0: never."""
        self._days, self._listed, self._indexer = days, listed.collection, indexer
        self._applications, self._reader, self._eraser, self._clock = applications, reader, eraser, clock

    async def prepare(self) -> None:
        await self._listed.create_index([("mode", 1), ("status", 1), ("changed", 1)], name=BY_AGE)

    async def run(self) -> None:
        """Until cancelled: once an hour, in small steps with rests between them."""
        while True:
            try:
                await self.turn()
                await asyncio.sleep(LOOK_SECONDS)
            except OUTAGES as error:
                log.warning("what is to be erased waits for its store", error=type(error).__name__)
                await asyncio.sleep(AGAIN_SECONDS)

    async def turn(self) -> int:
        """How many were erased."""
        return sum([await self._mode(mode, days) for mode, days in self._days.items() if days > 0])

    async def _mode(self, mode: Mode, days: int) -> int:
        before = self._clock() - dt.timedelta(days=days)
        erased = 0
        while ids := await self._older(mode, before):
            began = time.monotonic()
            await self._indexer.refresh(ids)  # what was said meanwhile counts
            ended = await self._older(mode, before, ids)
            await self._erase(ended)
            await self._indexer.refresh(ended)
            erased += len(ended)
            if not ended:
                break
            await rest(time.monotonic() - began)
        if erased:
            log.info("applications were erased because their time was over", mode=mode, applications=erased)
        return erased

    async def _older(self, mode: Mode, before: dt.datetime, among: Sequence[str] | None = None) -> list[str]:
        where: Document = {"mode": mode, "status": {"$in": _THERE}, "changed": {"$lt": before}}
        where |= {"_id": {"$in": list(among)}} if among is not None else {}
        return [each["_id"] async for each in self._listed.find(where, {"_id": 1}).limit(BATCH)]

    async def _erase(self, ids: Sequence[str]) -> None:
        """There is nobody to ask whether a partner still works on one; it is said in the log."""
        documents = await self._applications.heads(ids)
        for document, view in zip(documents, await self._reader.views(documents), strict=True):
            if places := still_open(view):
                open_at = [str(each.opportunity_id) for each in places]
                log.warning("a partner still works on what is erased", application=document["_id"], open=open_at)
            actor = audit.by_service(document["tenant"], document["mode"], "gateway")
            await self._eraser.begin(document, actor, {"reason": REASON})
            await self._eraser.finish(document["_id"])
