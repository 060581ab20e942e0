"""Operators' pauses, beside our own: each ends by itself, and neither ends the other.

An operator's last word rests with the credential; one for all tenants rests in a document of its own, of the partner
and the mode, so that a tenant's operator cannot lift it and later credentials are held too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lendrail.contracts.terms import Mode
from lendrail.runtime.breaker import Breaker
from lendrail.runtime.mongo import Collection, Document, DuplicateKeyError
from lendrail.runtime.standing import HELD, PAUSED, read_breaker

LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Hold:
    """What an operator said last. `at` is the server's time; `reason` is sealed."""

    action: str
    """Id of the record that says who, what and why."""
    at: dt.datetime
    paused: bool
    by: str
    reason: str
    until: dt.datetime | None = None
    """None: until it is resumed."""


@dataclass(frozen=True, kw_only=True)
class Stand:
    """How a credential, or a whole partner, stands now."""

    hold: Hold | None = None
    """Of an operator, while it holds."""
    paused_until: dt.datetime | None = None
    """Our own pause, while it lasts, and its reason's code."""
    pause_reason: str | None = None
    next_start: dt.datetime | None = None
    """When its rate allows another call, where that is later than now."""
    breakers: dict[str, Breaker]
    now: dt.datetime


class Holds:
    """The operators' side of `partners.credentials`."""

    def __init__(self, state: Collection) -> None:
        self._state = state

    async def hold(self, credentials: Sequence[str], word: Hold) -> None:
        """Every port obeys within a moment. A word that is older than the last one changes nothing."""
        for each in credentials:
            await say(self._state, each, "hold", word)

    async def hold_partner(self, partner: str, mode: Mode, word: Hold) -> None:
        await say(self._state, _whole(partner, mode), "hold", word)

    async def stands(self, credentials: Sequence[str]) -> dict[str, Stand]:
        """Of those of which anything is known."""
        return {document["_id"]: _stand(document) for document in await self._find({"$in": list(credentials)})}

    async def partner_stand(self, partner: str, mode: Mode) -> Stand | None:
        found = await self._find(_whole(partner, mode))
        return _stand(found[0]) if found else None

    async def _find(self, subject: Any) -> list[Document]:
        shown = {
            "hold": {"$cond": [HELD, "$hold", None]},
            "paused_until": {"$cond": [PAUSED, "$paused_until", None]},
            "pause_reason": 1,
            "next_start": {"$cond": [{"$gt": ["$next", "$$NOW"]}, "$next", None]},
            "breakers": {"$ifNull": ["$breakers", {}]},
            "now": "$$NOW",
        }
        cursor = await self._state.aggregate([{"$match": {"_id": subject}}, {"$project": shown}])
        return [document async for document in cursor]


async def say(state: Collection, subject: Any, field: str, word: Any) -> None:
    """Keep `word`, a dataclass with a time `at`, in the subject's document, unless a later one is there."""
    newer = {"$gte": [{"$literal": word.at}, {"$ifNull": [f"${field}.at", {"$literal": LONG_AGO}]}]}
    stored = {name: value for name, value in asdict(word).items() if value is not None}
    change = [{"$set": {field: {"$cond": [newer, {"$literal": stored}, f"${field}"]}}}]
    try:
        await state.update_one({"_id": subject}, change, upsert=True)
    except DuplicateKeyError:  # somebody else made the document just now
        await state.update_one({"_id": subject}, change)


def _whole(partner: str, mode: Mode) -> Document:
    return {"partner": partner, "mode": mode}


def _stand(document: Document) -> Stand:
    paused = document["paused_until"] is not None
    return Stand(
        hold=Hold(**document["hold"]) if document["hold"] else None,
        paused_until=document["paused_until"],
        pause_reason=document.get("pause_reason") if paused else None,
        next_start=document["next_start"],
        breakers={name: read_breaker(stored) for name, stored in document["breakers"].items()},
        now=document["now"],
    )
