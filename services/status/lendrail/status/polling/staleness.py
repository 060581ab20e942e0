"""How old and how stale what we show is, partner by partner, and what the budget of looks can do about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Response

from lendrail.contracts.terms import Status
from lendrail.runtime.directory import Credential, Credentials, Mounted
from lendrail.runtime.http import authorised, reply
from lendrail.runtime.mongo import Collection, Document
from lendrail.runtime.parameters import ONLY_KNOWN
from lendrail.runtime.tokens import Caller
from lendrail.status.polling.habits import Stage
from lendrail.status.polling.measuring import Measuring
from lendrail.status.polling.order import usual_of
from lendrail.status.polling.planner import Group, bought, needed
from lendrail.status.polling.silence import OPEN, calls_of
from lendrail.status.timing import readable

OPERATE = Depends(authorised("operator"))
MOST_ENDED = 500
STEP = 1.05
"""Ages are told to within a twentieth."""
TOLD_AT: Document = {"$convert": {"input": "$state.observedAt", "to": "date", "onError": None, "onNull": None}}
AGE: Document = {"$max": [0, {"$divide": [{"$subtract": ["$$NOW", {"$max": [TOLD_AT, "$fetch.seen_at"]}]}, 1000]}]}
FOLLOWED: Document = {"$eq": [{"$type": "$due"}, "date"]}
EVERY: Document = {"$max": [{"$ifNull": ["$fetch.every", 3600]}, 1]}
"""An hour where an older version of this program chose the wait."""
BY_STAGE: list[Document] = [
    {"$set": {"age": AGE}},
    {
        "$group": {
            "_id": {"status": "$status", "step": {"$floor": {"$log": [{"$max": ["$age", 1]}, STEP]}}},
            "open": {"$sum": 1},
            "oldest": {"$max": "$age"},
            "followed": {"$sum": {"$cond": [FOLLOWED, 1, 0]}},
            "overdue": {"$sum": {"$cond": [{"$and": [FOLLOWED, {"$lt": ["$due", "$$NOW"]}]}, 1, 0]}},
            "hourly": {"$sum": {"$cond": [FOLLOWED, {"$divide": [3600, EVERY]}, 0]}},
        }
    },
]
"""Deals by how they stand and how old what we show of them is."""
NOT_THERE = [status.value for status in (Status.RECEIVED, Status.SUBMITTING, Status.OUTCOME_UNKNOWN)]
THERE: Document = {
    "status": {"$in": OPEN},
    "$or": [{"partner_id": {"$type": "string"}}, {"status": {"$nin": NOT_THERE}}],
}
"""Open deals that the partner has: they have its id, or, where it gives none, its word or our sending says so."""


@dataclass(frozen=True)
class Staleness:
    opportunities: Collection
    callers: Collection
    measuring: Measuring
    credentials: Mounted[Credentials]

    async def prepare(self) -> None:
        await self.opportunities.create_index(
            [("tenant", 1), ("fetch.ended", -1)], partialFilterExpression={"fetch.ended": {"$type": "date"}}
        )

    async def rows(self, tenant: str) -> list[Document]:
        """One for each credential of the tenant at a partner that can be asked or calls us, or that has open deals."""
        callers = {each["_id"]: each async for each in self.callers.find({"tenant": tenant})}
        mine = [each for each in self.credentials.current.credentials if each.tenant == tenant]
        rows = [(each, await self._row(each, callers.get(each.id))) for each in mine]
        return [row for each, row in rows if readable(each.partner) or each.id in callers or row["open"]]

    async def ended(self, tenant: str) -> list[Document]:
        """Opportunities that are looked at no more, newest first."""
        where = {"tenant": tenant, "fetch.ended": {"$type": "date"}, "status": {"$in": OPEN}}
        wanted = dict.fromkeys(("partner", "credential", "status", "fetch.ended", "fetch.seen_at"), 1)
        cursor = self.opportunities.find(where, wanted).sort("fetch.ended", -1).limit(MOST_ENDED)
        return [
            {
                "opportunityId": each["_id"],
                "partner": each["partner"],
                "credential": each["credential"],
                "status": each["status"],
                "endedAt": each["fetch"]["ended"],
                "seenAt": each["fetch"].get("seen_at"),
            }
            async for each in cursor
        ]

    async def _row(self, credential: Credential, caller: Document | None) -> Document:
        there = {"$match": {"credential": credential.id} | THERE}
        found = [each async for each in await self.opportunities.aggregate([there, *BY_STAGE])]
        groups = self._groups(credential.partner, found)
        budget = 1 / credential.rate.interval if credential.rate else None
        buys = bought(groups, budget)
        return {
            "partner": credential.partner,
            "credential": credential.id,
            "mode": credential.mode,
            **{name: sum(each[name] for each in found) for name in ("open", "followed", "overdue")},
            "looksPerHour": {
                "needed": round(needed(groups) * 3600, 1),
                "budget": round(budget * 3600, 1) if budget is not None else None,
            },
            "ageSeconds": _ages(found),
            "stalenessSeconds": buys
            and {"wanted": round(buys.wanted), "planned": round(buys.planned), "inTurn": round(buys.in_turn)},
            "webhooks": _webhooks(caller),
        }

    def _groups(self, partner: str, found: Sequence[Document]) -> list[Group]:
        """Followed deals by how they stand: how often they change there, and how often they are to be looked at."""
        measured, groups = self.measuring.of(partner), []
        for status in sorted({each["_id"]["status"] for each in found}):
            here = [each for each in found if each["_id"]["status"] == status]
            count, hourly = sum(each["followed"] for each in here), sum(each["hourly"] for each in here)
            if count and hourly:
                rate = measured.get(Status(status), Stage()).rate(usual_of(partner, status))
                groups.append(Group(count, rate, count * 3600 / hourly))
        return groups


def _ages(found: Sequence[Document]) -> Document | None:
    """How long ago the partner last said what we show."""
    if not found:
        return None
    known = sorted((each["_id"]["step"], each["open"]) for each in found)
    total, oldest = sum(count for _, count in known), float(max(each["oldest"] for each in found))

    def at(share: float) -> float:
        left = math.ceil(total * share)
        for step, count in known:
            left -= count
            if left <= 0:
                return min(float(STEP ** (step + 1)), oldest)
        return oldest  # pragma: no cover - the shares are below one

    return {"p50": round(at(0.5), 1), "p95": round(at(0.95), 1), "max": round(oldest, 1)}


def _webhooks(caller: Document | None) -> Document | None:
    """Of a partner that ever called."""
    if caller is None:
        return None
    calls = calls_of(caller)
    return {
        "lastHeardAt": caller["heard_at"],
        "silentSince": caller.get("silent_since"),
        "usualPerDay": round(calls.expected(0, 7 * 86_400.0) / 7, 1) if calls.known else None,
    }


def routes(staleness: Staleness) -> APIRouter:
    router = APIRouter(dependencies=[ONLY_KNOWN])

    @router.get("/v1/staleness")
    async def shown(caller: Caller = OPERATE) -> Response:
        """How old what we show is, what the budget of looks can do about it, and who is looked at no more."""
        told: dict[str, Any] = {
            "credentials": await staleness.rows(caller.tenant_id),
            "ended": await staleness.ended(caller.tenant_id),
        }
        return reply(told, headers={"Cache-Control": "no-store"})

    return router
