"""What people do with calls that nobody could match: give one to its opportunity, or say that it is nobody's.

A merge is written into the opportunity first, with who and why and the mark that the call is still to be heard; then
the call is heard as if the partner had named the opportunity. Whoever dies in between, a sweep goes on from the mark.
Later calls with the same foreign id follow, unless that id is some other opportunity's.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import structlog

from lendrail.contracts.age import age_seconds
from lendrail.contracts.sensitive import Erased, SensitiveText
from lendrail.contracts.terms import Status
from lendrail.runtime import audit, bodies
from lendrail.runtime.audit import Actor
from lendrail.runtime.bodies import Once
from lendrail.runtime.faults import point
from lendrail.runtime.http import Problem
from lendrail.runtime.mongo import ASCENDING, OUTAGES, Collection, Document, DuplicateKeyError
from lendrail.runtime.vault import Vault
from lendrail.status.desk.sought import is_proven, source_of
from lendrail.status.desk.vocabulary import Vocabulary
from lendrail.status.hints import Hints
from lendrail.status.reports import Reports
from lendrail.status.timing import readable

log = structlog.get_logger()
MERGING, MERGED, ALIASES = "merging", "merged", "aliases"
"""Calls of an opportunity that are still to be heard; all that were merged; foreign ids that name it too."""
MOST_AT_ONCE = 200


class Merging:
    """Merges and dismisses orphans."""

    def __init__(
        self,
        orphans: Collection,
        opportunities: Collection,
        hints: Hints,
        reports: Reports,
        vocabulary: Vocabulary,
        vault: Vault,
        sweep_seconds: float,
    ) -> None:
        self._orphans, self._opportunities = orphans, opportunities
        self._hints, self._reports = hints, reports
        self._vocabulary, self._vault, self._sweep_seconds = vocabulary, vault, sweep_seconds

    async def prepare(self) -> None:
        for collection in (self._orphans, self._opportunities):
            await bodies.prepare(collection)
        for name in (MERGING, ALIASES):
            there = {name: {"$type": "string"}}
            await self._opportunities.create_index(
                [("credential", ASCENDING), (name, ASCENDING)], partialFilterExpression=there
            )

    async def run(self) -> None:
        """Finish what others began."""
        while True:
            await asyncio.sleep(self._sweep_seconds)
            try:
                left = self._opportunities.find({MERGING: {"$type": "string"}}, {"_id": 1}).limit(MOST_AT_ONCE)
                for each in await left.to_list():
                    await self.finish(each["_id"])
            except OUTAGES as error:
                log.warning("merged calls wait for their store", error=type(error).__name__)

    async def merge(
        self, actor: Actor, call: Document, opportunity: str, why: SensitiveText, once: Once
    ) -> Document | None:
        """Write the merge down. The answer; None when the opportunity changed meanwhile. Raises `Problem`, `Erased`."""
        document = await self._target(actor, call, opportunity)
        key = await self._vault.get(document["application_id"])
        names = [call["partner_id"]] if await self._names_it(call, document) else []
        before = {name: document.get(name, []) for name in (MERGED, ALIASES)}
        after = {
            MERGED: [*before[MERGED], call["_id"]],
            ALIASES: [*before[ALIASES], *(each for each in names if each not in before[ALIASES])],
        }
        entry = audit.entry(
            actor, "orphan-merged", f"opportunities/{opportunity}", application=document["application_id"],
            why=why, key=key, before=audit.digest(before), after=audit.digest(after),
            about={"orphan": call["_id"], "laterCalls": "follow" if names else "do-not-follow"},
        )  # fmt: skip
        waiting = [*document.get(MERGING, ()), call["_id"]]
        fields = {name: {"$literal": value} for name, value in {**after, MERGING: waiting}.items()}
        answer = {"orphan": call["_id"], "opportunityId": opportunity, "laterCallsFollow": bool(names)}
        answer["heard"] = await self._heard_as(call, document)
        said = audit.staged(entry | once.beside(answer))
        stages = [{"$set": fields | {"rev": {"$add": ["$rev", 1]}} | said}]
        try:
            where = {"_id": opportunity, "rev": document["rev"]}
            return answer if (await self._opportunities.update_one(where, stages)).matched_count else None
        except DuplicateKeyError:
            return None

    async def finish(self, opportunity: str) -> None:
        """Hear what was merged into it, and what else waits under a name of its own; then take the mark away."""
        document = await self._opportunities.find_one({"_id": opportunity})
        if document is None or not document.get(MERGING):
            return
        waiting = document[MERGING]
        named = {"credential": document["credential"], "partner_id": {"$in": document.get(ALIASES, [])}}
        calls = await self._orphans.find({"$or": [{"_id": {"$in": waiting}}, named]}).limit(MOST_AT_ONCE).to_list()
        if document["status"] != Status.ERASED.value:
            await self._hints.follow([(call, document) for call in calls])
        point("merging.heard")
        await self._hints.drop([call["_id"] for call in calls])
        await self._opportunities.update_one({"_id": opportunity}, {"$pull": {MERGING: {"$in": waiting}}})

    async def dismiss(self, actor: Actor, call: Document, why: SensitiveText, once: Once) -> Document | None:
        """It leaves the list. Should its opportunity become known after all, it is heard all the same."""
        key = await self._vocabulary.key()
        entry = audit.entry(
            actor, "orphan-dismissed", f"orphans/{call['_id']}", why=why, key=key, about={"orphan": call["_id"]}
        )
        answer = {"orphan": call["_id"], "dismissed": True}
        change: list[Document] = [{"$set": {"dismissed": "$$NOW"} | audit.staged(entry | once.beside(answer))}]
        try:
            where = {"_id": call["_id"], "dismissed": {"$exists": False}}
            return answer if (await self._orphans.update_one(where, change)).matched_count else None
        except DuplicateKeyError:
            return None

    async def _target(self, actor: Actor, call: Document, opportunity: str) -> Document:
        """Raises `Problem`."""
        mine = {"_id": opportunity, "tenant": actor.tenant, "mode": actor.mode}
        document = await self._opportunities.find_one(mine, {"outbox": 0, "observations": 0})
        if document is None:
            raise Problem(404, "not-found", "You have no such opportunity.")
        if document["status"] == Status.ERASED.value:
            raise Erased(document["application_id"])
        if document["credential"] != call["credential"]:
            raise Problem(409, "another-credential", "The call came through another account than the opportunity went.")
        if call["_id"] in document.get(MERGED, ()):
            raise Problem(409, "merged-already", "This call was merged into this opportunity before.")
        return document

    async def _names_it(self, call: Document, document: Document) -> bool:
        """Whether later calls with this id may follow: where it is no other opportunity's, by any of its names."""
        name, others = call.get("partner_id"), {"$ne": document["_id"]}
        if not name:
            return False
        for field in ("partner_id", "ours", "former", ALIASES):
            named = {"credential": call["credential"], field: {"$eq": name, "$type": "string"}, "_id": others}
            if await self._opportunities.find_one(named, {"_id": 1}) is not None:
                return False
        return True

    async def _heard_as(self, call: Document, document: Document) -> str:
        """`report`: at its word. `look`: the partner is asked. `noted`: neither can be done; a person must say more."""
        if await self._reports.speaks(call):
            return "report"
        return "look" if readable(document["partner"]) and document.get("partner_id") else "noted"


def shown(call: Document, now: dt.datetime) -> dict[str, Any]:
    """For operators: the partner's word too, and of a file's row by what it names its deal; never a body."""
    told = {
        "id": call["_id"],
        "partner": call["partner"],
        "credential": call["credential"],
        "partnerId": call.get("partner_id"),
        "reference": call.get("reference"),
        "words": call.get("words") or None,
        "source": source_of(call),
        "keys": call.get("row_keys"),
        "proven": is_proven(call),
        "receivedAt": call["received_at"],
        "ageSeconds": age_seconds(call["received_at"], now),
    }
    return {name: value for name, value in told.items() if value is not None}
