"""The lists of the desk, each as it waits now for the operators of one tenant and mode, oldest first.

Nothing here tells of an erased person: what is listed stands in the documents that an erasure empties, and twins are
listed only while both may still be decided. Words of partners may speak of a person: operators see them, logs do not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from lendrail.contracts.age import age_seconds
from lendrail.contracts.terms import Mode, Status
from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import Credentials, Mounted
from lendrail.runtime.mongo import ASCENDING, Collection, Document
from lendrail.runtime.tokens import Caller
from lendrail.status.desk.merging import shown as orphan
from lendrail.status.desk.sought import Sought
from lendrail.status.desk.twins import Twins
from lendrail.status.folding.noted import DISAGREEMENTS, UNMAPPED, told

MOST = 500
"""Entries of one list; `more` says that there are others."""
MOST_COUNTED, MOST_READ = 10_000, 100_000
"""Calls that are counted one by one, and opportunities that are read for the list of words: one look must not wait for
a million of them. Beyond that counts are at least so many.
"""
ALL = Sought()
Shown = dict[str, Any]
_TEXT: Document = {"$type": "string"}


class Waiting:
    """Reads the lists."""

    def __init__(
        self, opportunities: Collection, orphans: Collection, twins: Twins, credentials: Mounted[Credentials]
    ) -> None:
        self._opportunities, self._orphans, self._twins = opportunities, orphans, twins
        self._credentials = credentials

    async def prepare(self) -> None:
        whose, create = [("tenant", ASCENDING), ("mode", ASCENDING)], self._opportunities.create_index
        word, since = f"{UNMAPPED}.word", f"{DISAGREEMENTS}.since"
        await create([*whose, (word, ASCENDING)], partialFilterExpression={word: _TEXT})
        await create([*whose, (since, ASCENDING)], partialFilterExpression={since: {"$type": "date"}})
        proven = [("tenant", ASCENDING), ("dismissed", ASCENDING), ("verified", ASCENDING)]
        for listed_by in (whose[:1], proven):
            await self._orphans.create_index([*listed_by, ("received_at", ASCENDING)])

    async def words(self, caller: Caller, *, all_tenants: bool = False) -> list[Shown]:
        """Partner and word, on how many opportunities, and since when."""
        own = {} if all_tenants else {"tenant": caller.tenant_id}
        stages: list[Document] = [
            {"$match": own | {"mode": caller.mode, f"{UNMAPPED}.word": _TEXT}},
            {"$limit": MOST_READ},
            {"$project": {"partner": 1, UNMAPPED: 1}},
            {"$unwind": f"${UNMAPPED}"},
            {"$group": {
                "_id": {"partner": "$partner", "word": f"${UNMAPPED}.word"},
                "opportunities": {"$sum": 1},
                "since": {"$min": f"${UNMAPPED}.since"},
                "example": {"$min": "$_id"},
            }},
            {"$sort": {"since": 1, "_id": 1}},
            {"$limit": MOST + 1},
        ]  # fmt: skip
        found = await (await self._opportunities.aggregate(stages)).to_list()
        return [
            {**each["_id"], "opportunities": each["opportunities"], **_aged(each["since"])}
            | ({} if all_tenants else {"opportunityId": each["example"]})
            for each in found
        ]

    async def orphans(self, caller: Caller, sought: Sought = ALL) -> list[Shown]:
        found = self._orphans.find(self.nobodys(caller, sought), {"body": 0, "audit": 0}).sort("received_at", ASCENDING)
        now = utc_now()
        return [orphan(each, now) async for each in found.limit(MOST + 1)]

    async def disagreements(self, caller: Caller) -> list[Shown]:
        """Both sides: channel, status, the partner's word and times."""
        mine = {"tenant": caller.tenant_id, "mode": caller.mode, f"{DISAGREEMENTS}.since": {"$type": "date"}}
        fields = dict.fromkeys(("application_id", "partner", "credential", "status", DISAGREEMENTS), 1)
        found = self._opportunities.find(mine, fields).sort(f"{DISAGREEMENTS}.since", ASCENDING).limit(MOST + 1)
        return [
            _named(each) | told(pair) | _aged(pair["since"]) async for each in found for pair in each[DISAGREEMENTS]
        ][: MOST + 1]

    async def duplicates(self, caller: Caller) -> list[Shown]:
        pairs = await self._twins.open(caller.tenant_id, caller.mode, MOST + 1)
        return [
            {"by": each["by"], **_aged(each["since"]), "opportunities": [_named(side) for side in each["sides"]]}
            for each in pairs
        ]

    async def overview(self, caller: Caller) -> Shown:
        """How much waits in each list and since when the oldest."""
        words, duplicates = await self.words(caller), await self.duplicates(caller)
        disagreements = await self.disagreements(caller)
        nobodys = self.nobodys(caller)
        count = await self._orphans.count_documents(nobodys, limit=MOST_COUNTED + 1)
        oldest = await self._orphans.find(nobodys, {"received_at": 1}).sort("received_at", ASCENDING).limit(1).to_list()
        return {
            "words": _counted(words),
            "orphans": _limited(count, MOST_COUNTED) | (_aged(oldest[0]["received_at"]) if oldest else {}),
            "disagreements": _counted(disagreements),
            "duplicates": _counted(duplicates),
        }

    async def orphan(self, caller: Caller, call: str) -> Document | None:
        return await self._orphans.find_one({**self._mine(caller), "_id": call})

    def nobodys(self, caller: Caller, sought: Sought = ALL) -> Document:
        return self._mine(caller) | sought.where() | {"dismissed": {"$exists": False}}

    def _mine(self, caller: Caller) -> Document:
        """An entry of a feed says no mode; its account does."""
        mode: Mode = caller.mode
        accounts = [each.id for each in self._credentials.current.credentials if each.mode == mode]
        by_account = {"mode": {"$exists": False}, "credential": {"$in": accounts}}
        return {"tenant": caller.tenant_id, "$or": [{"mode": mode}, by_account]}


def listed(name: str, found: Sequence[Shown]) -> Shown:
    return {name: list(found[:MOST]), "more": len(found) > MOST}


def _counted(found: Sequence[Shown]) -> Shown:
    return _limited(len(found), MOST) | ({name: found[0][name] for name in ("since", "ageSeconds")} if found else {})


def _limited(count: int, most: int) -> Shown:
    """Up to so many; then `more` is said."""
    return {"count": min(count, most)} | ({"more": True} if count > most else {})


def _named(document: Mapping[str, Any]) -> Shown:
    shown = {
        "opportunityId": document["_id"],
        "applicationId": document["application_id"],
        "partner": document["partner"],
        "credential": document["credential"],
        "partnerId": document.get("partner_id"),
        "status": Status(document["status"]).value,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _aged(since: dt.datetime) -> Shown:
    return {"since": since, "ageSeconds": age_seconds(since, utc_now())}
