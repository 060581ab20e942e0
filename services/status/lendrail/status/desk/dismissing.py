"""Many calls that are nobody's, dismissed together: a forged flood must cost a person no day, and the audit no million
of entries.

The act is written first: who, why, and exactly which calls, in one document with one entry. Then the calls leave the
list. Whoever dies in between, a sweep goes on from the act. Nothing else becomes of them than of a call that is
dismissed by itself: should its opportunity become known, it is heard all the same.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid

import structlog

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import NAMESPACE
from lendrail.runtime import audit, bodies
from lendrail.runtime.audit import Actor
from lendrail.runtime.bodies import Once
from lendrail.runtime.clock import utc_now
from lendrail.runtime.http import Problem
from lendrail.runtime.mongo import ASCENDING, OUTAGES, Collection, Document, DuplicateKeyError
from lendrail.runtime.vault import INTAKE_KEY_DAYS
from lendrail.status.desk.sought import Sought
from lendrail.status.desk.vocabulary import Vocabulary

log = structlog.get_logger()
MOST, MOST_COUNTED = 5_000, 100_000
"""Calls that one request dismisses, and up to which one counts; `more` says that there are others."""


class Dismissal(Sought):
    """What leaves the list: calls that prove nothing, unless those that do are asked for."""

    proven: bool = False
    reason: SensitiveText | None = None
    dry_run: bool = False


class Dismissing:
    """The collection `dismissals`: an act each."""

    def __init__(
        self, dismissals: Collection, orphans: Collection, vocabulary: Vocabulary, sweep_seconds: float
    ) -> None:
        self.collection, self._orphans, self._vocabulary = dismissals, orphans, vocabulary
        self._sweep_seconds = sweep_seconds

    async def prepare(self) -> None:
        await bodies.prepare(self.collection)
        await self.collection.create_index("expires", expireAfterSeconds=0)

    async def run(self) -> None:
        """Finish what others began."""
        while True:
            await asyncio.sleep(self._sweep_seconds)
            try:
                for act in await self.collection.find({"calls": {"$exists": True}}).limit(10).to_list():
                    await self.finish(act)
            except OUTAGES as error:
                log.warning("dismissed calls wait for their store", error=type(error).__name__)

    async def count(self, nobodys: Document) -> Document:
        """How many of these calls there are, and nothing else."""
        count = await self._orphans.count_documents(nobodys, limit=MOST_COUNTED + 1)
        return {"dryRun": True, "count": min(count, MOST_COUNTED), "more": count > MOST_COUNTED}

    async def dismiss(
        self, actor: Actor, nobodys: Document, told: Dismissal, why: SensitiveText, once: Once
    ) -> Document:
        """The oldest of these calls leave the list. The answer. Raises `Problem`."""
        found = self._orphans.find(nobodys, {"_id": 1}).sort("received_at", ASCENDING).limit(MOST + 1)
        calls = [each["_id"] async for each in found]
        if not calls:
            raise Problem(409, "no-such-calls", "No call in the list fits; nothing was done.")
        identity = str(uuid.uuid5(NAMESPACE, f"dismissal|{once.name}"))
        answer = {"id": identity, "count": len(calls[:MOST]), "more": len(calls) > MOST}
        entry = audit.entry(
            actor, "orphans-dismissed", f"dismissals/{identity}", why=why, key=await self._vocabulary.key(),
            after=audit.digest({"calls": calls[:MOST]}), about={"calls": str(answer["count"])} | _about(told),
        )  # fmt: skip
        expires = utc_now() + dt.timedelta(days=INTAKE_KEY_DAYS)
        act = {"_id": identity, "tenant": actor.tenant, "mode": actor.mode, "calls": calls[:MOST], "expires": expires}
        try:
            await self.collection.insert_one(act | audit.held(entry | once.beside(answer)))
        except DuplicateKeyError:  # the same request was quicker
            before = await bodies.answered_before(self.collection, once)
            assert before is not None
            return before
        await self.finish(act)
        return answer

    async def finish(self, act: Document) -> None:
        """What was dismissed before, or found its opportunity meanwhile, stays as it is."""
        listed = {"_id": {"$in": act["calls"]}, "dismissed": {"$exists": False}}
        change: list[Document] = [{"$set": {"dismissed": "$$NOW", "dismissal": act["_id"]}}]
        await self._orphans.update_many(listed, change)
        await self.collection.update_one({"_id": act["_id"]}, {"$unset": {"calls": ""}})


def _about(told: Dismissal) -> dict[str, str]:
    """By which filter. Names are those that calls bear, since some were found."""
    said = told.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"reason", "dry_run"})
    return said | {"proven": str(told.proven).lower()}
