"""Revision n is judged after revision n-1 was reported; one that comes earlier waits as due work.

It may come early because the two arrive by different topics, or because the business register is still being asked
about the one before. The report of n-1 releases it; what nobody released is looked at again and again. It is never
dropped: where n-1 was lost on the way (its dead letter waits for a person), operators see what waits for it, `GET
/v1/amendments`, and after a stated time the log calls it an error.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence

import structlog

from lendrail.contracts.application_amended import ApplicationAmended
from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.event import Record, decode, encode, read_envelope
from lendrail.contracts.sensitive import Erased
from lendrail.runtime import due
from lendrail.runtime.clock import utc_now
from lendrail.runtime.due import Lease, Worker
from lendrail.runtime.faults import point
from lendrail.runtime.inbox import Effect
from lendrail.runtime.mongo import ASCENDING, Collection, Document, DuplicateKeyError, GroupCommit, insert_absent
from lendrail.runtime.outbox import waiting
from lendrail.runtime.step import Delivery
from lendrail.runtime.vault import Vault
from lendrail.validation.judge import Amended, Judge
from lendrail.validation.revision import predecessor
from lendrail.validation.store import Reports

log = structlog.get_logger()
SOONEST, LATEST = 0.1, 300.0
"""Seconds until the next look: as long as the last hope is old, within these."""
MOST_SHOWN = 500
TOO_LONG = dt.timedelta(minutes=1)
"""Nothing of ours takes that long: the revision before was lost, or nobody judges it."""


class Early:
    """The collection `amendments`: one document for each event that came early, under the event's id."""

    def __init__(self, collection: Collection, overdue: dt.timedelta) -> None:
        """`overdue`: after that long a person has to look."""
        self.collection, self._overdue = collection, overdue
        self._writes = GroupCommit(collection)

    async def prepare(self) -> None:
        await due.prepare(self.collection)
        await self.collection.create_index([("after", ASCENDING)])
        await self.collection.create_index([("tenant", ASCENDING), ("mode", ASCENDING), ("arrived", ASCENDING)])

    async def keep(self, deliveries: Sequence[Amended]) -> None:
        """Durable when this returns, and due at once: what it waits for may have been reported just now."""
        await asyncio.gather(*(self._keep(each) for each in deliveries))

    async def _keep(self, delivery: Amended) -> None:
        event = delivery.event
        fields = {
            "application": str(event.application_id),
            "tenant": event.tenant_id,
            "mode": event.mode,
            "follows": event.revision - 1,
            "after": predecessor(event),
            "arrived": utc_now(),
            "record": encode(event, delivery.envelope, delivery.key).stored(),
        }
        stored = {name: {"$literal": value} for name, value in fields.items()} | {"due": "$$NOW", "since": "$$NOW"}
        try:
            await self._writes.update({"_id": delivery.id, "due": {"$exists": False}}, [{"$set": stored}], upsert=True)
        except DuplicateKeyError:
            return  # it waits already

    async def release(self, event_ids: Sequence[str]) -> bool:
        """These were reported: what waits for one of them is due now, and there is new hope for it. False: nothing is.

        Looked for first, because there is hardly ever anything, and a write would wait for the disk in any case.
        """
        where: Document = {"after": {"$in": list(event_ids)}}
        if await self.collection.find_one(where, {"_id": 1}) is None:
            return False
        await self.collection.update_many(where, [{"$set": {"due": "$$NOW", "since": "$$NOW"}}])
        return True

    async def postpone(self, document: Document, lease: Lease) -> None:
        """Look again later, unless it was released while we looked."""
        age = {"$dateDiff": {"startDate": "$since", "endDate": "$$NOW", "unit": "millisecond"}}
        pause = {"$min": [LATEST * 1000, {"$max": [SOONEST * 1000, age]}]}
        later = {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": {"$toLong": pause}}}
        change = {"due": {"$cond": [{"$eq": ["$since", document["since"]]}, later, "$due"]}, "lease": "$$REMOVE"}
        await self.collection.update_one({"_id": document["_id"], "lease.token": lease.token}, [{"$set": change}])

    async def waiting(self, tenant: str, mode: str) -> list[Document]:
        """What waits, the oldest first: ids and times, for operators."""
        wanted = {"tenant": tenant, "mode": mode}
        shown = dict.fromkeys(("application", "follows", "after", "arrived"), 1)
        found = self.collection.find(wanted, shown).sort("arrived", ASCENDING).limit(MOST_SHOWN)
        return [self._shown(each) async for each in found]

    def _shown(self, document: Document) -> Document:
        before = document["follows"]
        topic = (ApplicationReceived if before == 1 else ApplicationAmended).topic
        return {
            "applicationId": document["application"],
            "revision": before + 1,
            "since": document["arrived"],
            "overdue": self.is_overdue(document),
            "waitsFor": {"revision": before, "event": document["after"], "topic": topic},
        }

    def is_overdue(self, document: Document) -> bool:
        return bool(utc_now() - document["arrived"] > self._overdue)

    async def forget(self, event_id: str) -> None:
        await self.collection.delete_one({"_id": event_id})


class Order:
    """Judges what waits as soon as it may be, by leased workers of every replica."""

    def __init__(
        self,
        early: Early,
        judge: Judge,
        reports: Reports,
        vault: Vault,
        *,
        instance: str,
        stored: Callable[[], None],
    ) -> None:
        """`stored` is called when a record waits to be published."""
        self._early, self._judge, self._reports, self._vault = early, judge, reports, vault
        self._instance, self._stored = instance, stored
        self.worker = Worker(early.collection, self.look, where=_all, lanes=4, lease_seconds=10, poll_seconds=0.5)

    async def keep(self, deliveries: Sequence[Amended]) -> None:
        await self._early.keep(deliveries)
        if deliveries:
            self.worker.wake()

    async def release(self, event_ids: Sequence[str]) -> None:
        if await self._early.release(event_ids):
            self.worker.wake()

    async def look(self, document: Document, lease: Lease, _: int) -> None:
        """Judge it if it may be judged now. Of an erased person nothing is left to judge."""
        try:
            delivery = await self._delivery(document)
        except Erased:
            await self._early.forget(document["_id"])
            return
        if not await self._reports.reported(delivery.id):
            effects, early = await self._judge.amended([delivery])
            if early:
                self._tell(document, delivery)
                await self._early.postpone(document, lease)
                return
            await self._report(delivery, effects[delivery.id])
        await self._early.forget(document["_id"])
        point("amendments.done")

    async def _report(self, delivery: Amended, effect: Effect | None) -> None:
        """As if it had been judged on arrival. None: the register is asked, and its worker reports."""
        if effect is None:
            return
        report, records = effect
        await insert_absent(
            self._reports.collection, [{"_id": delivery.id, **report, **waiting(records, self._instance)}]
        )
        self._stored()
        await self._early.release([delivery.id])

    async def _delivery(self, document: Document) -> Amended:
        record = Record.restored(document["record"])
        key = await self._vault.get(document["application"])
        return Delivery(decode(ApplicationAmended, record.value, key), read_envelope(record.headers), key)

    def _tell(self, document: Document, delivery: Amended) -> None:
        if utc_now() - document["arrived"] > TOO_LONG:
            application, revision = document["application"], delivery.event.revision
            tell = log.error if self._early.is_overdue(document) else log.warning
            tell("an amendment waits for the revision before it", application=application, revision=revision)


async def _all() -> Document:
    return {}
