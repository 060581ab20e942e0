"""Looks at every value of a database for what an erased person left there: sealed under the key, or in clear."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from lendrail.contracts.sensitive import TOKEN, SealBroken
from lendrail.runtime.mongo import Document
from lendrail.runtime.vault import Key

_TOKEN = re.compile(re.escape(TOKEN) + r"[A-Za-z0-9+/=]+")


async def traces(database: AsyncDatabase[Document], key: Key, words: Sequence[str] = ()) -> list[str]:
    """Where something can be opened with `key`, which the caller kept from before, or holds one of `words`. Entries of
    the audit are left out: they stay, and their reasons are sealed.
    """
    found: list[str] = []
    for name in sorted(await database.list_collection_names()):
        if name == "audit":
            continue
        async for document in database[name].find({}):
            kept = {field: value for field, value in document.items() if field != "audit"}
            found += [f"{name}.{place}" for place, leaf in _leaves(kept, "") if _tells(leaf, key, words)]
    return found


def _leaves(value: Any, place: str) -> Iterator[tuple[str, str | bytes]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each, f"{place}[]")
    elif isinstance(value, str | bytes):
        yield place, value


def _tells(leaf: str | bytes, key: Key, words: Sequence[str]) -> bool:
    text = leaf if isinstance(leaf, str) else bytes(leaf).decode("latin-1")
    if any(word in text for word in words) or any(_opens(key, token) for token in _TOKEN.findall(text)):
        return True
    try:
        return isinstance(leaf, bytes) and bool(key.open_bytes(bytes(leaf)) or True)
    except SealBroken:
        return False


def _opens(key: Key, token: str) -> bool:
    try:
        key.open(token)
    except SealBroken:
        return False
    return True
