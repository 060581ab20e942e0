"""What people said that words of partners mean, kept: one document for each word of a partner, mode and tenant, or for
all tenants. The tenant's own word counts more.

A word rests sealed under a key of the desk. Sealed it is always the same, so it is found without being readable. What
else the document holds: `status` (none once it was taken back), who and why in `audit`, and where the work stands that
folds the held observations again (`refold`, `due`, `lease`; see `refolding.py`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from lendrail.contracts.sensitive import SealBroken, SensitiveText
from lendrail.contracts.terms import NAMESPACE, Mode, Status
from lendrail.runtime import audit, bodies, due
from lendrail.runtime.audit import Actor
from lendrail.runtime.bodies import Once
from lendrail.runtime.mongo import ASCENDING, Collection, Document, DuplicateKeyError
from lendrail.runtime.vault import Key, Vault
from lendrail.status.folding.words import NO_WORDS, Words

DESK_KEY = "desk"
"""Name of the data key that seals what people write at the desk: words and reasons."""
EVERYBODY = "*"
"""In place of a tenant; no tenant has such a name."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a word is said: by a partner, to a tenant or to all of them, in a mode."""

    partner: str
    tenant: str
    mode: Mode

    @property
    def fields(self) -> Document:
        return {"partner": self.partner, "tenant": self.tenant, "mode": self.mode}

    @property
    def opportunities(self) -> Document:
        """Whose observations may hold it."""
        own = {} if self.tenant == EVERYBODY else {"tenant": self.tenant}
        return {"partner": self.partner, "mode": self.mode} | own


class Vocabulary:
    """The collection `words`."""

    def __init__(self, collection: Collection, vault: Vault) -> None:
        self.collection, self._vault = collection, vault

    async def prepare(self) -> None:
        await due.prepare(self.collection)
        await self.collection.create_index([("tenant", ASCENDING), ("mode", ASCENDING), ("partner", ASCENDING)])
        await bodies.prepare(self.collection)

    async def key(self) -> Key:
        found = await self._vault.find([DESK_KEY])
        return found.get(DESK_KEY) or (await self._vault.create([DESK_KEY]))[DESK_KEY]

    async def of(self, partner: str | None, tenant: str, mode: Mode, words: Iterable[str]) -> Words:
        """What those of `words` mean that somebody gave a meaning, as it holds now."""
        wanted = list(words)
        if partner is None or not wanted:
            return NO_WORDS
        key, scopes = await self.key(), (EVERYBODY, tenant)
        ids = {id_of(Place(partner, scope, mode), word, key): (scope, word) for scope in scopes for word in wanted}
        where = {"_id": {"$in": list(ids)}, "status": {"$type": "string"}}
        found = [(*ids[each["_id"]], each["status"]) async for each in self.collection.find(where, {"status": 1})]
        return {word: Status(status) for _, word, status in sorted(found, key=lambda each: each[0] != EVERYBODY)}

    async def map(
        self, actor: Actor, place: Place, word: str, status: Status, why: SensitiveText, once: Once
    ) -> str | None:
        """Say what a word means, and have what holds it folded again. Its id; None when it has a meaning already."""
        key = await self.key()
        identity = id_of(place, word, key)
        fields = place.fields | {"word": key.seal_content(word.encode()), "key": key.id, "status": status.value}
        entry = audit.entry(
            actor, "word-mapped", f"words/{identity}", why=why, key=key,
            after=audit.digest(fields), about=_about(place, status.value),
        )  # fmt: skip
        answer = {"id": identity}
        stages = _begun(
            {name: {"$literal": value} for name, value in fields.items()}, actor, entry | once.beside(answer)
        )
        try:
            where = {"_id": identity, "status": {"$exists": False}}
            done = await self.collection.update_one(where, stages, upsert=True)
        except DuplicateKeyError:
            return None
        return identity if done.matched_count or done.upserted_id is not None else None

    async def take_back(self, actor: Actor, document: Document, why: SensitiveText, once: Once) -> bool:
        """The word means nothing any more, and what it decided is folded again. False when it meant nothing before, or
        something else than was read.
        """
        key, identity = await self.key(), document["_id"]
        place = Place(document["partner"], document["tenant"], document["mode"])
        fields = place.fields | {name: document[name] for name in ("word", "key")}
        entry = audit.entry(
            actor, "word-taken-back", f"words/{identity}", why=why, key=key,
            before=audit.digest(fields | {"status": document["status"]}), after=audit.digest(fields),
            about=_about(place, document["status"]),
        )  # fmt: skip
        answer = {"id": identity}
        where = {"_id": identity, "status": document["status"], "refold.run": document["refold"]["run"]}
        try:
            done = await self.collection.update_one(
                where, _begun({"status": "$$REMOVE"}, actor, entry | once.beside(answer))
            )
        except DuplicateKeyError:
            return False
        return done.matched_count == 1

    def word(self, document: Document, key: Key) -> str | None:
        """None where it cannot be read any more."""
        try:
            return key.open_bytes(bytes(document["word"])).decode()
        except SealBroken:
            return None


def id_of(place: Place, word: str, key: Key) -> str:
    sealed = key.seal_content(word.encode()).hex()
    return str(uuid.uuid5(NAMESPACE, f"word|{place.tenant}|{place.mode}|{place.partner}|{sealed}"))


def _begun(fields: Document, actor: Actor, entry: Document) -> list[Document]:
    """The stages that change a mapping and begin another run over all that holds its word; whoever is at an earlier
    run loses its lease.
    """
    run = {"$add": [{"$ifNull": ["$refold.run", 0]}, 1]}
    refold = {"$literal": {"cursor": "", "seen": 0}}
    begun = {"refold": {"$mergeObjects": [refold, {"run": run, "began": "$$NOW"}]}, "due": "$$NOW", "lease": "$$REMOVE"}
    said = {"at": "$$NOW", "who": {"$literal": actor.who}}
    return [{"$set": fields | said | audit.staged(entry)}, {"$unset": "refold.done"}, {"$set": begun}]


def _about(place: Place, status: str) -> dict[str, str]:
    about = {"partner": place.partner, "status": status}
    return about | ({"allTenants": "true"} if place.tenant == EVERYBODY else {})
