"""What people did with dead letters: who, when and why is stored before it is done, and a record is put back once.

One document for each record that could not be read, in the database `operations`, which no service owns: a letter is
about a record and not about an application, and several services may have written one about the same record. Its
entries are chained like those of every service (`lendrail audit verify`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase

from lendrail.contracts.sensitive import SensitiveText
from lendrail.runtime import audit
from lendrail.runtime.audit_chain import LEASE_SECONDS, Chain
from lendrail.runtime.dlq_letters import Judged
from lendrail.runtime.due import in_seconds
from lendrail.runtime.faults import point
from lendrail.runtime.mongo import Document, insert_absent
from lendrail.runtime.vault import Key

DATABASE = "operations"
CLAIM_SECONDS = 60.0
"""After so long whoever began to put a record back and did not say that it was done is taken for dead."""
PLATFORM = "platform"
"""In place of a tenant: nobody can know whose record it is that nobody could read."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts, and why. `action` names one use of the command; the reason is sealed under a key of its own, so that it
    can be erased by itself.
    """

    who: str
    why: SensitiveText
    action: str
    key: Key

    def entry(self, what: str, judged: Judged) -> Document:
        letter = judged.letter
        about = {"topic": letter.topic, "letter": letter.id, "service": letter.service, "reason": letter.reason}
        actor = audit.Actor(PLATFORM, "live", f"operator:{self.who}", self.action)
        return audit.entry(actor, what, f"dead_letters/{letter.record}", why=self.why, key=self.key, about=about)


@dataclass(frozen=True, slots=True)
class Known:
    """What was done about a record before."""

    state: str
    """`seen` (nothing but looked at), `replaying`, `replayed`."""
    at: dt.datetime | None = None
    who: str = ""


class DeadLetters:
    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self.collection = database["dead_letters"]
        self._chain = Chain(DATABASE, database, [self.collection])

    async def prepare(self) -> None:
        await self.collection.create_index([("event", ASCENDING), ("topic", ASCENDING)])
        await self._chain.prepare()

    async def chained(self) -> None:
        """Link what was entered. No worker lives here: what a command that died left is linked by the next one, which
        waits for its lease to end.
        """
        deadline = time.monotonic() + 2 * LEASE_SECONDS
        while await self._chain.store.waits() and time.monotonic() < deadline:
            if not await self._chain.round():
                await asyncio.sleep(0.2)

    async def known(self, records: Sequence[str]) -> dict[str, Known]:
        cursor = self.collection.find({"_id": {"$in": list(records)}}, {"audit": 0})
        return {each["_id"]: Known(each["state"], each.get("replayed"), each.get("who", "")) async for each in cursor}

    async def came_back(self, judged: Sequence[Judged]) -> set[str]:
        """Records whose event was put back before, from another place: it could not be read that time either."""
        events = {each.event: each for each in judged if each.event}
        cursor = self.collection.find({"event": {"$in": list(events)}, "state": "replayed"}, {"event": 1, "topic": 1})
        before = [(each["event"], each["topic"], each["_id"]) async for each in cursor]
        return {
            each.letter.record
            for each in judged
            if any(e == each.event and t == each.letter.topic and r != each.letter.record for e, t, r in before)
        }

    async def looked(self, judged: Judged, operator: Operator) -> None:
        """Enter that its content is about to be shown."""
        await insert_absent(self.collection, [_seen(judged)])
        point("store.dead_letters.before")
        await self.collection.update_one(
            {"_id": judged.letter.record}, audit.pushed(operator.entry("dead-letter-revealed", judged))
        )
        point("store.dead_letters.after")

    async def claim(self, judged: Sequence[Judged], operator: Operator) -> set[str]:
        """The records that this action puts back now; each is entered before that."""
        await insert_absent(self.collection, [_seen(each) for each in judged])
        free = {"$lte": [{"$ifNull": ["$until", "$$NOW"]}, "$$NOW"]}
        writes = []
        for each in judged:
            fields: Mapping[str, Any] = {
                "state": "replaying", "action": operator.action, "who": operator.who,
                "until": in_seconds(CLAIM_SECONDS),
            }  # fmt: skip
            entered = audit.staged(operator.entry("dead-letter-replayed", each))
            where = {"_id": each.letter.record, "state": {"$ne": "replayed"}, "$expr": free}
            writes.append(UpdateOne(where, [{"$set": {**fields, **entered}}]))
        if writes:
            point("store.dead_letters.before")
            await self.collection.bulk_write(writes, ordered=False)
            point("store.dead_letters.after")
        ids = [each.letter.record for each in judged]
        mine = {"_id": {"$in": ids}, "action": operator.action, "state": "replaying"}
        return {document["_id"] async for document in self.collection.find(mine, {"_id": 1})}

    async def done(self, records: Sequence[str], operator: Operator) -> None:
        """Kafka has them."""
        stages: list[dict[str, Any]] = [{"$set": {"state": "replayed", "replayed": "$$NOW"}}, {"$unset": ["until"]}]
        point("store.dead_letters.before")
        await self.collection.update_many({"_id": {"$in": list(records)}, "action": operator.action}, stages)
        point("store.dead_letters.after")


def _seen(judged: Judged) -> Document:
    letter = judged.letter
    event = {"event": judged.event} if judged.event else {}
    return {"_id": letter.record, "state": "seen", "topic": letter.topic, "place": letter.place} | event
