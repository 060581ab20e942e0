"""How long deals stay in each stage at each partner: measured now and then from the observations themselves.

One document for each partner, under a lease, so one process measures; all others read what it stored. It is made anew
each time from a sample of deals, so nothing is counted twice, and what is erased is not counted any more.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Any

import structlog

from lendrail.contracts.terms import Status
from lendrail.runtime import due
from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import Credentials, Mounted
from lendrail.runtime.due import Lease, Worker
from lendrail.runtime.mongo import ASCENDING, OUTAGES, Collection, Document
from lendrail.status.polling.habits import EDGES, Stage, added, spells, table
from lendrail.status.timing import readable, released

log = structlog.get_logger()
DEALS, BATCH = 5_000, 200
"""Deals of a sample. Their ids are hashes, so the first ones by id are as good as any."""
HISTORY = dt.timedelta(days=180)
EVERY_SECONDS = 3600.0
READ_SECONDS = 30.0
LEASE_SECONDS = 300.0
SAID = ("kind", "operation", "outcome", "report.status")
FIELDS = {"fetch.seen_at": 1, "observations.at": 1} | {f"observations.said.{name}": 1 for name in SAID}
"""Nothing of these is sealed."""


class Measuring:
    """Measures, and knows what was measured."""

    def __init__(self, collection: Collection, opportunities: Collection, credentials: Mounted[Credentials]) -> None:
        self.collection, self._opportunities, self._credentials = collection, opportunities, credentials
        self._known: dict[str, Mapping[Status, Stage]] = {}
        self.worker = Worker(
            collection, self.measure, where=self._mine, lanes=1, lease_seconds=LEASE_SECONDS, poll_seconds=READ_SECONDS
        )

    async def prepare(self) -> None:
        await due.prepare(self.collection)
        await self._opportunities.create_index(
            [("partner", ASCENDING), ("_id", ASCENDING)], partialFilterExpression={"fetch.first": {"$type": "date"}}
        )

    async def run(self) -> None:
        """Follow the mounted file of credentials, and what others measured."""
        while True:
            try:
                await self.provide()
                await self.learn()
            except OUTAGES as error:
                log.warning("what is measured waits for its store", error=type(error).__name__)
            await asyncio.sleep(READ_SECONDS)

    def of(self, partner: str) -> Mapping[Status, Stage]:
        """The life tables of a partner's stages, as last measured."""
        return self._known.get(partner, {})

    def _partners(self) -> set[str]:
        return {each.partner for each in self._credentials.current.credentials if readable(each.partner)}

    async def _mine(self) -> Document:
        return {"_id": {"$in": sorted(self._partners())}}

    async def provide(self) -> None:
        """Give each partner its document."""
        known = {each["_id"] async for each in self.collection.find({}, {"_id": 1})}
        for partner in sorted(self._partners() - known):
            first: list[Document] = [{"$set": {"due": {"$ifNull": ["$due", "$$NOW"]}}}]
            await self.collection.update_one({"_id": partner}, first, upsert=True)

    async def learn(self) -> None:
        self._known = {each["_id"]: _read(each) async for each in self.collection.find({"stages": {"$exists": True}})}

    async def measure(self, document: Document, lease: Lease, _: int) -> None:
        """One partner."""
        found: dict[Status, Stage] = {}
        deals, followed = 0, {"$type": "date", "$gte": utc_now() - HISTORY}
        cursor = self._opportunities.find({"partner": document["_id"], "fetch.first": followed}, FIELDS)
        cursor = cursor.sort("_id", ASCENDING).limit(DEALS).batch_size(BATCH)
        while batch := await cursor.to_list(BATCH):
            seen = [spells(each.get("observations", ()), each["fetch"].get("seen_at")) for each in batch]
            found, deals = added(found, table(spell for each in seen for spell in each)), deals + len(batch)
        stages = {status.value: {"exits": each.exits, "seconds": each.seconds} for status, each in found.items()}
        fields: dict[str, Any] = {"stages": {"$literal": stages}, "deals": deals, "measured_at": "$$NOW"}
        change = fields | {"due": due.in_seconds(EVERY_SECONDS)} | released(lease.token)
        await self.collection.update_one({"_id": document["_id"], "lease.token": lease.token}, [{"$set": change}])
        self._known[document["_id"]] = found


def _read(document: Document) -> dict[Status, Stage]:
    """Tables of another form, of another version of this program, count as none."""
    return {
        Status(status): Stage(tuple(each["exits"]), tuple(each["seconds"]))
        for status, each in document["stages"].items()
        if len(each["exits"]) == len(each["seconds"]) == len(EDGES) + 1
    }
