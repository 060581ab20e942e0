"""Partners' closed lists, fetched for each credential and kept: one document for each list, looked after by one worker.

This service checks an application against them before it sends it; validation does not see them and checks all else.
Until a list was fetched, nothing is checked against it and the application goes without the words it would give:
partners that give lists ask for none of these words, and one that is new to us would else hold up everything.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import Iterable
from typing import Any

import structlog

from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Choice
from lendrail.partners.partner import Fetched
from lendrail.runtime import due
from lendrail.runtime.directory import Mounted, PartnerAccount, Tenants
from lendrail.runtime.due import Lease, Worker
from lendrail.runtime.mongo import ASCENDING, OUTAGES, Collection, Document
from lendrail.runtime.partner_port import PartnerPort
from lendrail.submission.sending.asking import Asker, Unanswered
from lendrail.submission.settings import Settings

log = structlog.get_logger()
LANES = 4
"""So that a partner that hangs holds up none of the others."""
PAUSED_SECONDS = 15.0
AT_ONCE = frozenset({"partner-paused", "partner-away"})
"""Reasons for which nothing was asked: they are no failures of the list."""


class PartnerLists:
    """The collection `lists`: `_id` is credential and name. A list that was fetched once stays until the next one."""

    def __init__(
        self, settings: Settings, collection: Collection, tenants: Mounted[Tenants], port: PartnerPort, asker: Asker
    ) -> None:
        self._settings, self._collection, self._tenants = settings, collection, tenants
        self._port, self._asker = port, asker
        self.worker = Worker(
            collection, self._renew, where=self._open, lanes=LANES, lease_seconds=settings.lease_seconds
        )

    async def prepare(self) -> None:
        await due.prepare(self._collection)
        await self._collection.create_index([("credential", ASCENDING)])

    async def run(self) -> None:
        """Look for accounts without their lists now and every minute or so."""
        while True:
            try:
                for credential, (_, account) in self._accounts().items():
                    await self._want(credential, account)
                self.worker.wake()
                await asyncio.sleep(self._settings.lists_look_seconds)
            except OUTAGES as error:
                log.warning("lists wait for their store", error=type(error).__name__)
                await asyncio.sleep(1)

    async def fetched(self, credentials: Iterable[str]) -> dict[str, Fetched]:
        """By credential, those that were ever fetched."""
        wanted = {"credential": {"$in": list(credentials)}, "choices": {"$exists": True}}
        found: dict[str, dict[str, tuple[Choice, ...]]] = {}
        async for each in self._collection.find(wanted, {"credential": 1, "name": 1, "choices": 1}):
            choices = tuple(Choice(label, value) for label, value in each["choices"])
            found.setdefault(each["credential"], {})[each["name"]] = choices
        return dict(found)

    async def shown(self, credentials: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """By credential, for people: how old each list is and when it is fetched next."""
        fields: Document = {"credential": 1, "name": 1, "fetched": 1, "due": 1, "failures": 1, "reason": 1}
        fields |= {"choices": {"$size": {"$ifNull": ["$choices", []]}}, "age": _age()}
        found: dict[str, list[dict[str, Any]]] = {}
        stages: list[Document] = [
            {"$match": {"credential": {"$in": list(credentials)}}},
            {"$project": fields},
            {"$sort": {"_id": 1}},
        ]
        async for each in await self._collection.aggregate(stages):
            found.setdefault(each["credential"], []).append(_shown(each))
        return found

    def _accounts(self) -> dict[str, tuple[str, PartnerAccount]]:
        """Those whose partner gives lists, with their tenant."""
        accounts = ((tenant.id, each) for tenant in self._tenants.current.tenants for each in tenant.partners)
        return {each.credential: (tenant, each) for tenant, each in accounts if each.enabled and _gives_lists(each)}

    async def _want(self, credential: str, account: PartnerAccount) -> None:
        lists = PARTNERS[account.partner].lists
        assert lists is not None
        for name in lists.names:
            fresh = {"credential": credential, "name": name}
            is_new = {"$eq": [{"$type": "$name"}, "missing"]}
            with_due = {"$mergeObjects": ["$$ROOT", {"$literal": fresh}, {"due": "$$NOW"}]}
            change = [{"$replaceWith": {"$cond": [is_new, with_due, "$$ROOT"]}}]
            await self._collection.update_one({"_id": f"{credential}|{name}"}, change, upsert=True)

    async def _open(self) -> Document:
        return {"credential": {"$nin": list(await self._port.paused())}}

    async def _renew(self, document: Document, lease: Lease, lane: int) -> None:
        tenant, account = self._accounts().get(document["credential"], (None, None))
        lists = PARTNERS[account.partner].lists if account else None
        if tenant is None or account is None or lists is None or document["name"] not in lists.names:
            await self._collection.delete_one(_mine(document, lease))
            return
        deadline = lease.seconds_left()
        try:
            answer = await self._asker.ask(
                tenant, account, "poll", lists.request(document["name"]), lane,
                deadline=deadline, guard=lambda: lease.held,
            )  # fmt: skip
        except Unanswered as why:
            await self._keep_old(document, lease, why)
            return
        if (choices := lists.read(answer.reply)) is None:
            await self._keep_old(document, lease, Unanswered("unreadable-reply"))
            return
        await self._keep(document, lease, choices, lists.lifetime)

    async def _keep(self, document: Document, lease: Lease, choices: tuple[Choice, ...], lifetime: float) -> None:
        """Renewed a little earlier than it must be, each at another moment."""
        own = self._settings.lists_seconds
        seconds = (lifetime if own is None else own) * random.uniform(0.9, 1)
        kept = {"choices": {"$literal": [[each.label, each.value] for each in choices]}, "fetched": "$$NOW"}
        change: list[Document] = [
            {"$set": kept | {"due": due.in_seconds(seconds)}},
            {"$unset": ["lease", "failures", "reason"]},
        ]
        await self._collection.update_one(_mine(document, lease), change)

    async def _keep_old(self, document: Document, lease: Lease, why: Unanswered) -> None:
        failures = document.get("failures", 0)
        fields: Document = {"reason": {"$literal": why.reason}}
        if why.reason in AT_ONCE:
            seconds = min(why.after or PAUSED_SECONDS, PAUSED_SECONDS)
        else:
            log.warning("a list was not fetched", list=document["_id"], reason=why.reason)
            schedule = self._settings.retry_seconds or (1.0,)
            seconds = (why.after or 0.0) + random.uniform(0.5, 1) * schedule[min(failures, len(schedule) - 1)]
            fields["failures"] = failures + 1
        fields["due"] = due.in_seconds(seconds)
        await self._collection.update_one(_mine(document, lease), [{"$set": fields}, {"$unset": "lease"}])


def _mine(document: Document, lease: Lease) -> Document:
    return {"_id": document["_id"], "lease.token": lease.token}


def _gives_lists(account: PartnerAccount) -> bool:
    partner = PARTNERS.get(account.partner)
    return partner is not None and partner.lists is not None


def _age() -> Document:
    """In seconds of the server's clock; null for a list that was never fetched."""
    return {"$dateDiff": {"startDate": "$fetched", "endDate": "$$NOW", "unit": "second"}}


def _shown(found: Document) -> dict[str, Any]:
    fetched: dt.datetime | None = found.get("fetched")
    fields = {
        "name": found["name"],
        "choices": found["choices"] if fetched else None,
        "fetchedAt": fetched.isoformat() if fetched else None,
        "ageSeconds": found.get("age"),
        "nextFetchAt": found["due"].isoformat() if "due" in found else None,
        "failures": found.get("failures"),
        "reason": found.get("reason"),
    }
    return {name: value for name, value in fields.items() if value is not None}
