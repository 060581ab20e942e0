"""Whether a chain of audit is whole, link by link, and whether owners still hold what was chained.

Who can write the whole database can also write a whole new chain. So the newest link's number and hash are shown, to be
noted somewhere else; a later look compares the chain with what was noted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING
from pymongo.asynchronous.database import AsyncDatabase

from lendrail.runtime.audit import AUDIT, CHAINED, UNCHAINED, canonical, only
from lendrail.runtime.audit_chain import FIRST, LINKS, STATE, Tip, link_hash
from lendrail.runtime.mongo import Document

BATCH = 500


@dataclass(frozen=True, slots=True)
class Broken:
    """The first link that is not as it was written."""

    sequence: int | None
    """None: a link that is not there, of an entry that its owner has."""
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a look at one chain."""

    links: int
    tip: Tip
    waiting: int
    """Owners' documents with entries that are not linked yet."""
    broken: Broken | None = None


async def verify(service: str, database: AsyncDatabase[Document], noted: Mapping[int, str] | None = None) -> Verdict:
    """`noted`: hashes of links that were written down before."""
    state = await database[STATE].find_one({"_id": "chain"}) or {}
    sources = sorted(state.get("sources", ()))
    tip, broken = await _links(service, database, dict(noted or {}))
    for name in sources:
        broken = broken or await _owners(database, name)
    waiting = sum([await database[name].count_documents({UNCHAINED: {"$exists": True}}) for name in sources])
    return Verdict(await database[LINKS].estimated_document_count(), tip, waiting, broken)


async def _links(service: str, database: AsyncDatabase[Document], noted: dict[int, str]) -> tuple[Tip, Broken | None]:
    """The last link that is sound, and what is wrong with the next one."""
    tip = Tip()
    async for link in database[LINKS].find({}).sort("_id", ASCENDING):
        sequence = tip.sequence + 1
        if link["_id"] != sequence:
            return tip, Broken(sequence, "is missing")
        if fault := _fault(service, sequence, tip.hash if sequence > 1 else FIRST, link):
            return tip, Broken(sequence, fault)
        if noted.pop(sequence, link["hash"]) != link["hash"]:
            return tip, Broken(sequence, "is another one than was noted")
        tip = Tip(sequence, link["hash"])
    lost = min(noted, default=None)
    return tip, None if lost is None else Broken(tip.sequence + 1, f"is missing; link {lost} was noted")


def _fault(service: str, sequence: int, previous: str, link: Document) -> str | None:
    if link.get("previous") != previous:
        return "does not follow the link before it"
    try:
        expected = link_hash(service, sequence, previous, link["entry"])
    except (KeyError, TypeError):
        return "cannot be read"
    return None if link.get("hash") == expected else "was changed: its hash is that of another content"


async def _owners(database: AsyncDatabase[Document], name: str) -> Broken | None:
    """An owner's document may be gone, its time being over; while it is there it holds what was chained."""
    async for documents in _batches(database, name):
        held = {each["id"]: (document["_id"], each) for document in documents for each in _chained(document)}
        links = {link["entry"]["id"]: link async for link in database[LINKS].find({"entry.id": {"$in": list(held)}})}
        for entry, (owner, stored) in held.items():
            if entry not in links:
                return Broken(None, f"an entry of {name}/{owner} is not in the chain")
            if canonical(only(stored)) != canonical(links[entry]["entry"]):
                return Broken(links[entry]["_id"], f"differs from what {name}/{owner} holds")
    return None


def _chained(document: Document) -> list[Document]:
    return [each for each in document.get(AUDIT, ())[: document.get(CHAINED, 0)] if "id" in each]


async def _batches(database: AsyncDatabase[Document], name: str) -> AsyncIterator[list[Document]]:
    batch: list[Document] = []
    wanted: dict[str, Any] = {CHAINED: {"$gt": 0}}
    async for document in database[name].find(wanted, {AUDIT: 1, CHAINED: 1}).sort("_id", ASCENDING):
        batch.append(document)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
