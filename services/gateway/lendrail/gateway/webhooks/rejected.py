"""`GET /v1/webhooks/rejected`: partners' calls that were not taken, by reason, without a word of what they said.

Calls are counted in memory and the counts are written now and then, so a flood costs a few writes. A line is one hour,
one account and one reason; calls to addresses that nobody has share one line. Each process writes its own total under
an id of its own: writing it twice counts nothing twice, and reading adds the processes up.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from lendrail.gateway.webhooks.sources import Address, network_of
from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import PartnerAccount, Tenant
from lendrail.runtime.mongo import OUTAGES, Collection, Document, UpdateOne

log = structlog.get_logger()
WRITE_SECONDS = 5.0
KEPT_DAYS = 45
MOST_LINES = 10_000
"""Held while the store is away; then the oldest go."""
MOST_NETWORKS = 8
REASONS = {
    "unknown-path": "nobody has this address",
    "path-expired": "a former address, whose time is over",
    "source-not-allowed": "not from one of the account's networks",
    "unproven": "no right proof of who sent it",
    "bad-path-id": "what stands behind the address is no id",
    "too-large": "the body is too large",
    "body-too-slow": "the body did not come in time",
    "overloaded": "too much was under way",
    "unavailable": "neither the store nor the spool took it",
}
Found = tuple[Tenant, PartnerAccount]


@dataclass(slots=True)
class _Line:
    """What this process counted in one hour of one account for one reason."""

    about: Document
    first: dt.datetime
    last: dt.datetime
    calls: int = 0
    networks: set[str] = field(default_factory=set)
    more: bool = False
    dirty: bool = True

    def add(self, now: dt.datetime, network: str) -> None:
        self.calls += 1
        self.last, self.dirty = max(self.last, now), True
        if len(self.networks) < MOST_NETWORKS or network in self.networks:
            self.networks.add(network)
        else:
            self.more = True

    def stored(self) -> Document:
        told = {"calls": self.calls, "first": self.first, "last": self.last, "more": self.more}
        return self.about | told | {"networks": sorted(self.networks)}


class Rejected:
    """Counts, writes and shows."""

    def __init__(self, collection: Collection, clock: Callable[[], dt.datetime] = utc_now) -> None:
        self._collection, self._clock = collection, clock
        self._process = uuid.uuid4().hex[:12]
        self._lines: dict[str, _Line] = {}

    async def prepare(self) -> None:
        await self._collection.create_index("hour", expireAfterSeconds=KEPT_DAYS * 86_400)
        await self._collection.create_index([("tenant", 1), ("mode", 1), ("line", -1)])

    def note(self, reason: str, caller: Address | None, found: Found | None) -> None:
        """A call was refused just now. Costs no more than a look into memory."""
        now = self._clock()
        hour = now.replace(minute=0, second=0, microsecond=0)
        tenant, account = found or (None, None)
        partner, credential = (account.partner, account.credential) if account else ("", "")
        name = f"{hour:%Y-%m-%dT%H}|{partner}|{credential}|{reason}"
        if name not in self._lines:
            about = {"hour": hour, "line": name, "reason": reason, "partner": partner, "credential": credential}
            about |= {"tenant": tenant.id if tenant else "", "mode": account.mode if account else ""}
            self._lines[name] = _Line(about, now, now)
            self._bound()
        self._lines[name].add(now, network_of(caller))

    def _bound(self) -> None:
        if len(self._lines) > MOST_LINES:
            oldest = min(self._lines)
            log.warning("counts of rejected calls are lost: their store is away for too long", line=oldest)
            del self._lines[oldest]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await self.write()
            except OUTAGES as error:
                log.warning("counts of rejected calls wait for their store", error=type(error).__name__)

    async def write(self) -> None:
        """What was counted since. Lines of earlier hours are dropped once they are written."""
        fresh = {name: line for name, line in self._lines.items() if line.dirty}
        if fresh:
            for line in fresh.values():
                line.dirty = False
            try:
                await self._collection.bulk_write([self._set(*each) for each in fresh.items()], ordered=False)
            except BaseException:
                for line in fresh.values():
                    line.dirty = True
                raise
        hour = f"{self._clock():%Y-%m-%dT%H}"
        self._lines = {name: line for name, line in self._lines.items() if line.dirty or name >= hour}

    def _set(self, name: str, line: _Line) -> UpdateOne:
        return UpdateOne({"_id": f"{name}|{self._process}"}, {"$set": line.stored()}, upsert=True)

    async def finish(self, seconds: float) -> None:
        """The last counts before the process ends."""
        try:
            async with asyncio.timeout(min(seconds, WRITE_SECONDS)):
                await self.write()
        except (TimeoutError, *OUTAGES):
            log.warning("the last counts of rejected calls are lost")

    async def lines(self, where: Document, after: str | None, limit: int) -> Sequence[Document]:
        """Newest hour first, the processes added up; those of this one are written first."""
        await self.write()
        behind = {"line": {"$lt": after}} if after is not None else {}
        sums: dict[str, Any] = {"calls": {"$sum": "$calls"}, "first": {"$min": "$first"}, "last": {"$max": "$last"}}
        sums |= {name: {"$first": f"${name}"} for name in ("hour", "reason", "partner", "credential", "mode")}
        sums |= {"networks": {"$push": "$networks"}, "more": {"$max": "$more"}}
        found = await self._collection.aggregate(
            [
                {"$match": {"$and": [where, behind]}},
                {"$group": {"_id": "$line"} | sums},
                {"$sort": {"_id": -1}},
                {"$limit": limit},
            ]
        )
        return [_together(each) async for each in found]


def _together(line: Document) -> Document:
    networks = sorted({network for process in line["networks"] for network in process})
    more = line["more"] or len(networks) > MOST_NETWORKS
    return line | {"networks": networks[:MOST_NETWORKS], "more": more}
