"""Every letter is found by the place of its record, opened, and compared with what was sent; some hundred at a time, so
that a hundred thousand of them need no more memory than that.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient

from lendrail.runtime.dead_letters import Letter
from lendrail.runtime.dlq_letters import letters
from lendrail.runtime.mongo import Document
from lendrail.runtime.settings import read_key
from lendrail.runtime.vault import Key, LocalWrapper, Vault
from proofs.poison.mutations import MARK, Raw

Place = tuple[str, int, int]
AT_ONCE = 500
TOO_LONG = "too long"
"""The one kind of which a letter need not hold all."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A record that was sent: what is wrong with it, and what it was, byte for byte."""

    kind: str
    digest: bytes


def sent(raw: Raw) -> Sent:
    return Sent(raw.kind, _digest(raw))


def _digest(record: Any) -> bytes:
    """Of what a record and what its letter holds alike; null is something else than empty."""
    told = hashlib.sha256()
    names = [(name.encode("utf-8", "surrogatepass"), value) for name, value in record.headers]
    for part in (record.key, record.value, *(each for pair in names for each in pair)):
        told.update(b"-" if part is None else b"%d:" % len(part))
        told.update(part or b"")
    return told.digest()


@dataclass
class Letters:
    """What the letters say of the records that were sent."""

    silent: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    count: int = 0
    too_long: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def look(self, letter: Letter, known: Sent, key: Key) -> None:
        """It holds its record byte for byte, says why it is one, and tells nothing of what an attacker wrote."""
        self.count += 1
        self.reasons[letter.reason] += 1
        if not letter.reason:
            self.unexplained.append(letter.place)
        if MARK in repr(letter):
            self.leaked.append(f"reason of {letter.place}")
        if letter.whole:
            if _digest(letter.opened(key)) != known.digest:
                self.changed.append(f"{known.kind}: {letter.place}")
        elif known.kind == TOO_LONG:
            self.too_long += 1
        else:
            self.changed.append(f"{known.kind}: {letter.place} lacks a part")


async def count(
    kafka: str, mongo: str, folder: Path, placed: Mapping[Place, Sent], readers: Mapping[str, Sequence[str]]
) -> Letters:
    """`readers`: by topic, the services that each write a letter of a record that they cannot read."""
    found, seen = Letters(), Counter[tuple[Place, str]]()
    client: AsyncMongoClient[Document] = AsyncMongoClient(mongo, tz_aware=True)
    async with client:
        vault = Vault(client["keys"]["data_keys"], LocalWrapper(read_key(folder / "config" / "master.key")))
        async for batch in _batches(kafka, placed):
            keys = await vault.find({letter.key_id for letter in batch})
            for letter in batch:
                seen[_place(letter), letter.service] += 1
                found.look(letter, placed[_place(letter)], keys[letter.key_id])
    for place, each in placed.items():
        missing = [service for service in readers[place[0]] if not seen[place, service]]
        found.silent += [f"{service}: {each.kind} at {place}" for service in missing]
    found.repeated = [f"{service}: {place}" for (place, service), times in seen.items() if times > 1]
    return found


async def _batches(kafka: str, placed: Mapping[Place, Sent]) -> AsyncIterator[list[Letter]]:
    """Letters of what was sent; there may be others."""
    batch = list[Letter]()
    async for letter in letters(kafka):
        if isinstance(letter, Letter) and _place(letter) in placed:
            batch.append(letter)
        if len(batch) >= AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _place(letter: Letter) -> Place:
    return letter.topic, letter.partition, letter.offset
