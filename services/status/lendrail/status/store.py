"""Opportunities in MongoDB: one document each, changed only by compare-and-set on its `rev`.

One write holds the new observations, the state they fold to and the versions of it that nobody was told yet; whoever
wrote publishes all unsent versions in their order. A writer that loses the race reads again and folds again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from lendrail.contracts.terms import Status
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import Collection, Document, DuplicateKeyError, GroupCommit, doing
from lendrail.runtime.outbox import Relay
from lendrail.status.desk.vocabulary import Vocabulary
from lendrail.status.folding.noted import HELD
from lendrail.status.folding.observation import Observation, State
from lendrail.status.folding.words import Words, held
from lendrail.status.folding.written import SERVICE as SERVICE
from lendrail.status.folding.written import Heard as Heard
from lendrail.status.folding.written import Subject as Subject
from lendrail.status.folding.written import Written, stored, together, written
from lendrail.status.folding.written import cause_of as cause_of
from lendrail.status.folding.written import kept_cause as kept_cause
from lendrail.status.folding.written import read as read
from lendrail.status.folding.written import subject_of as subject_of

NAMED = "/now"
"""Suffix of an instance's name on records that a running task publishes itself; the relay adopts what it leaves."""


Extra = Callable[[Subject, Document | None, State, Sequence[Observation]], Mapping[str, Any]]
"""(subject, document as read, new state, new observations) → further expressions to set in the same write."""


class Opportunities:
    """Reads, folds, writes, publishes."""

    def __init__(self, collection: Collection, relay: Relay, instance: str, vocabulary: Vocabulary) -> None:
        self.collection, self._relay, self._vocabulary = collection, relay, vocabulary
        self._group, self._preparing = GroupCommit(collection), doing(collection, "prepare")
        self._instance = instance
        self._named = instance + NAMED
        self._unsent: list[tuple[list[Document], asyncio.Future[None]]] = []
        self._publishing: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        await self.collection.create_index("application_id")
        await self.collection.create_index(
            [("credential", 1), ("partner_id", 1)], partialFilterExpression={"partner_id": {"$type": "string"}}
        )
        await self.collection.create_index([("credential", 1), ("ours", 1)])
        await self.collection.create_index(
            [("credential", 1), ("former", 1)], partialFilterExpression={"former": {"$type": "string"}}
        )
        await self.collection.create_index(
            [("tenant", 1), ("fetch.failures", 1)], partialFilterExpression={"fetch.failures": {"$gt": 0}}
        )
        await self.collection.create_index(
            [("credential", 1), ("fetch.reason", 1), ("due", 1)], partialFilterExpression={"due": {"$type": "date"}}
        )
        mine = {"pending": self._named}  # of a process of this name that ended before it could publish
        await self._preparing.update_many(mine, {"$set": {"pending": self._instance}})

    async def find(self, ids: Sequence[str]) -> dict[str, Document]:
        cursor = self.collection.find({"_id": {"$in": list(ids)}})
        return {document["_id"]: document async for document in cursor}

    async def hear(
        self, heard: Sequence[Heard], extra: Extra, found: Mapping[str, Document] | None = None
    ) -> dict[str, Document]:
        """Add what is new, publish what is unsent. Returns the documents as they are afterwards, without the extras.

        `found`: the documents, where the caller has read them already.
        """
        waiting: dict[str, list[Heard]] = {}
        for each in heard:
            waiting.setdefault(each.subject.id, []).append(each)
        done: dict[str, Document] = {}
        while waiting:
            found, ids = await self.find(list(waiting)) if found is None else found, list(waiting)
            written = await asyncio.gather(*(self._add(found.get(i), waiting[i], extra) for i in ids))
            for document_id, document in zip(ids, written, strict=True):
                if document is not None:
                    done[document_id] = document
                    del waiting[document_id]
            found = None
        await self.publish(list(done.values()))
        return done

    async def publish(self, documents: Sequence[Document]) -> None:
        """Return when all that was unsent in `documents` is published and marked; concurrent callers share the way."""
        unsent = [document for document in documents if document["sent"] < len(document["outbox"])]
        if not unsent:
            return
        done = asyncio.get_running_loop().create_future()
        self._unsent.append((unsent, done))
        if self._publishing is None or self._publishing.done():
            self._publishing = asyncio.create_task(self._publish())
        await done

    async def _publish(self) -> None:
        while self._unsent:
            round_, self._unsent = self._unsent, []
            try:
                await self._relay.publish(self.collection, _newest(each for unsent, _ in round_ for each in unsent))
            except Exception as error:
                for _, done in round_:
                    if not done.done():
                        done.set_exception(error)
            for _, done in round_:
                if not done.done():
                    done.set_result(None)

    async def words(self, subject: Subject, observations: Iterable[Observation]) -> Words:
        """What those words mean now that no table knows."""
        return await self._vocabulary.of(subject.partner, subject.tenant, subject.mode, held(observations))

    async def change(self, where: Document, stages: list[Document]) -> bool:
        """A change that touches no observation: times, leases, hints. Whether the document still matched."""
        return await self._group.update(where, stages)

    async def _add(self, document: Document | None, heard: Sequence[Heard], extra: Extra) -> Document | None:
        """The document after the write; None when another writer was faster, or somebody said meanwhile what a word in
        it means: who maps a word writes first and then looks for it, who holds one looks once more after the write.
        """
        first = heard[0]
        if document is not None and document["status"] == Status.ERASED.value:
            return document  # erased after the caller had looked: nothing is heard of this person any more
        known, fresh = together(document, heard)
        observations = [*known.observations, *(each.observation for each in fresh)]
        words = await self.words(first.subject, observations)
        change = written(document, known, fresh, heard[-1], utc_now(), words)
        if change is None:
            return document
        stages = self._stages(document or {}, change, extra(first.subject, document, change.state, change.observations))
        as_read, is_new = {"_id": first.subject.id, "rev": known.rev}, document is None
        try:
            matched = await self._group.update(as_read, stages, upsert=is_new)
        except DuplicateKeyError:
            return None
        if matched and change.after.get(HELD) and await self.words(first.subject, observations) != words:
            return None
        return change.after if matched else None

    def _stages(self, before: Document, change: Written, extra: Mapping[str, Any]) -> list[Document]:
        """What differs from what was read. Partners' words may begin with a dollar sign, which an aggregation would
        read as a path: hence `$literal`.
        """
        news = {name: value for name, value in change.after.items() if name not in before or before[name] != value}
        plain = {name: {"$literal": value} for name, value in news.items() if name not in ("_id", "outbox", "sent")}
        appended = {
            "observations": _append("$observations", [stored(each) for each in change.fresh]),
            "outbox": _append("$outbox", [record.stored() for record in change.records]),
            "sent": {"$ifNull": ["$sent", 0]},
        }
        pending = {"pending": {"$literal": self._named}} if change.records else {}
        over = {} if "pin_until" in change.after else {"pin_until": "$$REMOVE"}
        return [{"$set": {**over, **plain, **appended, **pending, **extra}}]


def _newest(documents: Iterable[Document]) -> list[Document]:
    """Of each document the one with the longest outbox; it holds what the others hold."""
    newest: dict[Any, Document] = {}
    for each in documents:
        if each["_id"] not in newest or len(each["outbox"]) > len(newest[each["_id"]]["outbox"]):
            newest[each["_id"]] = each
    return list(newest.values())


def _append(name: str, values: list[Any]) -> Document:
    return {"$concatArrays": [{"$ifNull": [name, []]}, {"$literal": values}]}
