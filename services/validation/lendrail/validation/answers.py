"""What the register said, remembered for a while without a word of it.

A number that is not there or was cancelled is remembered by the HMAC of the number; whether given names are the
number's, by the HMAC of both. Nobody without our key can tell whose they are, and the register's own names, which may
be a person's, are never kept.
"""

from __future__ import annotations

import datetime as dt
import hmac

from lendrail.partners.abn_lookup import Asked, Finding
from lendrail.partners.abn_lookup.names import folded
from lendrail.runtime import due
from lendrail.runtime.mongo import Collection, Document, DuplicateKeyError

PURPOSE = b"lendrail register answers"
OF_THE_NAMES = frozenset({"matches", "name-differs"})
"""Codes that speak of the names; the others hold for the number under any name."""


class Answers:
    """The collection `abn_answers`."""

    def __init__(self, collection: Collection, master: bytes, seconds: float) -> None:
        self._collection, self._seconds = collection, seconds
        self._key = hmac.digest(master, PURPOSE, "sha256")

    async def prepare(self) -> None:
        await self._collection.create_index("expires", expireAfterSeconds=0)

    async def known(self, credential: str, asked: Asked) -> tuple[Finding, dt.datetime] | None:
        """What was said, and when it was."""
        fresh: Document = {"$expr": {"$gt": ["$expires", "$$NOW"]}}
        found = await self._collection.find_one({"_id": {"$in": self._marks(credential, asked)}, **fresh})
        return None if found is None else (Finding(result=found["result"], code=found["code"]), found["at"])

    async def keep(self, credential: str, asked: Asked, finding: Finding, at: dt.datetime) -> None:
        number, both = self._marks(credential, asked)
        mark = both if finding.code in OF_THE_NAMES else number
        told = {"result": finding.result, "code": finding.code, "at": at, "expires": due.in_seconds(self._seconds)}
        try:
            await self._collection.update_one({"_id": mark}, [{"$set": told}], upsert=True)
        except DuplicateKeyError:
            return  # somebody else keeps the same answer right now

    def _marks(self, credential: str, asked: Asked) -> list[str]:
        names = sorted("|".join(each) for each in map(folded, asked.names) if each is not None)
        texts = (f"{credential}|{asked.abn}", "|".join([credential, asked.abn, *names]))
        return [f"{at}.{hmac.digest(self._key, text.encode(), 'sha256').hex()}" for at, text in enumerate(texts)]
