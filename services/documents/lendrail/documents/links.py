"""Expiring addresses of documents, for partners that fetch by themselves.

The token is 256 random bits and leaves us only inside the sealed event; stored is its SHA-256, so who reads the
database can open nothing. A link is bound to one document and one recipient, can be revoked, and is not used up by
fetching: mail and chat programs look at links before people do.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lendrail.runtime import audit
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import Collection, Document, insert_absent

TOKEN_BYTES = 32
KEPT_AFTER_EXPIRY = dt.timedelta(days=30)
"""So long an expired link is answered as expired; afterwards as unknown."""
KEPT_ACCESSES = 100
MOST_LINKS = 500
"""Shown of one document."""
State = Literal["good", "expired", "unknown"]


@dataclass(frozen=True, slots=True)
class Link:
    """A new link; the token is known to nobody else."""

    token: str
    document_id: str
    key_id: str
    opportunity_id: str
    partner: str
    expires: dt.datetime

    @property
    def hash(self) -> str:
        return hash_of(self.token)

    def address(self, public_url: str) -> str:
        return f"{public_url.rstrip('/')}/d/{self.token}"

    def stored(self) -> Document:
        return {
            "_id": self.hash,
            "document": self.document_id,
            "keyId": self.key_id,
            "opportunity": self.opportunity_id,
            "partner": self.partner,
            "expires": self.expires,
            "revoked": False,
            "accesses": [],
        }


def new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def well_formed(token: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_-]{43}", token) is not None


class Links:
    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def prepare(self) -> None:
        await self._collection.create_index("expires", expireAfterSeconds=int(KEPT_AFTER_EXPIRY.total_seconds()))
        await self._collection.create_index("document")
        await self._collection.create_index("keyId")

    async def put(self, links: Sequence[Link]) -> None:
        await insert_absent(self._collection, [link.stored() for link in links])

    async def find(self, token: str) -> tuple[State, Document]:
        """What the token opens, if it opens anything now; a revoked link is as unknown as one that never was."""
        link = await self._collection.find_one({"_id": hash_of(token)}) if well_formed(token) else None
        if link is None or link["revoked"]:
            return "unknown", {}
        return ("expired", {}) if link["expires"] <= utc_now() else ("good", link)

    async def accessed(self, link: Document, method: str) -> None:
        """Note that the link was used: when and how, nothing about who."""
        entry = {"$each": [{"at": utc_now(), "method": method}], "$slice": -KEPT_ACCESSES}
        await self._collection.update_one({"_id": link["_id"]}, {"$push": {"accesses": entry}, "$inc": {"used": 1}})

    async def to(self, document: str) -> list[Document]:
        """The links to a document, the newest first."""
        return await self._collection.find({"document": document}).sort("expires", -1).limit(MOST_LINKS).to_list()

    async def unrevoked(self, document: str, opportunity: str | None) -> list[str]:
        """Ids of all links to a document, or of those of one opportunity, that may still be used."""
        wanted = {"document": document, "revoked": False} | ({"opportunity": opportunity} if opportunity else {})
        return [link["_id"] async for link in self._collection.find(wanted, {"_id": 1})]

    async def revoke(self, link: str, entry: Document) -> bool:
        """Whether it could be used until now. Who revoked it and why is written with it."""
        noted = audit.pushed(entry)
        change = {"$push": noted["$push"], "$set": {**noted["$set"], "revoked": True}}
        return (await self._collection.update_one({"_id": link, "revoked": False}, change)).matched_count == 1

    async def forget(self, key_ids: Sequence[str]) -> None:
        """What these links led to and when they were used. That they were given to somebody stays until their time is
        over, and who took them back: their addresses are answered as gone, and entries of the audit are never dropped.
        """
        led_to = dict.fromkeys(("document", "accesses", "used"), "")
        await self._collection.update_many({"keyId": {"$in": list(key_ids)}}, {"$unset": led_to})
