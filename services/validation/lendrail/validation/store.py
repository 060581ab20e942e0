"""The collection `reports`: one document for each validated event, and the fingerprints of what was sound."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

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

    async def same_wishes(
        self, fingerprints: Iterable[str], since: dt.datetime
    ) -> dict[str, list[tuple[str, dt.datetime]]]:
        """Who stated these fingerprints since then: (application id, when it was received), in one query.

        What waits is looked at first: it leaves there only after it was reported.
        """
        wanted = set(fingerprints)
        found: dict[str, list[tuple[str, dt.datetime]]] = {}
        if not wanted:
            return found
        where: Document = {"fingerprints": {"$in": list(wanted)}, "receivedAt": {"$gte": since}}
        shown: list[Document] = [
            {"$match": where},
            {"$project": {"fingerprints": 1, "application": 1, "receivedAt": 1}},
        ]
        also = {"$unionWith": {"coll": self.collection.name, "pipeline": shown}}
        async for report in await self._waiting.aggregate([*shown, also]):
            for each in wanted.intersection(report["fingerprints"]):
                found.setdefault(each, []).append((report["application"], report["receivedAt"]))
        return found
