"""What validation keeps no longer: all of an erased person, and of everybody else what its time is over for.

A report stays as long as its application, since the next revision may come at any time. A fingerprint is of use only
while it may still meet a twin.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence

import structlog

from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import ASCENDING, OUTAGES, Collection, Document
from lendrail.runtime.outbox import emptied

log = structlog.get_logger()
LATEST_EVENT = dt.timedelta(days=45)
"""No event is judged later than this after it was stated: longer than its topic and the dead letters are kept."""
EVERY_SECONDS = 3600.0
AT_ONCE = 1000
"""Reports in one write."""
_OF_THE_BUSINESS = ("fingerprints", "files")
"""Of a report: keyed hashes of the business and its owners, and hashes of files that were added."""


class Forgetter:
    def __init__(self, reports: Collection, checks: Collection, amendments: Collection, window: dt.timedelta) -> None:
        """`window`: how long fingerprints count against twins."""
        self._reports, self._checks, self._early = reports, checks, amendments
        self._of_use = window + LATEST_EVENT

    async def prepare(self) -> None:
        for collection in (self._reports, self._checks, self._early):
            await collection.create_index([("application", ASCENDING)])
        there = {"fingerprints": {"$exists": True}}
        await self._reports.create_index([("receivedAt", ASCENDING)], partialFilterExpression=there)

    async def forget(self, applications: Sequence[str]) -> None:
        """Work that waits goes: nothing is left to judge. A report stays, as proof that it was given; a worker that
        was about to give one may add it after this, so doing it again is what ends it.
        """
        about = {"application": {"$in": list(applications)}}
        await self._early.delete_many(about)
        await self._checks.delete_many(about)
        change = emptied()
        change["$unset"] |= dict.fromkeys(_OF_THE_BUSINESS, "")
        await self._reports.update_many(about, change)

    async def run(self) -> None:
        """Drop fingerprints that are of no use any more, until cancelled."""
        while True:
            try:
                while await self.outdated():
                    pass
            except OUTAGES as error:
                log.warning("old fingerprints wait for their store", error=type(error).__name__)
            await asyncio.sleep(EVERY_SECONDS)

    async def outdated(self) -> bool:
        """One batch; whether there may be another one."""
        where: Document = {"fingerprints": {"$exists": True}, "receivedAt": {"$lt": utc_now() - self._of_use}}
        found = [each["_id"] async for each in self._reports.find(where, {"_id": 1}).limit(AT_ONCE)]
        if found:
            await self._reports.update_many({"_id": {"$in": found}}, {"$unset": {"fingerprints": ""}})
        return len(found) == AT_ONCE
