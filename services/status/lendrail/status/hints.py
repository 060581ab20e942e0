"""Partners' calls and the opportunities they are about: a two-sided wait.

The call and the answer with the partner's id travel different ways. Each side writes first and then looks for the
other: a call that nobody matches becomes an orphan, then looks again; an answer is stored, then looks for orphans.
What slips through both (a crash in between) a slow sweep finds. A call alone never makes us ask the partner.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from lendrail.contracts.partner_webhook import PartnerWebhook
from lendrail.runtime.mongo import OUTAGES, Collection, Document, DuplicateKeyError, GroupCommit
from lendrail.runtime.step import Delivery
from lendrail.runtime.vault import INTAKE_KEY_DAYS
from lendrail.status.store import Opportunities
from lendrail.status.timing import hinted

log = structlog.get_logger()
SWEEP_LIMIT = 1000
Pair = tuple[str, str]
"""Credential and the partner's id: foreign ids are unique only within their credential."""


class Hints:
    """Brings calls and opportunities together; `wake` is told the credential that has a look due now."""

    def __init__(
        self, opportunities: Opportunities, orphans: Collection, wake: Callable[[str], None], sweep_seconds: float
    ) -> None:
        self._opportunities, self._orphans, self._wake = opportunities, orphans, wake
        self._group = GroupCommit(orphans)
        self._sweep_seconds = sweep_seconds

    async def prepare(self) -> None:
        await self._orphans.create_index([("credential", 1), ("partner_id", 1)])
        await self._orphans.create_index("expires", expireAfterSeconds=0)

    async def heard(self, deliveries: Sequence[Delivery[PartnerWebhook]]) -> None:
        """Make what these calls are about due; keep the others as orphans."""
        calls = {delivery.id: _call(delivery) for delivery in deliveries}
        orphans = await self._unmatched(list(calls.values()))
        await asyncio.gather(*(self._keep(orphan) for orphan in orphans))
        await self._join(orphans)

    async def known(self, pairs: Sequence[Pair]) -> None:
        """Opportunities with these partner's ids were stored: look for calls that came too early."""
        await self._join(await self._orphans.find({"$or": _pairs(pairs)}).to_list() if pairs else [])

    async def run(self) -> None:
        """The slow sweep, newest orphans first."""
        while True:
            await asyncio.sleep(self._sweep_seconds)
            try:
                found = self._orphans.find({"partner_id": {"$type": "string"}}).sort("received_at", -1)
                await self._join(await found.limit(SWEEP_LIMIT).to_list())
            except OUTAGES as error:
                log.warning("orphans wait for their store", error=type(error).__name__)

    async def _keep(self, orphan: Document) -> None:
        try:
            await self._group.insert(orphan)
        except DuplicateKeyError:
            log.debug("an orphan came again", webhook=orphan["_id"])

    async def _join(self, orphans: Sequence[Document]) -> None:
        left = {each["_id"] for each in await self._unmatched(orphans)}
        matched = [each["_id"] for each in orphans if each["_id"] not in left]
        if matched:
            await self._orphans.delete_many({"_id": {"$in": matched}})

    async def _unmatched(self, calls: Sequence[Document]) -> list[Document]:
        """Make the opportunities of these calls due; the calls that have none."""
        by_pair: dict[Pair, list[Document]] = {}
        for call in calls:
            by_pair.setdefault((call["credential"], call["partner_id"]), []).append(call)
        wanted = [pair for pair in by_pair if pair[1] is not None]
        found = await self._find(wanted)
        await asyncio.gather(*(self._hint(document, by_pair[pair][-1]) for pair, document in found))
        hit = {pair for pair, _ in found}
        return [call for pair, of_pair in by_pair.items() if pair not in hit for call in of_pair]

    async def _find(self, pairs: Sequence[Pair]) -> list[tuple[Pair, Document]]:
        if not pairs:
            return []
        fields = {"credential": 1, "partner_id": 1, "fetch": 1, "lease": 1, "due": 1, "hints.id": 1}
        cursor = self._opportunities.collection.find({"$or": _pairs(pairs)}, fields)
        return [((document["credential"], document["partner_id"]), document) async for document in cursor]

    async def _hint(self, document: Document, call: Document) -> None:
        """One look answers all calls that came before it began; so while one is due and not begun, that is enough."""
        waits = document.get("fetch", {}).get("reason") == "hint" and "due" in document and "lease" not in document
        seen = any(each["id"] == call["_id"] for each in document.get("hints", ()))
        if not waits and not seen:
            note = {"id": call["_id"], "words": call["words"], "received_at": call["received_at"]}
            await self._opportunities.change({"_id": document["_id"]}, hinted(note))
        self._wake(document["credential"])


def _call(delivery: Delivery[PartnerWebhook]) -> Document:
    """A call as it is kept while nobody knows whose it is: its body stays sealed under the intake key of its day."""
    event = delivery.event
    return {
        "_id": delivery.id,
        "tenant": event.tenant_id,
        "partner": event.partner,
        "credential": event.credential,
        "partner_id": event.foreign_id,
        "words": event.words,
        "received_at": event.received_at,
        "intake_key": event.intake_key,
        "body": event.body.seal(delivery.key),
        "expires": event.received_at + dt.timedelta(days=INTAKE_KEY_DAYS),
    }


def _pairs(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """One `$in` for each credential: many clauses of `$or` are slow to plan."""
    by_credential: dict[str, list[str]] = {}
    for credential, partner_id in pairs:
        by_credential.setdefault(credential, []).append(partner_id)
    return [{"credential": c, "partner_id": {"$in": ids, "$type": "string"}} for c, ids in by_credential.items()]
