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

from lendrail.contracts.terms import utc_now
from lendrail.runtime.mongo import Collection, Document, insert_absent

TOKEN_BYTES = 32
KEPT_AFTER_EXPIRY = dt.timedelta(days=30)
"""So long an expired link is answered as expired; afterwards as unknown."""
KEPT_ACCESSES = 100
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
