"""What became of the calls by Kafka: each that had to be taken is kept once, byte for byte, and heard where calls about
unknown deals wait; of the others nothing is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pymongo import AsyncMongoClient

from lendrail.contracts.topics import PUSH
from lendrail.runtime.mongo import Document
from lendrail.runtime.vault import Vault
from proofs.poison.mutations import MARK, TAKEN, Raw

Said = tuple[str, bytes]
"""Of a call the account, and the digest of what was said."""
SHORT = 16


@dataclass
class Calls:
    """Those that were sent, and what must be found of them."""

    sent: Counter[Said] = field(default_factory=Counter)
    refused: set[Said] = field(default_factory=set)
    deals: dict[str, Said] = field(default_factory=dict)
    """By the partner's id, of those that name one as they should."""

    def note(self, raw: Raw) -> None:
        value = raw.value or b""
        said = raw.topic.removeprefix(PUSH.prefix), hashlib.sha256(value).digest()
        if raw.kind != TAKEN:
            self.refused.add(said)
            return
        self.sent[said] += 1
        if deal := _deal(value):
            self.deals[deal] = said


def _deal(value: bytes) -> str | None:
    try:
        said = json.loads(value)
    except (ValueError, RecursionError):
        return None
    found = said.get("id") if isinstance(said, dict) else None
    return found if isinstance(found, str) and found.startswith("FAKE.") else None


@dataclass
class Taken:
    """What is otherwise than it must be."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)


async def look(client: AsyncMongoClient[Document], vault: Vault, calls: Calls, accounts: Iterable[str]) -> Taken:
    """`accounts`: through which the calls went."""
    found, kept, opened = Taken(), Counter[Said](), await _keys(client, vault)
    stored = client["gateway"]["webhooks"].find({"credential": {"$in": list(accounts)}})
    async for each in stored:
        raw = opened[each["key"]].open_bytes(bytes(each["raw"]))
        kept[each["credential"], hashlib.sha256(raw).digest()] += 1
    found.lost += [f"not kept: {_named(said)}" for said in calls.sent if said not in kept]
    found.foreign += [f"kept and not to be taken: {_named(said)}" for said in kept if said in calls.refused]
    found.doubled += [f"kept {n} times: {_named(said)}" for said, n in kept.items() if n > calls.sent[said] > 0]
    waiting = client["status"]["orphans"].find({"credential": {"$in": list(accounts)}}, {"partner_id": 1})
    heard = {each.get("partner_id") async for each in waiting}
    found.lost += [f"not heard: {deal} {_named(said)}" for deal, said in calls.deals.items() if deal not in heard]
    async for each in client["gateway"]["rejected_calls"].find():
        found.leaked += [f"count of rejected calls {each['_id']}"] if MARK in repr(each) else []
    return found


async def _keys(client: AsyncMongoClient[Document], vault: Vault) -> Any:
    return await vault.find(set(await client["gateway"]["webhooks"].distinct("key")))


def _named(said: Said) -> str:
    return f"{said[0]} {said[1].hex()[:SHORT]}"
