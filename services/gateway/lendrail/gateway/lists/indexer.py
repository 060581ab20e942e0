"""Keeps the lists as the facts are: whoever stores a fact has the entries of its application made anew."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog

from lendrail.gateway.lists.index import Index
from lendrail.gateway.lists.search import FORM, entries_of_opportunities, entry_of_application
from lendrail.gateway.shapes import ApplicationView
from lendrail.gateway.store import Applications
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import OUTAGES, Collection, Document

log = structlog.get_logger()
BATCH = 200
EVERY_SECONDS, AGAIN_SECONDS = 300.0, 2.0
OVERLAP = dt.timedelta(minutes=2)
"""How much older than the last sweep an application is looked for: clocks differ, and a write takes its time."""
Views = Callable[[Sequence[Document]], Awaitable[list[ApplicationView]]]


class Indexer:
    """Makes entries by the same fold that shows an application, so a list never says what the application does not."""

    def __init__(self, documents: Applications, views: Views, applications: Index, opportunities: Index) -> None:
        self._documents, self._views = documents, views
        self._applications, self._opportunities = applications, opportunities

    async def refresh(self, applications: Iterable[str]) -> None:
        """Entries as all stored facts tell them; call it after the fact is stored.

        The entries are read before the facts: whoever stored another fact meanwhile wrote the entries after that, and
        then our write, which may not know that fact, fails and is made again.
        """
        waiting = set(applications)
        while waiting:
            entries = await self._applications.of(waiting)
            theirs: dict[str, dict[str, Document]] = {application: {} for application in waiting}
            for id, entry in (await self._opportunities.of(waiting)).items():
                theirs[entry["application"]][id] = entry
            documents = await self._documents.heads(waiting)
            views = await self._views(documents)
            done = await asyncio.gather(
                *(
                    self._write(d, v, entries.get(d["_id"]), theirs[d["_id"]])
                    for d, v in zip(documents, views, strict=True)
                )
            )
            waiting = {d["_id"] for d, written in zip(documents, done, strict=True) if not written}

    async def _write(
        self, document: Document, view: ApplicationView, before: Document | None, theirs: dict[str, Document]
    ) -> bool:
        """Whether all was written over what was read: the application's entry and those of its opportunities."""
        opportunities = entries_of_opportunities(view, document["tenant"])
        over = theirs.keys() - {each["_id"] for each in opportunities}
        await self._opportunities.remove(list(over))  # of an erased application nothing but its existence is left
        written = await asyncio.gather(
            self._applications.put(entry_of_application(view, document["tenant"]), before),
            *(self._opportunities.put(each, theirs.get(each["_id"])) for each in opportunities),
        )
        return all(written)


class Sweep:
    """Makes the entries that nobody made: of a database older than the lists, and of a process that died in between."""

    def __init__(
        self,
        indexer: Indexer,
        documents: Applications,
        applications: Index,
        progress: Collection,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._indexer, self._documents, self._applications = indexer, documents, applications
        self._progress, self._clock = progress, clock

    async def run(self) -> None:
        while True:
            try:
                await self.all()
                await self.recent()
                await asyncio.sleep(EVERY_SECONDS)
            except OUTAGES as error:
                log.warning("the store is away; the lists are looked after later", error=type(error).__name__)
                await asyncio.sleep(AGAIN_SECONDS)

    async def all(self) -> None:
        """Every application, once for each form of the entries; a process that was stopped goes on where it was."""
        known = await self._progress.find_one({"_id": "all"}) or {}
        if known.get("form") == FORM and known["done"]:
            return
        after = known["after"] if known.get("form") == FORM else ""
        began = self._clock()
        while ids := await self._documents.ids_after(after, BATCH):
            await self._indexer.refresh(ids)
            after = ids[-1]
            await self._keep("all", {"form": FORM, "after": after, "done": False})
        await self._keep("all", {"form": FORM, "after": after, "done": True})
        await self._keep("recent", {"until": began})
        log.info("the lists are complete")

    async def recent(self) -> None:
        """Applications that came since the last sweep and have no entry."""
        known = await self._progress.find_one({"_id": "recent"}) or {"until": self._clock()}
        now = self._clock()
        batch: list[str] = []
        async for id in self._documents.ids_since(known["until"] - OVERLAP):
            batch.append(id)
            if len(batch) == BATCH:
                await self._missing(batch)
                batch = []
        await self._missing(batch)
        await self._keep("recent", {"until": now})

    async def _missing(self, ids: Sequence[str]) -> None:
        there = await self._applications.of(ids)
        if missing := [id for id in ids if id not in there]:
            log.info("applications were not listed", count=len(missing))
            await self._indexer.refresh(missing)

    async def _keep(self, name: str, change: Document) -> None:
        await self._progress.update_one({"_id": name}, {"$set": change}, upsert=True)
