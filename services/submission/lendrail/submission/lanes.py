"""Which opportunities the lanes of this process take: none of a paused credential, few of one with a rate limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pymongo import ASCENDING

from lendrail.runtime import due
from lendrail.runtime.due import Claimed, Lease, Worker
from lendrail.runtime.mongo import Collection, Document

Work = Callable[[Document, Lease, int], Awaitable[Any]]


class Lanes(Worker):
    """A worker whose lanes never all wait for the budget of one credential."""

    def __init__(
        self,
        collection: Collection,
        work: Work,
        *,
        paused: Callable[[], Awaitable[Mapping[str, str]]],
        most: Callable[[str], int],
        lanes: int,
        lease_seconds: float,
        poll_seconds: float,
    ) -> None:
        """`most` says how many opportunities of a credential may be under way here."""
        super().__init__(
            collection, self._counted(work), where=self._open, lanes=lanes, lease_seconds=lease_seconds,
            poll_seconds=poll_seconds,
        )  # fmt: skip
        self._paused, self._most = paused, most
        self._here: Counter[str] = Counter()

    def _counted(self, work: Work) -> Work:
        async def counted(document: Document, lease: Lease, lane: int) -> None:
            try:
                await work(document, lease, lane)
            finally:
                self._here[document["credential"]] -= 1

        return counted

    async def _open(self) -> Document | None:
        full = [credential for credential, here in self._here.items() if here >= self._most(credential)]
        return {"credential": {"$nin": [*await self._paused(), *full]}}

    async def _claim(self) -> list[Claimed]:
        """The oldest due ones; of these no more than each credential may have."""
        if not self._free:
            return []
        ready = {**(await self._open() or {}), **due.ready()}
        cursor = self._collection.find(ready, {"credential": 1}).sort("due", ASCENDING).limit(len(self._free))
        room: dict[str, int] = {}
        chosen = []
        async for document in cursor:
            credential = document["credential"]
            left = room.setdefault(credential, self._most(credential) - self._here[credential])
            if left > 0:
                room[credential] = left - 1
                chosen.append(document["_id"])
        claimed = await due.take(self._collection, chosen, self._lease_seconds) if chosen else []
        self._here.update(document["credential"] for document, _ in claimed)
        return claimed
