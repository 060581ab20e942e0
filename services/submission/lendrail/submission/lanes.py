"""Which opportunities the lanes of this process take: none of a paused credential, few of one with a rate limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lendrail.runtime import due
from lendrail.runtime.due import Claimed, Lease, Worker
from lendrail.runtime.mongo import ASCENDING, Collection, Document

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
        self._paused, self._most, self._lanes = paused, most, lanes
        self._ahead: list[Claimed] = []
        self._here: Counter[str] = Counter()

    def _counted(self, work: Work) -> Work:
        async def counted(document: Document, lease: Lease, lane: int) -> None:
            try:
                await work(document, lease, lane)
            finally:
                self._here[document["credential"]] -= 1

        return counted

    async def _open(self) -> Document | None:
        full = [credential for credential in self._here if self._room(credential) <= 0]
        return {"credential": {"$nin": [*await self._paused(), *full]}}

    def _lane_became_free(self) -> None:
        """There is no claim to share while some are taken ahead."""
        if self._ahead:
            self.wake()
        else:
            super()._lane_became_free()

    async def drain(self, seconds: float) -> None:
        """Finish what is under way, and give back what was taken ahead."""
        ahead, self._ahead = self._ahead, []
        for document, lease in ahead:
            mine = {"_id": document["_id"], "lease.token": lease.token}
            await self._collection.update_one(mine, {"$unset": {"lease": ""}})
        await super().drain(seconds)

    async def _claim(self) -> list[Claimed]:
        """As many as there are free lanes, from those taken ahead; when these run out, the oldest due ones."""
        if self._free and not self._ahead:
            self._ahead = await self._take()
        free = len(self._free)
        claimed, self._ahead = self._ahead[:free], self._ahead[free:]
        return claimed

    async def _take(self) -> list[Claimed]:
        """Up to twice the lanes, so that a claim serves many; of each credential no more than it may have."""
        ready = {**(await self._open() or {}), **due.ready()}
        cursor = (
            self._collection.find(ready, {"credential": 1}).sort("due", ASCENDING).limit(len(self._free) + self._lanes)
        )
        room: dict[str, int] = {}
        chosen = []
        async for document in cursor:
            credential = document["credential"]
            left = room.setdefault(credential, self._room(credential))
            if left > 0:
                room[credential] = left - 1
                chosen.append(document["_id"])
        claimed = await due.take(self._collection, chosen, self._lease_seconds)
        self._here.update(document["credential"] for document, _ in claimed)
        return claimed

    def _room(self, credential: str) -> int:
        """How many more of it; one without a limit may also wait here for a lane."""
        most = self._most(credential)
        return (most if most < self._lanes else 2 * most) - self._here[credential]
