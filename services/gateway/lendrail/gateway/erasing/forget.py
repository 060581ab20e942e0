"""What is left of an application when its person was erased: that it was, its ids, its times and who did what.

Idempotency keys stay, so that a key which is used again is still refused; so do the ids of its opportunities, by which
a late request about one is told `erased`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Sequence

from lendrail.gateway.store import Applications, Facts
from lendrail.runtime.mongo import Collection, Document
from lendrail.runtime.outbox import emptied
from lendrail.runtime.vault import INTAKE_KEY_DAYS

KEPT = dt.timedelta(days=INTAKE_KEY_DAYS)
"""Of parked imports: as long as the key that seals them."""
_OF_AMENDMENTS = ("fingerprint", "answer", "problems")
_OF_CHANGES = ("due", "value", "fingerprint", "problems", "correlation")


class Forgetter:
    def __init__(
        self,
        applications: Applications,
        facts: Facts,
        changes: Collection,
        conflicts: Collection,
        relist: Callable[[Iterable[str]], Awaitable[None]],
    ) -> None:
        """`relist` makes the entries of these applications in the lists anew."""
        self._applications, self._facts = applications.collection, facts.collection
        self._changes, self._conflicts, self._relist = changes, conflicts, relist

    async def prepare(self) -> None:
        await self._changes.create_index([("application", 1), ("arrived", 1)])
        await self._conflicts.create_index("application")
        await self._conflicts.create_index("parked", expireAfterSeconds=int(KEPT.total_seconds()))

    async def forget(self, applications: Sequence[str]) -> None:
        """Drop what is kept of these applications; the ids of their opportunities are noted before their facts go."""
        ids = list(applications)
        about: Document = {"application": {"$in": ids}}
        await self._note_opportunities(about)
        await self._empty({"_id": {"$in": ids}})
        await self._facts.delete_many(about)
        await self._changes.update_many(about, {"$unset": dict.fromkeys(_OF_CHANGES, ""), "$set": {"result": "erased"}})
        await self._conflicts.delete_many(about)
        await self._relist(ids)

    async def _note_opportunities(self, about: Document) -> None:
        named: dict[str, set[str]] = {}
        async for fact in self._facts.find(about, {"application": 1, "opportunities": 1}):
            named.setdefault(fact["application"], set()).update(fact.get("opportunities", ()))
        for application, opportunities in named.items():
            note = {"$addToSet": {"opportunities": {"$each": sorted(opportunities)}}}
            await self._applications.update_one({"_id": application}, note)

    async def _empty(self, these: Document) -> None:
        change = emptied()
        change["$set"] |= {"references": []}
        change["$unset"] |= {"fingerprint": ""}
        await self._applications.update_many(these, change)
        sealed = {f"amendments.$[].{name}": "" for name in _OF_AMENDMENTS}
        await self._applications.update_many(these | {"amendments": {"$exists": True}}, {"$unset": sealed})
