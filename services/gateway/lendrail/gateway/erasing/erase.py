"""Erasing an application: for good, and finished whatever dies on the way.

First one write to its document: the mark `erasing` with the audit entry. From then on it cannot be changed any more.
Then its data key is deleted, which makes the person unreadable everywhere; every service follows that by itself
(`lendrail.runtime.forgetting`). What stands between the two after a crash is finished by a loop. The marks stay: they
are the list by which keys that come back with a backup are deleted again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from lendrail.contracts.terms import Status
from lendrail.gateway.amending.amend import ENDED, TAKEN
from lendrail.gateway.shapes import ApplicationView, OpportunityView
from lendrail.gateway.store import Applications
from lendrail.runtime import audit
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import OUTAGES, Collection, Document
from lendrail.runtime.pace import rest
from lendrail.runtime.vault import Vault

log = structlog.get_logger()
LOOK_SECONDS, AGAIN_SECONDS = 5.0, 3600.0
BATCH = 200
_UNFINISHED = {"erasing.pending": {"$exists": True}}
_MARKED = {"erasing.at": {"$exists": True}}
_KEYED = {"erasing.idempotency": {"$exists": True}}


def still_open(view: ApplicationView) -> list[OpportunityView]:
    """Where somebody still works on it: something was sent, or may have been, and it has not ended."""
    return [each for each in view.opportunities if each.status not in ENDED and _sent(each)]


def _sent(at: OpportunityView) -> bool:
    return at.status in TAKEN | {Status.OUTCOME_UNKNOWN} or at.partner_id is not None or bool(at.documents_sent)


class Eraser:
    def __init__(self, applications: Applications, vault: Vault) -> None:
        self._applications, self._vault = applications, vault

    @property
    def _documents(self) -> Collection:
        return self._applications.collection

    async def prepare(self) -> None:
        await self._documents.create_index("erasing.pending", partialFilterExpression=_UNFINISHED)
        await self._documents.create_index([("erasing.at", 1), ("_id", 1)], partialFilterExpression=_MARKED)
        keyed = [("tenant", 1), ("erasing.idempotency", 1)]
        await self._documents.create_index(keyed, unique=True, partialFilterExpression=_KEYED)

    async def begin(
        self, document: Document, actor: audit.Actor, about: Mapping[str, str], idempotency: str | None = None
    ) -> bool:
        """Durable when it returns; whether nobody had begun it. Raises `DuplicateKeyError` when the key erased another
        application. `about` names the reason in words of ours.
        """
        now = utc_now()
        entry = audit.entry(
            actor,
            "application-erased",
            f"applications/{document['_id']}",
            application=document["_id"],
            at=now,
            about=about,
        )
        mark: Document = {"at": now, "by": actor.who, "request": actor.request, **about, "pending": True}
        if idempotency is not None:
            mark["idempotency"] = idempotency
        change: dict[str, Any] = audit.pushed(entry)
        change["$set"] |= {"erasing": mark}
        return await self._applications.begin_erasing(document["_id"], change)

    async def finish(self, application: str) -> None:
        """Durable when it returns: nobody can read the person any more."""
        await self._vault.erase(application)
        await self._documents.update_one({"_id": application}, {"$unset": {"erasing.pending": ""}})

    async def run(self) -> None:
        """Until cancelled: finish what somebody left behind, and once an hour look for keys that came back."""
        looked: float | None = None
        while True:
            try:
                await self.finish_all()
                if looked is None or time.monotonic() - looked > AGAIN_SECONDS:
                    await self.again()
                    looked = time.monotonic()
            except OUTAGES as error:
                log.warning("erasures wait for their store", error=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def finish_all(self) -> None:
        while left := await self._ids(_UNFINISHED):
            for application in left:
                await self.finish(application)

    async def again(self) -> None:
        """Delete keys that exist although their application was erased: a backup brought them back."""
        where: Document = dict(_MARKED)
        while marked := await self._next(where):
            began = time.monotonic()
            ids = [each["_id"] for each in marked]
            gone = await self._vault.erased(ids)
            for application in ids:
                if application not in gone:
                    log.warning("a deleted key was there again", application=application)
                    await self.finish(application)
            at, last = marked[-1]["erasing"]["at"], ids[-1]
            where = {"$or": [{"erasing.at": {"$gt": at}}, {"erasing.at": at, "_id": {"$gt": last}}]} | _MARKED
            await rest(time.monotonic() - began)

    async def _ids(self, where: Document) -> list[str]:
        return [each["_id"] async for each in self._documents.find(where, {"_id": 1}).limit(BATCH)]

    async def _next(self, where: Document) -> Sequence[Document]:
        in_order = [("erasing.at", 1), ("_id", 1)]
        return await self._documents.find(where, {"erasing.at": 1}).sort(in_order).limit(BATCH).to_list()
