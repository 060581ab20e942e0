"""Files that are expected daily, weekly or monthly, by the account's option `import.every` or the partner's profile.
One that does not come is told: in the log, once a day, and among the imports.
"""

from __future__ import annotations

import asyncio

import structlog

from lendrail.contracts.files import BadFormat, Every, FileFormat, format_of
from lendrail.partners import PARTNERS
from lendrail.runtime import due
from lendrail.runtime.directory import Mounted, PartnerAccount, Tenants
from lendrail.runtime.due import Lease, Worker
from lendrail.runtime.mongo import OUTAGES, Collection, Document
from lendrail.runtime.tokens import Caller
from lendrail.status.timing import released

log = structlog.get_logger()
DAY = 86_400.0
PATIENCE: dict[Every, float] = {"daily": 1.5 * DAY, "weekly": 8 * DAY, "monthly": 34 * DAY}
"""Seconds after a file, or after the first day that one was expected, until the next one is late."""
AGAIN_SECONDS = DAY
LOOK_SECONDS = 10.0


def account_format(account: PartnerAccount) -> FileFormat:
    """What files of this account look like. Raises `BadFormat`."""
    partner = PARTNERS[account.partner]
    return format_of(partner.files, partner.facts.statuses, account.options)


class Expected:
    """One document for each account that has a schedule."""

    def __init__(self, collection: Collection, tenants: Mounted[Tenants]) -> None:
        self.collection, self._tenants = collection, tenants
        self.worker = Worker(collection, self.turn, where=self._where, lanes=1, lease_seconds=30.0, poll_seconds=2.0)

    async def prepare(self) -> None:
        await due.prepare(self.collection)

    async def _where(self) -> Document:
        return {}

    async def run(self) -> None:
        """Follow the mounted file of tenants."""
        while True:
            try:
                await self.provide()
            except OUTAGES as error:
                log.warning("expected files wait for their store", error=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def provide(self) -> None:
        """Give each scheduled account its document, and take it from those that are scheduled no longer."""
        wanted = self._scheduled()
        there = {each["_id"]: each async for each in self.collection.find({}, {"every": 1})}
        for id, told in wanted.items():
            if there.get(id, {}).get("every") != told["every"]:
                patience = due.in_seconds(PATIENCE[told["every"]])
                fields = {name: {"$literal": value} for name, value in told.items()}
                await self.collection.update_one({"_id": id}, [{"$set": fields | {"due": patience}}], upsert=True)
        gone = sorted(there.keys() - wanted.keys())
        if gone:
            await self.collection.delete_many({"_id": {"$in": gone}})

    def _scheduled(self) -> dict[str, Document]:
        found: dict[str, Document] = {}
        for tenant in self._tenants.current.tenants:
            for account in tenant.partners:
                every = _every(account) if account.enabled else None
                if every is not None:
                    told = {"tenant": tenant.id, "mode": account.mode, "partner": account.partner, "every": every}
                    found[account.credential] = told
        return found

    async def came(self, document: Document) -> None:
        """A file of this account was read to its end."""
        known = await self.collection.find_one({"_id": document["credential"]}, {"every": 1})
        if known is None:
            return
        fields = {
            "last": {"import": document["_id"], "at": "$$NOW"},
            "due": due.in_seconds(PATIENCE[known["every"]]),
            "late_since": "$$REMOVE",
        }
        await self.collection.update_one({"_id": document["credential"]}, [{"$set": fields}])

    async def turn(self, document: Document, lease: Lease, _: int) -> None:
        """It did not come in time."""
        log.warning(
            "an expected file did not come",
            credential=document["_id"],
            partner=document["partner"],
            every=document["every"],
        )
        late = {"late_since": {"$ifNull": ["$late_since", "$$NOW"]}, "due": due.in_seconds(AGAIN_SECONDS)}
        where = {"_id": document["_id"], "lease.token": lease.token}
        await self.collection.update_one(where, [{"$set": late | released(lease.token)}])

    async def shown(self, caller: Caller) -> list[Document]:
        """Those of a tenant, the late ones first."""
        mine = {"tenant": caller.tenant_id, "mode": caller.mode}
        return [_shown(each) async for each in self.collection.find(mine).sort([("late_since", -1), ("_id", 1)])]


def _every(account: PartnerAccount) -> Every | None:
    """Options that cannot be used are told to whoever sends a file."""
    try:
        return account_format(account).every if account.partner in PARTNERS else None
    except BadFormat:
        return None


def _shown(document: Document) -> Document:
    names = {"partner": "partner", "_id": "credential", "every": "every"}
    told = {shown: document[name] for name, shown in names.items()}
    told |= {"late": "late_since" in document}
    if "late_since" in document:
        told["lateSince"] = document["late_since"]
    else:
        told["dueAt"] = document.get("due")
    return told | (
        {"lastImport": document["last"]["import"], "lastAt": document["last"]["at"]} if "last" in document else {}
    )
