"""What the processes agreed on about credentials, as it was a moment ago: one look serves all calls of that moment.

The documents of `partners.credentials`: one for each credential (its `_id`), and one for each partner and mode that an
operator paused for all tenants (`_id` is an object of the two).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Iterable

from lendrail.runtime.breaker import Breaker
from lendrail.runtime.directory import Credential, Credentials, Mounted
from lendrail.runtime.mongo import Collection, Document

LOOK_SECONDS = 0.2
"""How old our knowledge may be: that long after a pause or an opening another process may still start a call."""
FAR = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)
Operation = tuple[str, str]
"""A credential and the name of an operation."""
APPROVAL_MISSING = "approval-missing"
"""Why nothing goes through a live credential that nobody approved as it is."""
PAUSED: Document = {"$gt": [{"$ifNull": ["$paused_until", None]}, "$$NOW"]}
"""By ourselves, after a refusal."""
HELD: Document = {
    "$and": [{"$eq": ["$hold.paused", True]}, {"$gt": [{"$ifNull": ["$hold.until", {"$literal": FAR}]}, "$$NOW"]}]
}
"""By an operator."""


class Standing:
    """Approvals, pauses and breakers of all credentials. Those in good standing cost nothing but the look."""

    def __init__(self, state: Collection, credentials: Mounted[Credentials], approvals: bool) -> None:
        """`approvals`: whether live credentials need one."""
        self._state, self._credentials, self._approvals = state, credentials, approvals
        self.paused: dict[str, str] = {}
        """Credentials through which nothing goes, with the reason's code."""
        self._approved: dict[str, str] = {}
        """Approved credentials, with the place that the approval is bound to."""
        self.breakers: dict[Operation, Breaker] = {}
        self._looked = self._seen = -LOOK_SECONDS
        self._looking = asyncio.Lock()
        self._clock = dt.datetime.min.replace(tzinfo=dt.UTC), 0.0

    def now(self) -> dt.datetime:
        """The server's time, a round trip ahead at most; long ago while there is nothing to compare it with."""
        told, at = self._clock
        return told + dt.timedelta(seconds=time.monotonic() - at)

    def forget(self) -> None:
        """The next question looks again."""
        self._looked = -LOOK_SECONDS

    def learn(self, operation: Operation, breaker: Breaker | None, now: dt.datetime, asked: float) -> None:
        """A breaker as we just read or wrote it; `now` is the server's answer to what was asked at `asked`."""
        self._clock = now, asked
        if breaker is None:
            self.breakers.pop(operation, None)
        else:
            self.breakers[operation] = breaker

    def approved(self, credential: Credential) -> bool:
        """Whether this credential, as it is here, needs no approval or has one."""
        if not self._approvals or credential.mode != "live":
            return True
        return self._approved.get(credential.id) == credential.place

    async def look(self) -> Standing:
        """Look again unless somebody just did; whoever comes while somebody looks takes what that one sees."""
        asked = time.monotonic()
        if asked - self._looked >= LOOK_SECONDS:
            async with self._looking:
                if self._seen < asked:
                    await self._look()
        return self

    async def _look(self) -> None:
        begun = time.monotonic()
        troubled: list[Document] = [{"$expr": {"$or": [PAUSED, HELD]}}, {"breakers": {"$nin": [None, {}]}}]
        shown: Document = {"paused": PAUSED, "held": HELD, "pause_reason": 1, "breakers": 1, "now": "$$NOW"}
        shown |= {"approval.approved": 1, "approval.place": 1}
        told: Document = {"$or": [*troubled, {"approval.approved": True}]}
        cursor = await self._state.aggregate([{"$match": told}, {"$project": shown}])
        documents = [document async for document in cursor]
        if documents:
            self._clock = documents[0]["now"], begun
        said = {each["_id"]: each["approval"] for each in documents if "approval" in each}
        self._approved = {credential: word["place"] for credential, word in said.items() if word["approved"]}
        missing = {
            each.id: APPROVAL_MISSING for each in self._credentials.current.credentials if not self.approved(each)
        }
        self.paused = missing | {name: reason for each in documents for name, reason in self._pauses(each)}
        self.breakers = {
            (each["_id"], name): read_breaker(stored)
            for each in documents
            for name, stored in each.get("breakers", {}).items()
        }
        self._looked, self._seen = begun, time.monotonic()

    def _pauses(self, document: Document) -> Iterable[tuple[str, str]]:
        if not document["paused"] and not document["held"]:
            return
        reason = "operator" if document["held"] else str(document.get("pause_reason", ""))
        if isinstance(document["_id"], str):
            yield document["_id"], reason
        else:
            wanted = document["_id"]
            for each in self._credentials.current.credentials:
                if {"partner": each.partner, "mode": each.mode} == wanted:
                    yield each.id, reason


def read_breaker(stored: Document) -> Breaker:
    return Breaker(**{name: stored[name] for name in Breaker.__slots__ if name in stored})
