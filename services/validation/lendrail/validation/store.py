"""The collection `reports`: one document for each validated event, and the fingerprints of what was sound."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from lendrail.contracts.application_amended import ApplicationAmended
from lendrail.runtime.mongo import Collection, Document
from lendrail.validation.standing import Standing, standing


class Reports:
    def __init__(self, collection: Collection, waiting: Collection) -> None:
        """`waiting` holds what is not reported yet and counts against twins already."""
        self.collection, self._waiting = collection, waiting

    async def prepare(self) -> None:
        there = {"fingerprints": {"$exists": True}}
        for collection in (self.collection, self._waiting):
            await collection.create_index([("fingerprints", 1)], partialFilterExpression=there)

    async def standings(self, event_ids: Iterable[str]) -> dict[str, Standing]:
        """What the reports of these events say; left out is what still waits to be published, so that whoever builds
        on it is published later.
        """
        where: Document = {"_id": {"$in": list(event_ids)}, "pending": {"$exists": False}}
        return {each["_id"]: standing(each) async for each in self.collection.find(where, {"outbox": 0})}

    async def reported(self, event_id: str) -> bool:
        return await self.collection.find_one({"_id": event_id}, {"_id": 1}) is not None

    async def same_wishes(self, fingerprints: Iterable[str], since: dt.datetime) -> dict[str, dict[str, dt.datetime]]:
        """Which applications wish one of these now, and since when, by fingerprint.

        Each report says how the wish stood then, so of an application the newest one counts. Mostly there is none at
        all, which one query tells.
        """
        wanted = set(fingerprints)
        if not wanted:
            return {}
        where: Document = {"fingerprints": {"$in": list(wanted)}, "receivedAt": {"$gte": since}}
        found = await self._everywhere(where)
        newest: dict[tuple[str, str], Document] = {}
        for report in sorted(found, key=lambda each: int(each["revision"])):
            newest |= {(mark, report["application"]): report for mark in wanted.intersection(report["fingerprints"])}
        later = await self._after(newest.values())
        same: dict[str, dict[str, dt.datetime]] = {}
        for (mark, application), report in newest.items():
            known = later.get(_next(report), report)
            if known["counts"] and mark in known["fingerprints"]:
                same.setdefault(mark, {})[application] = report["wishedAt"]
        return same

    async def _after(self, reports: Iterable[Document]) -> dict[str, Document]:
        """What the next revisions made of these wishes, by event id."""
        ids = [_next(report) for report in reports]
        if not ids:
            return {}
        return {
            each["_id"]: each for each in await self._everywhere({"_id": {"$in": ids}, "counts": {"$exists": True}})
        }

    async def _everywhere(self, where: Document) -> list[Document]:
        """What waits is looked at first: it leaves there only after it was reported. Of a report made by an older
        version only its own fingerprints are known.
        """
        shown: list[Document] = [
            {"$match": where},
            {
                "$project": {
                    "application": 1,
                    "revision": {"$ifNull": ["$revision", "$report.revision"]},
                    "fingerprints": {"$ifNull": ["$fingerprints", []]},
                    "wishedAt": {"$ifNull": ["$wishedAt", "$receivedAt"]},
                    "counts": {"$ifNull": ["$counts", True]},
                }
            },
        ]
        also = {"$unionWith": {"coll": self.collection.name, "pipeline": shown}}
        return [each async for each in await self._waiting.aggregate([*shown, also])]


def _next(report: Document) -> str:
    """The id of the event that followed."""
    return ApplicationAmended.id_of(report["application"], report["revision"] + 1)
