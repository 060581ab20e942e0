"""The rate budget of a credential, shared by every worker and service that uses it, kept in the database `partners`.

One document per credential holds the time of the next free start. Whoever gets it moves it on by one interval, in one
atomic update by the server's clock, so starts are never closer than the interval, however many processes there are.

Submissions go first, polls last; every fourth start is reserved for fetches that a partner's hint asked for. A kind
that
waits says so (a time that goes stale after two seconds), and the others give way to it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from lendrail.runtime.directory import Rate
from lendrail.runtime.mongo import Collection, Document

Kind = Literal["submission", "hint", "poll"]
WAITING_MS = 2000
RESERVED_EVERY = 4


class Budget:
    """Grants request starts on one credential."""

    def __init__(self, credentials: Collection) -> None:
        self._credentials = credentials

    async def start(
        self, credential: str, rate: Rate | None, kind: Kind, admit: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        """Return when a request may start now. No rate, no waiting.

        `admit` raises what keeps the request from going at all. It is asked before each try and never after the grant:
        partners count from the first byte they see.
        """
        if admit is not None:
            await admit()
        while rate is not None:
            wait = await self._try(credential, rate, kind)
            if not wait:
                return
            await asyncio.sleep(wait)
            if admit is not None:
                await admit()

    async def _try(self, credential: str, rate: Rate, kind: Kind) -> float:
        """Zero when granted, else seconds until it is worth asking again."""
        token = random.getrandbits(62)
        change: list[Document] = [
            {"$set": {f"waiting.{kind}": "$$NOW", "_free": _free(), "_mine": _may(kind)}},
            {"$set": {"_granted": {"$and": ["$_free", "$_mine"]}}},
            {
                "$set": {
                    "next": {"$cond": ["$_granted", _later(rate.interval), "$next"]},
                    "count": {"$add": [{"$ifNull": ["$count", 0]}, {"$cond": ["$_granted", 1, 0]}]},
                    "last": {"$cond": ["$_granted", token, "$last"]},
                    f"waiting.{kind}": {"$cond": ["$_granted", "$$REMOVE", "$$NOW"]},
                    "wait": {"$cond": ["$_free", 0, {"$subtract": ["$next", "$$NOW"]}]},
                }
            },
            {"$unset": ["_free", "_mine", "_granted"]},
        ]
        state = await self._update(credential, change)
        if state["last"] == token:
            return 0.0
        return max(float(state["wait"]) / 1000, 0.02) + random.uniform(0, 0.01)

    async def _update(self, credential: str, change: list[Document]) -> dict[str, Any]:
        try:
            state = await self._credentials.find_one_and_update(
                {"_id": credential}, change, upsert=True, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError:
            return await self._update(credential, change)
        assert state is not None
        return state


def _free() -> Document:
    return {"$lte": [{"$ifNull": ["$next", "$$NOW"]}, "$$NOW"]}


def _later(seconds: float) -> Document:
    return {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": int(seconds * 1000)}}


def _waits(kind: Kind) -> Document:
    """Whether somebody of that kind asked within the last two seconds."""
    oldest = {"$dateSubtract": {"startDate": "$$NOW", "unit": "millisecond", "amount": WAITING_MS}}
    return {"$gt": [{"$ifNull": [f"$waiting.{kind}", None]}, oldest]}


def _may(kind: Kind) -> Document | bool:
    """Whose turn it is among those who wait."""
    reserved = {"$eq": [{"$mod": [{"$ifNull": ["$count", 0]}, RESERVED_EVERY]}, RESERVED_EVERY - 1]}
    if kind == "submission":
        return {"$not": [{"$and": [reserved, _waits("hint")]}]}
    if kind == "hint":
        return {"$or": [reserved, {"$not": [_waits("submission")]}]}
    return {"$not": [{"$or": [_waits("submission"), _waits("hint")]}]}
