"""Which of the looks that are due go first where a credential's budget is not enough for all: those worth most."""

from __future__ import annotations

import datetime as dt
import heapq
import time
from collections.abc import Callable, Mapping
from typing import Any

from lendrail.contracts.terms import Status
from lendrail.partners import PARTNERS
from lendrail.runtime import due
from lendrail.runtime.mongo import ASCENDING, Collection, Document
from lendrail.status.polling.habits import USUAL_SECONDS, Stage
from lendrail.status.polling.planner import worth

MOST = 5_000
"""Looks among which is chosen; of more that are due, those that are due for the longest time."""
KEPT, KEPT_SECONDS = 64, 5.0
"""So many looks are chosen at once, and carried out within so many seconds, before it is chosen anew."""
ASKED_FOR = dt.timedelta(days=1)
"""So long after somebody read an opportunity he is believed to wait for news of it."""
FIELDS = {"partner": 1, "status": 1, "now": "$$NOW"} | {
    f"fetch.{name}": 1 for name in ("seen_at", "since", "promised", "read_at", "first")
}
Habits = Callable[[str], Mapping[Status, Stage]]
"""The life tables of a partner's stages."""


class Order:
    """Of one credential; see `Worker`."""

    def __init__(self, collection: Collection, habits: Habits) -> None:
        self._collection, self._habits = collection, habits
        self._best: list[Any] = []
        self._chosen = 0.0

    async def __call__(self, where: Document, limit: int) -> list[Any]:
        """The ids of those that go next."""
        if len(self._best) < limit or time.monotonic() - self._chosen > KEPT_SECONDS:
            self._best = await self._choose(where, max(limit, KEPT))
            self._chosen = time.monotonic()
        chosen, self._best = self._best[:limit], self._best[limit:]
        return chosen

    async def _choose(self, where: Document, count: int) -> list[Any]:
        stages: list[Document] = [{"$match": {**where, **due.ready()}}, {"$sort": {"due": ASCENDING}}, {"$limit": MOST}]
        cursor = await self._collection.aggregate([*stages, {"$project": FIELDS}])
        found = [(self._worth(each), each["_id"]) async for each in cursor]
        return [name for _, name in heapq.nlargest(count, found)]

    def _worth(self, document: Document) -> float:
        return worth_of(document, self._habits(document["partner"]).get(Status(document["status"]), Stage()))


def worth_of(document: Document, stage: Stage) -> float:
    """Of a look at this opportunity; `document` with `now`, the server's time."""
    fetch, now = document.get("fetch", {}), document["now"]
    since = fetch.get("since") or fetch.get("first") or now
    seen = max(fetch.get("seen_at") or since, since)
    gap = max((now - seen).total_seconds(), 1.0)
    age = (seen - since).total_seconds()
    rate = stage.changes(age, age + gap, usual_of(document["partner"], document["status"])) / gap
    promised = [(each - seen).total_seconds() for each in fetch.get("promised", ())]
    read_at = fetch.get("read_at")
    return worth(rate, gap, promised, read_at is not None and now - read_at < ASKED_FOR)


def usual_of(partner: str, status: str) -> float:
    """How long a stage lasts: as the partner publishes it, else as is believed of any."""
    known = PARTNERS.get(partner)
    return known.poll.turnaround.get(Status(status), USUAL_SECONDS) if known else USUAL_SECONDS
