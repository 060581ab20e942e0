"""What notifications remembers: one queue document for each recipient and opportunity, in `deliveries`; for a topic, of
which all is told in turn, one for each application.

A queue is claimed as a whole, so two workers never tell one recipient of one opportunity at the same time, and version
n goes before n+1. A notice's body is made once, sealed under the application's data key, and dropped when it was told.
A queue of which all is told, given up or outdated has the time of that in `settled`, and ends some time after it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

from lendrail.contracts.notify import Notify
from lendrail.contracts.terms import NAMESPACE
from lendrail.notifications.order import (
    CANCELLED,
    DELIVERED,
    FINAL,
    OPEN,
    PARKED,
    SENDING,
    SUPERSEDED,
    WAITING,
    in_turn,
)
from lendrail.runtime import due
from lendrail.runtime.due import Lease
from lendrail.runtime.mongo import Collection, Document, GroupCommit

LOG_KEPT = dt.timedelta(days=90)
"""After the last that happened to a queue. It must know which notices it had for longer than their events may come
again, which is as long as the topic and its dead letters are kept.
"""
ERASED = "erased"


def queue_id(endpoint: str, entity: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"queue|{endpoint}|{entity}"))


class Deliveries:
    """The queues of notices."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self._writes = GroupCommit(collection)

    async def prepare(self) -> None:
        await due.prepare(self.collection)
        await self.collection.create_index([("application", 1), ("tenant", 1)])
        await self.collection.create_index("settled", expireAfterSeconds=int(LOG_KEPT.total_seconds()))

    async def add(self, notices: Sequence[tuple[Notify, str, dt.datetime]]) -> None:
        """Store notices with their sealed bodies and the times they state; those that are known stay as they are."""
        await asyncio.gather(*(self._add(*notice) for notice in notices))

    async def _add(self, event: Notify, body: str, stated: dt.datetime) -> None:
        endpoint, whole = str(event.endpoint_id), in_turn(event.channel)
        opportunity = str(event.update.opportunity_id) if event.update.opportunity_id else None
        identity = {
            "tenant": event.tenant_id,
            "application": str(event.application_id),
            "opportunity": None if whole else opportunity,
            "endpoint": endpoint,
            "channel": event.channel,
        }
        notice = {"id": event.id, "version": event.version, "state": WAITING, "tries": 0, "body": body}
        notice |= {"opportunity": opportunity} if whole else {}
        there = {"$ifNull": ["$notices", []]}
        known = {"$in": [event.id, {"$ifNull": ["$notices.id", []]}]}
        fresh = {"$mergeObjects": [{"$literal": notice | {"stated": stated}}, {"stored": "$$NOW"}]}
        change = {name: {"$literal": value} for name, value in identity.items()} | {
            "notices": {"$cond": [known, "$notices", {"$concatArrays": [there, [fresh]]}]},
            "due": {"$cond": [known, "$due", "$$NOW"]},
            "settled": {"$cond": [known, "$settled", "$$REMOVE"]},
        }
        about = event.subject if whole else event.entity
        await self._writes.update({"_id": queue_id(endpoint, about)}, [{"$set": change}], upsert=True)

    async def sending(self, queue: Document, lease: Lease, notice_id: str, *, repeated: bool) -> bool:
        """Mark a mail as about to leave. False when the lease is lost: somebody else owns the queue now."""
        mark = {"notices.$.state": SENDING, "notices.$.repeated": repeated}
        where = {"_id": queue["_id"], "lease.token": lease.token, "notices.id": notice_id}
        return await self._writes.update(where, {"$set": mark, "$inc": {"notices.$.tries": 1}})

    async def delivered(self, queue: Document, lease: Lease, notice_id: str, tries: int, outcome: str) -> None:
        await self._settle(queue, lease, notice_id, {"state": DELIVERED, "tries": tries, "outcome": outcome}, 0)

    async def parked(self, queue: Document, lease: Lease, notice_id: str, tries: int, outcome: str) -> None:
        """Given up, and visible; the body stays for whoever looks into it."""
        await self._settle(queue, lease, notice_id, {"state": PARKED, "tries": tries, "outcome": outcome}, 0)

    async def later(self, queue: Document, lease: Lease, notice_id: str, change: Document, seconds: float) -> None:
        """To be tried again after `seconds`; `change` holds the notice's state, tries and outcome."""
        await self._settle(queue, lease, notice_id, change, seconds)

    async def settle_all(self, queue: Document, lease: Lease) -> None:
        """Nothing is left to tell: what still waits is outdated."""
        await self._settle(queue, lease, "", {}, 0)

    async def cancelled(self, queue: Document, lease: Lease, reason: str) -> None:
        """The recipient, or the person that all this is about, is gone."""
        mark = {"state": CANCELLED, "outcome": reason, "ended": "$$NOW"}
        await self._write(queue, lease, [{"$set": {"notices": _map(_is_open("$$n"), _without_body("$$n", mark))}}], 0)

    async def forget(self, applications: Sequence[str]) -> None:
        """Their bodies go, and what was not told never will be. What is being told at this moment is, and its outcome
        is still noted under the lease.
        """
        mark = {"state": CANCELLED, "outcome": ERASED, "ended": "$$NOW"}
        left = {"$cond": [_is_open("$$n"), _without_body("$$n", mark), _without_body("$$n", {})]}
        notices = {"$map": {"input": "$notices", "as": "n", "in": left}}
        settled = {"$ifNull": ["$settled", "$$NOW"]}
        change: list[Document] = [{"$set": {"notices": notices, "settled": settled}}, {"$unset": "due"}]
        await self.collection.update_many({"application": {"$in": list(applications)}}, change)

    async def put_back(self, queue: Document, lease: Lease) -> None:
        """Give up the claim; the work is due as before."""
        await self._writes.update({"_id": queue["_id"], "lease.token": lease.token}, {"$unset": {"lease": ""}})

    async def hold(self, endpoint: str, seconds: float) -> None:
        """Everything that is due for a failing endpoint waits together for its next attempt."""
        free = {"$lte": [{"$ifNull": ["$lease.until", "$$NOW"]}, "$$NOW"]}
        where = {"endpoint": endpoint, "due": {"$type": "date"}, "$expr": {"$and": [{"$lte": ["$due", "$$NOW"]}, free]}}
        await self.collection.update_many(where, [{"$set": {"due": due.in_seconds(seconds)}}])

    async def _settle(self, queue: Document, lease: Lease, notice_id: str, change: Document, seconds: float) -> None:
        final = change.get("state") in FINAL
        times: Document = {"tried": "$$NOW"} | ({"ended": "$$NOW"} if final else {})
        changed: Any = {"$mergeObjects": ["$$n", {"$literal": change}, times]}
        if change.get("state") == DELIVERED:
            changed = _without_body("$$n", {name: {"$literal": v} for name, v in change.items()} | times)
        newest = {"$max": [-1, {"$max": {"$map": {"input": _those_in(FINAL), "as": "f", "in": "$$f.version"}}}]}
        outdated = {"$and": [{"$eq": ["$$n.state", WAITING]}, {"$lt": ["$$n.version", newest]}]}
        gone = _without_body("$$n", {"state": SUPERSEDED, "ended": "$$NOW"})
        stages = [{"$set": {"notices": _map({"$eq": ["$$n.id", notice_id]}, changed)}}]
        if not in_turn(queue["channel"]):
            stages.append({"$set": {"notices": _map(outdated, gone)}})
        await self._write(queue, lease, stages, seconds)

    async def _write(self, queue: Document, lease: Lease, stages: list[Document], seconds: float) -> None:
        """Apply the stages, set the time of what remains, end the claim; nothing when the claim was lost. What was
        never tried is due at once, except where it waits its turn.
        """
        waits = {"$and": [{"$eq": ["$$n.state", WAITING]}, {"$eq": ["$$n.tries", 0]}]}
        untried = {"$filter": {"input": "$notices", "as": "n", "cond": waits}}
        remains = {"$cond": [{"$gt": [{"$size": _those_in(OPEN)}, 0]}, due.in_seconds(seconds), "$$REMOVE"]}
        at = remains if in_turn(queue["channel"]) else {"$cond": [{"$gt": [{"$size": untried}, 0]}, "$$NOW", remains]}
        settled = {"$cond": [{"$eq": [{"$type": "$due"}, "missing"]}, "$$NOW", "$$REMOVE"]}
        change = [*stages, {"$set": {"due": at}}, {"$set": {"settled": settled}}, {"$unset": "lease"}]
        await self._writes.update({"_id": queue["_id"], "lease.token": lease.token}, change)

    async def log(
        self, tenant: str, application: str, limit: int, after: str | None
    ) -> tuple[list[Document], str | None]:
        """The delivery log of an application, oldest first, and the token of the next page. Raises ValueError."""
        pipeline: list[Document] = [
            {"$match": {"tenant": tenant, "application": application}},
            {"$unwind": "$notices"},
            {"$unset": "notices.body"},
            {"$sort": {"notices.stored": 1, "notices.id": 1}},
        ]
        if after is not None:
            stored, last = _read_token(after)
            later = {"notices.stored": stored, "notices.id": {"$gt": last}}
            pipeline.append({"$match": {"$or": [{"notices.stored": {"$gt": stored}}, later]}})
        pipeline.append({"$limit": limit + 1})
        cursor = await self.collection.aggregate(pipeline)
        found = [document async for document in cursor]
        page = found[:limit]
        return page, _token(page[-1]["notices"]) if len(found) > limit else None


def _map(condition: Any, changed: Any) -> Document:
    return {"$map": {"input": "$notices", "as": "n", "in": {"$cond": [condition, changed, "$$n"]}}}


def _without_body(notice: str, change: Document) -> Document:
    return {"$unsetField": {"field": "body", "input": {"$mergeObjects": [notice, change]}}}


def _those_in(states: Sequence[str]) -> Document:
    return {"$filter": {"input": "$notices", "as": "s", "cond": {"$in": ["$$s.state", list(states)]}}}


def _is_open(notice: str) -> Document:
    return {"$in": [f"{notice}.state", list(OPEN)]}


def _token(notice: Document) -> str:
    return base64.urlsafe_b64encode(f"{notice['stored'].timestamp()}|{notice['id']}".encode()).decode()


def _read_token(token: str) -> tuple[dt.datetime, str]:
    """Raises ValueError."""
    try:
        stored, _, last = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition("|")
        return dt.datetime.fromtimestamp(float(stored), dt.UTC), str(uuid.UUID(last))
    except (binascii.Error, UnicodeError, OverflowError, OSError):
        raise ValueError("page token") from None
