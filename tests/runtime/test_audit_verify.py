"""What somebody tampered with is named: the first link that is not as it was written."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase
from tests.runtime.test_audit import SERVICE, database, filled

from lendrail.runtime.audit_chain import FIRST, link_hash
from lendrail.runtime.audit_verify import verify
from lendrail.runtime.mongo import Document

__all__ = ["database"]


async def _change(database: AsyncDatabase[Document]) -> None:
    await database["audit"].update_one({"_id": 4}, {"$set": {"entry.who": "somebody-else"}})


async def _change_and_hash_again(database: AsyncDatabase[Document]) -> None:
    link = await database["audit"].find_one({"_id": 4})
    assert link is not None
    forged = link["entry"] | {"who": "somebody-else"}
    own = link_hash(SERVICE, 4, link["previous"], forged)
    await database["audit"].update_one({"_id": 4}, {"$set": {"entry": forged, "hash": own}})


async def _remove(database: AsyncDatabase[Document]) -> None:
    await database["audit"].delete_one({"_id": 4})


async def _swap(database: AsyncDatabase[Document]) -> None:
    four, five = [await database["audit"].find_one({"_id": n}) for n in (4, 5)]
    assert four is not None
    assert five is not None
    await database["audit"].delete_many({"_id": {"$in": [4, 5]}})
    await database["audit"].insert_many([five | {"_id": 4}, four | {"_id": 5}])


async def _cut(database: AsyncDatabase[Document]) -> None:
    await database["audit"].delete_many({"_id": {"$gt": 7}})


async def _change_owner(database: AsyncDatabase[Document]) -> None:
    await database["things"].update_one({"_id": 1}, {"$set": {"audit.1.what": "nothing"}})


async def _rewrite(database: AsyncDatabase[Document]) -> None:
    """As somebody would who may write everything, and left owners' documents out."""
    previous = FIRST
    async for link in database["audit"].find({}).sort("_id", 1):
        told = link["entry"] | ({"who": "somebody-else"} if link["_id"] == 4 else {})
        own = link_hash(SERVICE, link["_id"], previous, told)
        await database["audit"].replace_one(
            {"_id": link["_id"]}, link | {"entry": told, "previous": previous, "hash": own}
        )
        previous = own


@pytest.mark.parametrize(
    ("tamper", "sequence", "why"),
    [
        (_change, 4, "was changed"),
        (_change_and_hash_again, 5, "does not follow"),
        (_remove, 4, "is missing"),
        (_swap, 4, "does not follow"),
        (_cut, None, "is not in the chain"),
        (_change_owner, 4, "differs from what things/1 holds"),
        (_rewrite, 4, "differs from what things/1 holds"),
    ],
)
async def test_what_was_tampered_with_is_named(
    database: AsyncDatabase[Document], tamper: Callable[[Any], Coroutine[Any, Any, None]], sequence: int, why: str
) -> None:
    await filled(database)
    assert (await verify(SERVICE, database)).broken is None
    await tamper(database)
    broken = (await verify(SERVICE, database)).broken
    assert broken is not None
    assert broken.sequence == sequence
    assert why in broken.why


async def test_a_noted_link_finds_a_chain_that_was_written_anew(database: AsyncDatabase[Document]) -> None:
    await filled(database)
    tip = (await verify(SERVICE, database)).tip
    await database["things"].drop()
    assert (await verify(SERVICE, database, {tip.sequence: tip.hash})).broken is None, "owners' time may be over"
    await _rewrite(database)
    assert (await verify(SERVICE, database)).broken is None
    broken = (await verify(SERVICE, database, {tip.sequence: tip.hash})).broken
    assert broken is not None
    assert (broken.sequence, broken.why) == (tip.sequence, "is another one than was noted")
    await database["audit"].delete_many({"_id": {"$gt": 7}})
    broken = (await verify(SERVICE, database, {tip.sequence: tip.hash})).broken
    assert broken is not None
    assert (broken.sequence, "link 10 was noted" in broken.why) == (8, True)
