"""Folds what held a word again, after a person said what the word means or took that back.

The mapping itself is the work: leased, done in small batches, with a cursor that moves after each. Whoever dies in
between, the next one begins at the cursor, and what was folded already has nothing new to say. Before and after stand
in each opportunity, in the very write that changed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog

from lendrail.runtime.due import Lease, Worker
from lendrail.runtime.faults import point
from lendrail.runtime.mongo import ASCENDING, Document
from lendrail.runtime.vault import Key, Vault
from lendrail.status.desk.vocabulary import EVERYBODY, Place, Vocabulary
from lendrail.status.folding.fold import fold
from lendrail.status.folding.noted import HELD
from lendrail.status.folding.observation import Observation, State
from lendrail.status.folding.words import Words
from lendrail.status.store import Heard, Opportunities, Subject, cause_of, read, subject_of
from lendrail.status.timing import Timing

log = structlog.get_logger()
BATCH = 100
LEASE_SECONDS = 30.0
MOST_KEPT = 20
"""Changes by mappings that an opportunity remembers."""
MOST_PREVIEWED = 500
REFOLDED = "refolded"


class Refolding:
    """Carries the mappings out that are due, and tells beforehand what one would change."""

    def __init__(self, vocabulary: Vocabulary, opportunities: Opportunities, timing: Timing, vault: Vault) -> None:
        self._vocabulary, self._opportunities, self._timing, self._vault = vocabulary, opportunities, timing, vault
        self._batch = BATCH
        self.worker = Worker(
            vocabulary.collection, self.turn, where=_all, lanes=2, lease_seconds=LEASE_SECONDS, poll_seconds=1.0
        )

    async def prepare(self) -> None:
        create, words = self._opportunities.collection.create_index, {HELD: {"$type": "string"}}
        by_word = [(HELD, ASCENDING), ("partner", ASCENDING), ("mode", ASCENDING), ("_id", ASCENDING)]
        await create(by_word, partialFilterExpression=words)
        done = {f"{REFOLDED}.of": {"$type": "string"}}
        await create([(f"{REFOLDED}.of", ASCENDING), ("_id", ASCENDING)], partialFilterExpression=done)

    async def turn(self, document: Document, lease: Lease, _: int) -> None:
        """As many batches as there are, or as there is time for."""
        word = self._vocabulary.word(document, await self._vocabulary.key())
        if word is None:
            log.error("a mapped word cannot be read any more", mapping=document["_id"])
            return
        while lease.held:
            batch = await self._found(document, word, document["refold"]["cursor"])
            await self._again(document, batch)
            point("refolding.folded")
            last = batch[-1]["_id"] if batch else ""
            fields: Document = {"refold.cursor": last, "refold.seen": document["refold"]["seen"] + len(batch)}
            if len(batch) < self._batch:
                fields |= {"refold.done": "$$NOW", "due": "$$REMOVE", "lease": "$$REMOVE"}
            where = {"_id": document["_id"], "lease.token": lease.token}
            if (await self._vocabulary.collection.update_one(where, [{"$set": fields}])).matched_count == 0:
                return  # another run began, or another one holds the lease
            if len(batch) < self._batch:
                log.info("a word was folded again", mapping=document["_id"], seen=fields["refold.seen"])
                return
            document["refold"] |= {"cursor": last, "seen": fields["refold.seen"]}
        given_back = {"_id": document["_id"], "lease.token": lease.token}
        await self._vocabulary.collection.update_one(given_back, {"$unset": {"lease": ""}})

    async def _found(self, document: Document, word: str, cursor: str) -> list[Document]:
        place = Place(document["partner"], document["tenant"], document["mode"])
        where = {HELD: {"$eq": word, "$type": "string"}, **place.opportunities, "_id": {"$gt": cursor}}
        return await self._opportunities.collection.find(where).sort("_id", ASCENDING).limit(self._batch).to_list()

    async def _again(self, document: Document, batch: Sequence[Document]) -> None:
        """Those of erased persons are left as they are."""
        keys, about = await self._vault.find({each["application_id"] for each in batch}), _about(document)
        heard = [_last(each, key) for each in batch if (key := keys.get(each["application_id"])) is not None]

        def extra(
            subject: Subject, before: Document | None, state: State, fresh: Sequence[Observation]
        ) -> dict[str, Any]:
            further = dict(self._timing.after_event(subject, before, state, fresh))
            return further | _refolded(before or {}, state, about)

        told = [each for each in heard if each is not None]
        await self._opportunities.hear(told, extra, {each["_id"]: each for each in batch})

    async def preview(self, place: Place, word: str, means: Words) -> Document:
        """What a mapping would change: of the caller's own tenant opportunity by opportunity, up to a number."""
        where = {HELD: {"$eq": word, "$type": "string"}, **place.opportunities}
        total = await self._opportunities.collection.count_documents(where)
        found = await self._opportunities.collection.find(where).sort("_id", ASCENDING).limit(MOST_PREVIEWED).to_list()
        keys = await self._vault.find({each["application_id"] for each in found})
        changes = []
        for each in found:
            if (key := keys.get(each["application_id"])) is not None:
                known = read(each, key)
                now = await self._opportunities.words(subject_of(each), known.observations)
                both = {**means, **now} if place.tenant == EVERYBODY else {**now, **means}
                state = fold(known.observations, both)
                if _differs(each, state):
                    changes.append(each | {"becomes": state.status.value})
        return {"opportunities": total, "looked_at": len(found), "changes": changes}


async def _all() -> Document:
    return {}


def _last(document: Document, key: Key) -> Heard | None:
    """Nothing new was heard: what is known already is heard once more."""
    known = read(document, key)
    if not known.observations:
        return None
    return Heard(subject_of(document), known.observations[-1], key, cause_of(document["cause"]))


def _about(document: Document) -> Document:
    return {"of": document["_id"], "run": document["refold"]["run"]}


def _differs(before: Document, state: State) -> bool:
    flags = before.get("state", {}).get("flags", ())
    return bool(before.get("status") != state.status.value or set(flags) != set(state.flags))


def _refolded(before: Document, state: State, about: Document) -> Document:
    if not _differs(before, state):
        return {}
    one = {"$literal": about | {"before": before.get("status"), "after": state.status.value}}
    together = {"$concatArrays": [{"$ifNull": [f"${REFOLDED}", []]}, [{"$mergeObjects": [one, {"at": "$$NOW"}]}]]}
    return {REFOLDED: {"$slice": [together, -MOST_KEPT]}}
