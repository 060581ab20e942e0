"""What people see of their partners, and how they pause and resume them."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from lendrail.contracts.sensitive import SealBroken
from lendrail.partners import PARTNERS
from lendrail.runtime.approvals import Approval
from lendrail.runtime.bodies import checked, idempotency_key
from lendrail.runtime.directory import PartnerAccount
from lendrail.runtime.holds import Hold, Holds, Stand
from lendrail.runtime.http import authorised, reply, request_id, strict_body
from lendrail.runtime.mongo import Collection
from lendrail.runtime.standing import APPROVAL_MISSING
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import Key
from lendrail.submission.accounts.lists import PartnerLists
from lendrail.submission.operators.approving import Approved, Approvers
from lendrail.submission.operators.pauses import Pauses, Pausing, Resuming, What

Shown = dict[str, Any]


class Overview:
    """Every account of a tenant: what holds it, how each operation fares, how much waits, how old its lists are."""

    def __init__(
        self, pauses: Pauses, holds: Holds, approvers: Approvers, opportunities: Collection, lists: PartnerLists
    ) -> None:
        self._pauses, self._holds, self._approvers = pauses, holds, approvers
        self._opportunities, self._lists = opportunities, lists

    async def of(self, caller: Caller) -> Shown:
        accounts = self._pauses.accounts(caller)
        names = sorted({each.partner for each in accounts})
        whole = await asyncio.gather(*(self._holds.partner_stand(name, caller.mode) for name in names))
        for_all = {name: stand.hold for name, stand in zip(names, whole, strict=True) if stand}
        credentials = [each.credential for each in accounts]
        stands, waiting, lists, approvals = await asyncio.gather(
            self._holds.stands(credentials), self._waiting(credentials), self._lists.shown(credentials),
            self._approvers.stands(accounts),
        )  # fmt: skip
        key, inside = await self._pauses.key(), "platform" in caller.scopes
        items = []
        for account in accounts:
            stand, hold = stands.get(account.credential), for_all.get(account.partner)
            approval = approvals.get(account.credential)
            pauses = [*_unapproved(approval), *_pauses(stand, key), *([_whole(hold, key, inside)] if hold else [])]
            items.append(_account(account) | _approval(approval, key) | {"pauses": pauses} | _traffic(account, stand)
                         | waiting.get(account.credential, {"due": 0, "scheduled": 0})
                         | ({"lists": own} if (own := lists.get(account.credential)) else {}))  # fmt: skip
        return {"items": items}

    async def _waiting(self, credentials: list[str]) -> dict[str, Shown]:
        """By the credential that their next call goes through: opportunities with work that may go now, and those whose
        work has a later time.
        """
        is_due = {"$lte": ["$due", "$$NOW"]}
        counts = {"due": {"$sum": {"$cond": [is_due, 1, 0]}}, "scheduled": {"$sum": {"$cond": [is_due, 0, 1]}}}
        waits = {"through": {"$in": credentials}, "due": {"$type": "date"}}
        cursor = await self._opportunities.aggregate([{"$match": waits}, {"$group": {"_id": "$through", **counts}}])
        return {each.pop("_id"): each async for each in cursor}


def routes(pauses: Pauses, overview: Overview) -> APIRouter:
    router = APIRouter(prefix="/v1/partners", tags=["partners"])
    anybody, operator = Depends(authorised()), Depends(authorised("operator"))

    @router.get("")
    async def partners(caller: Caller = operator) -> Response:
        """The caller's accounts at partners and how they stand."""
        return reply(await overview.of(caller))

    @router.post("/{partner}/pause")
    async def pause(partner: str, request: Request, caller: Caller = anybody) -> Response:
        """Hold all calls; work waits, nothing fails and nothing is lost."""
        return await carry_out(caller, "pause", partner, checked(Pausing, await strict_body(request)), request)

    @router.post("/{partner}/resume")
    async def resume(partner: str, request: Request, caller: Caller = anybody) -> Response:
        """Lift an operator's pause; our own, after a refusal, ends by itself."""
        return await carry_out(caller, "resume", partner, checked(Resuming, await strict_body(request)), request)

    async def carry_out(caller: Caller, what: What, partner: str, told: Resuming, request: Request) -> Response:
        done = await pauses.carry_out(caller, what, partner, told, idempotency_key(request), request_id(request))
        return reply(done.answer, headers={"Idempotency-Replayed": "true"} if done.replayed else None)

    return router


def _account(account: PartnerAccount) -> Shown:
    partner = PARTNERS.get(account.partner)
    return {
        "partner": account.partner,
        "title": partner.title if partner else account.partner,
        "kind": partner.kind if partner else None,
        "credential": account.credential,
        "mode": account.mode,
        "enabled": account.enabled,
    }


def _approval(approval: Approved | None, key: Key) -> Shown:
    """Of live accounts: whether calls may go, where they would go, and who said so last."""
    if approval is None:
        return {}
    told: Shown = {"state": approval.state, "address": approval.address}
    if (word := approval.word) is not None:
        told |= {"who": word.by, "reason": _opened(word, key), "since": word.at.isoformat()}
    return {"approval": told}


def _unapproved(approval: Approved | None) -> Iterator[Shown]:
    if approval is not None and approval.state != "approved":
        yield {"by": "lendrail", "reason": APPROVAL_MISSING}


def _pauses(stand: Stand | None, key: Key) -> Iterator[Shown]:
    """Those of the credential itself: an operator's and our own may hold at the same time."""
    if stand and stand.hold:
        yield {"by": "operator", "who": stand.hold.by, "reason": _opened(stand.hold, key)} | _times(stand.hold)
    if stand and stand.paused_until:
        yield {"by": "lendrail", "reason": stand.pause_reason, "until": stand.paused_until.isoformat()}


def _whole(hold: Hold, key: Key, inside: bool) -> Shown:
    """One for all tenants; who and why are the platform's own affair."""
    told = {"who": hold.by, "reason": _opened(hold, key)} if inside else {}
    return {"by": "platform"} | told | _times(hold)


def _times(hold: Hold) -> Shown:
    return {"since": hold.at.isoformat()} | ({"until": hold.until.isoformat()} if hold.until else {})


def _opened(word: Hold | Approval, key: Key) -> str | None:
    try:
        return key.open(word.reason)
    except SealBroken:
        return None


def _traffic(account: PartnerAccount, stand: Stand | None) -> Shown:
    """Each operation's breaker, and when the next call may start."""
    partner = PARTNERS.get(account.partner)
    names = [*(partner.operations if partner else ()), *(stand.breakers if stand else ())]
    operations = [_operation(name, stand) for name in dict.fromkeys(names)]
    later = {"nextStartAt": stand.next_start.isoformat()} if stand and stand.next_start else {}
    return {"operations": operations} | later


def _operation(name: str, stand: Stand | None) -> Shown:
    breaker = stand.breakers.get(name) if stand else None
    if stand is None or breaker is None:
        return {"operation": name, "state": "closed"}
    until: dt.datetime | None = breaker.until if breaker.state(stand.now) == "open" else None
    fields = {"failures": breaker.failures, "failingSince": breaker.first.isoformat()}
    return (
        {"operation": name, "state": breaker.state(stand.now)}
        | fields
        | ({"until": until.isoformat()} if until else {})
    )
