"""The collection `reports`: one document for each validated event, and the fingerprints of what was sound."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from lendrail.runtime.mongo import Collection


class Reports:
    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    async def prepare(self) -> None:
        await self.collection.create_index(
            [("fingerprints", 1)], partialFilterExpression={"fingerprints": {"$exists": True}}
        )

    async def same_wishes(
        self, fingerprints: Iterable[str], since: dt.datetime
    ) -> dict[str, list[tuple[str, dt.datetime]]]:
        """Who stated these fingerprints since then: (application id, when it was received), in one query."""
        wanted = set(fingerprints)
        found: dict[str, list[tuple[str, dt.datetime]]] = {}
        if not wanted:
            return found
        where = {"fingerprints": {"$in": list(wanted)}, "receivedAt": {"$gte": since}}
        shown = {"fingerprints": 1, "application": 1, "receivedAt": 1}
        async for report in self.collection.find(where, shown):
            for each in wanted.intersection(report["fingerprints"]):
                found.setdefault(each, []).append((report["application"], report["receivedAt"]))
        return found
