"""Where entries of a list are stored: small documents of their own, so that a page reads nothing but entries.

They are made from facts, never changed by hand, and written only over the state that the maker has seen (`rev`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from contextlib import suppress

from lendrail.gateway.lists.search import Question, stamp_of
from lendrail.runtime.http import unavailable
from lendrail.runtime.mongo import Collection, Document, DuplicateKeyError, GroupCommit

BY_RECEIPT, BY_CHANGE = "by-receipt", "by-change"


class Index:
    """The entries of one list; `owner` is the field that names the application."""

    def __init__(self, collection: Collection, owner: str) -> None:
        self.collection, self._owner = collection, owner
        self._writes = GroupCommit(collection)
        self._prepared = False

    async def prepare(self) -> None:
        found = [("tenant", 1), ("mode", 1), ("keys", 1)]
        await self.collection.create_index([*found, ("place", -1)], name=BY_RECEIPT)
        await self.collection.create_index([*found, ("moved", 1)], name=BY_CHANGE)
        if self._owner != "_id":
            await self.collection.create_index(self._owner)
        self._prepared = True

    async def of(self, applications: Iterable[str]) -> dict[str, Document]:
        """The entries of these applications, by their ids."""
        cursor = self.collection.find({self._owner: {"$in": list(applications)}})
        return {entry["_id"]: entry async for entry in cursor}

    async def add(self, entry: Document) -> None:
        """The first entry of its id; one that is there already knows more."""
        with suppress(DuplicateKeyError):
            await self._writes.insert(entry | {"rev": 1})

    async def put(self, entry: Document, before: Document | None) -> bool:
        """Write over what was read (`before`); False when somebody else wrote meanwhile."""
        if before is not None and all(name in before and before[name] == value for name, value in entry.items()):
            return True
        rev = before["rev"] if before else None
        change = {name: value for name, value in entry.items() if name != "_id"} | {"rev": (rev or 0) + 1}
        try:
            return await self._writes.update({"_id": entry["_id"], "rev": rev}, {"$set": change}, upsert=before is None)
        except DuplicateKeyError:
            return False

    async def remove(self, ids: Sequence[str]) -> None:
        if ids:
            await self.collection.delete_many({"_id": {"$in": list(ids)}})

    async def page(self, tenant: str, mode: str, question: Question, after: str | None, limit: int) -> list[Document]:
        """Entries behind `after`: newest receipt first, or oldest change first where time of change is asked for.

        Raises `Problem` 503 while there are no indexes yet.
        """
        if not self._prepared:
            raise unavailable()
        where, name = where_of(tenant, mode, question, after)
        field, direction = ("moved", 1) if question.by_change else ("place", -1)
        return await self.collection.find(where).sort(field, direction).hint(name).limit(limit).to_list()


def where_of(tenant: str, mode: str, question: Question, after: str | None) -> tuple[Document, str]:
    """The condition, and the index that leads straight to its first entry."""
    keys = question.keys()
    found: Document = {"tenant": tenant, "mode": mode, "keys": keys[0] if len(keys) == 1 else {"$in": keys}}
    found |= question.conditions()
    if question.by_change:
        bounds = _between(question.changed_from, question.changed_to)
        if after is not None:
            bounds = {name: each for name, each in bounds.items() if name != "$gte"} | {"$gt": after}
        return found | {"moved": bounds}, BY_CHANGE
    bounds = _between(question.received_from, question.received_to)
    ends = [end for end in (after, bounds.get("$lt")) if end is not None]
    bounds |= {"$lt": min(ends)} if ends else {}
    return found | ({"place": bounds} if bounds else {}), BY_RECEIPT


def _between(start: dt.datetime | None, end: dt.datetime | None) -> dict[str, str]:
    """Of texts that begin with the stamp of a time."""
    bounds = {"$gte": stamp_of(start)} if start is not None else {}
    return bounds | ({"$lt": stamp_of(end)} if end is not None else {})
