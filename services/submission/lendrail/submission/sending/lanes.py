"""Which opportunities the lanes of this process take: none of a paused credential, and of no credential so many that
others would have to wait for it. An opportunity counts for the credential that its next call goes `through`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from lendrail.runtime import due
from lendrail.runtime.due import Claimed, Lease, Worker
from lendrail.runtime.mongo import ASCENDING, Collection, Document
from lendrail.submission.sending.shares import Shares

Work = Callable[[Document, Lease, int], Awaitable[Any]]
RECENT_SECONDS = 5.0
"""For how long a credential counts as one that has work after some was seen."""
LOOK_SECONDS = 0.05
"""How often, at most, we look for newcomers while work that was taken ahead may not start yet."""


class Lanes(Worker):
    """A worker whose lanes never all wait for one credential."""

    def __init__(
        self,
        collection: Collection,
        work: Work,
        *,
        paused: Callable[[], Awaitable[Mapping[str, str]]],
        most: Callable[[str], int],
        share: float,
        lanes: int,
        lease_seconds: float,
        poll_seconds: float,
    ) -> None:
        """`most` says how many opportunities of a credential may be under way here, whatever the others do; `share`,
        which part of the lanes one may have while others have work.
        """
        super().__init__(
            collection, self._counted(work), where=self._open, lanes=lanes, lease_seconds=lease_seconds,
            poll_seconds=poll_seconds,
        )  # fmt: skip
        self._paused, self._most, self._lanes = paused, most, lanes
        self._shares = Shares(lanes, share)
        self._ahead: list[Claimed] = []
        self._here: Counter[str] = Counter()
        """Under way or taken ahead, by credential."""
        self._under_way: Counter[str] = Counter()
        self._seen: dict[str, float] = {}
        """When we last saw due work of a credential."""
        self._looked = 0.0
        self._news = False

    def wake(self) -> None:
        self._news = True
        super().wake()

    def _counted(self, work: Work) -> Work:
        async def counted(document: Document, lease: Lease, lane: int) -> None:
            try:
                await work(document, lease, lane)
            finally:
                for counter in (self._here, self._under_way):
                    counter[document["through"]] -= 1

        return counted

    async def _open(self) -> Document:
        caps = self._caps(self._here)
        full = [each for each in self._here if self._room(each, caps[each]) <= 0]
        return {"through": {"$nin": [*await self._paused(), *full]}}

    def _lane_became_free(self) -> None:
        """There is no claim to share while some are taken ahead."""
        if self._ahead:
            self._awake.set()
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
        """As many as may start, from those taken ahead; when there are none, from the oldest due ones of others."""
        if not self._free:
            return []
        startable = self._startable()
        if not startable and self._may_look():
            self._ahead += await self._take()
            startable = self._startable()
        return startable

    def _may_look(self) -> bool:
        """Always when there is nothing to do here. While all that was taken ahead waits for its own credential: when
        there is news, a moment after the look before, or now and then.
        """
        waited = time.monotonic() - self._looked
        if not self._ahead or waited >= self._poll_seconds:
            return True
        if self._news and waited < LOOK_SECONDS:
            asyncio.get_running_loop().call_later(LOOK_SECONDS - waited, self._awake.set)
            return False
        return self._news

    def _startable(self) -> list[Claimed]:
        """Those taken ahead that may have a lane now; they are under way from here on."""
        if not self._ahead:
            return []
        caps = self._caps({document["through"] for document, _ in self._ahead})
        startable: list[Claimed] = []
        waiting: list[Claimed] = []
        for each in self._ahead:
            credential, free = each[0]["through"], len(self._free) - len(startable)
            if self._shares.may_start(self._under_way[credential], caps[credential], free):
                self._under_way[credential] += 1
                startable.append(each)
            else:
                waiting.append(each)
        self._ahead = waiting
        return startable

    async def _take(self) -> list[Claimed]:
        """Up to twice the lanes, so that a claim serves many; of each credential no more than it may have."""
        self._looked, limit = time.monotonic(), len(self._free) + self._lanes
        self._here, self._under_way = +self._here, +self._under_way
        ready = {**await self._open(), **due.ready()}
        found = await self._collection.find(ready, {"through": 1}).sort("due", ASCENDING).limit(limit).to_list()
        self._news = len(found) == limit  # others may stand behind these
        self._note([document["through"] for document in found])
        caps = self._caps({document["through"] for document in found})
        room = {credential: self._room(credential, cap) for credential, cap in caps.items()}
        chosen = []
        for document in found:
            room[document["through"]] -= 1
            if room[document["through"]] >= 0:
                chosen.append(document["_id"])
        claimed = await due.take(self._collection, chosen, self._lease_seconds)
        self._here.update(document["through"] for document, _ in claimed)
        return claimed

    def _note(self, credentials: list[str]) -> None:
        """These have work now; forget who had some long ago."""
        recent = {each: at for each, at in self._seen.items() if self._looked - at < RECENT_SECONDS}
        self._seen = recent | dict.fromkeys(credentials, self._looked)

    def _room(self, credential: str, cap: int) -> int:
        """How many more of it may be taken; one without a limit may also wait here for a lane."""
        return (cap if self._most(credential) < self._lanes else 2 * cap) - self._here[credential]

    def _caps(self, credentials: Iterable[str]) -> dict[str, int]:
        """How many lanes each of these may have."""
        parts = {each: self._shares.part(self._most(each)) for each in {*self._seen, *+self._here}}
        together = sum(parts.values())
        return {each: self._shares.cap(self._most(each), together - parts.get(each, 0)) for each in credentials}
