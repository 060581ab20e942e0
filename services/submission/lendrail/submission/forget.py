"""What is left of an opportunity when its person was erased: that it was, what became of its attempts, and who decided.

Nothing is sent any more. An attempt that was under way stays one that the partner may have.
"""

from __future__ import annotations

from collections.abc import Sequence

from lendrail.runtime.mongo import Collection, Document
from lendrail.runtime.outbox import emptied
from lendrail.submission.attempts import moves
from lendrail.submission.store import HIDDEN, read, write_attempt

_SEALED = ("requests", "replies", "kept", "due", "through")
"""Of the document: what is sealed, and what would have it worked on."""
_OF_ATTEMPTS = frozenset({"words", "unread", "problems", "document", "given", "plan"})
"""The partner's words, and what the bytes were made of."""
CHANGES = 50
"""How often somebody else may be faster at one document before it is called a fault."""


class Forgetter:
    def __init__(self, opportunities: Collection, clearances: Collection) -> None:
        self._opportunities, self._clearances = opportunities, clearances

    async def prepare(self) -> None:
        await self._opportunities.create_index("application_id")

    async def forget(self, applications: Sequence[str]) -> None:
        """Drop what is kept of these applications. A lane that works on one finds another version and stops."""
        about = {"application_id": {"$in": list(applications)}}
        ids = [each["_id"] async for each in self._opportunities.find(about, {"_id": 1})]
        for opportunity in ids:
            await self._forget(opportunity)
        await self._clearances.update_many({"_id": {"$in": ids}}, {"$set": {"matches": []}})

    async def _forget(self, opportunity: str) -> None:
        for _ in range(CHANGES):
            document = await self._opportunities.find_one({"_id": opportunity}, HIDDEN)
            if document is None or await self._emptied(document):
                return
        raise RuntimeError(f"opportunity {opportunity} changes faster than it can be forgotten")

    async def _emptied(self, document: Document) -> bool:
        """False when somebody wrote in between."""
        attempts = [write_attempt(each) for each in moves.erase(read(document)).attempts]
        left = [{name: value for name, value in each.items() if name not in _OF_ATTEMPTS} for each in attempts]
        change = emptied()
        change["$set"] |= {"attempts": left, "version": document["version"] + 1}
        change["$unset"] |= dict.fromkeys(_SEALED, "")
        where = {"_id": document["_id"], "version": document["version"]}
        return (await self._opportunities.update_one(where, change)).matched_count == 1
