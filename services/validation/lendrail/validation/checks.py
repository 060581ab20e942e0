"""Facts that wait for the register's word: stored as due work by the handler, concluded by leased workers.

What the rules say is settled when the application arrives, so nothing is judged twice; the register's word is added,
and the report is then stored with its record as if it had been made at once. Whoever dies in between leaves the work
to the next one: the report is inserted once under the id of the event that asked for it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated
from lendrail.contracts.event import Record, decode, encode, read_envelope
from lendrail.contracts.sensitive import Erased
from lendrail.partners.abn_lookup import Asked
from lendrail.runtime import due
from lendrail.runtime.clock import utc_now
from lendrail.runtime.due import Lease, Worker
from lendrail.runtime.faults import point
from lendrail.runtime.mongo import Collection, Document, DuplicateKeyError, GroupCommit, insert_absent
from lendrail.runtime.outbox import waiting
from lendrail.runtime.vault import Key, Vault
from lendrail.validation.abn import Fact, Subject, concluded
from lendrail.validation.register import Register
from lendrail.validation.standing import GAINED, Report
from lendrail.validation.store import Reports

log = structlog.get_logger()
LEASE_MARGIN = 5.0
"""Seconds that a lease is longer than a question may take."""
KINDS: dict[str, type[Fact]] = {each.topic: each for each in (ApplicationValidated, ApplicationRejected)}


class Checks:
    """The collection `checks`: one document for each fact that waits, under the id of the event that caused it."""

    def __init__(
        self,
        collection: Collection,
        reports: Reports,
        register: Register,
        vault: Vault,
        *,
        seconds: float,
        lanes: int,
        instance: str,
        stored: Callable[[], None],
        reported: Callable[[Sequence[str]], Awaitable[object]],
    ) -> None:
        """`seconds`: how long an application waits, in all. `stored` is called when a record waits to be published,
        `reported` with the ids of events whose report is there.
        """
        self._collection, self._reports, self.register, self._vault = collection, reports, register, vault
        self._seconds, self._instance, self._stored, self._reported = seconds, instance, stored, reported
        self._writes = GroupCommit(collection)
        self.worker = Worker(
            collection, self.conclude, where=_all, lanes=lanes, lease_seconds=seconds + LEASE_MARGIN, poll_seconds=0.5
        )

    async def prepare(self) -> None:
        await due.prepare(self._collection)
        await self.register.prepare()

    async def drain(self, seconds: float) -> None:
        """Wait for the questions under way, then let go of the connections."""
        await self.worker.drain(seconds)
        await self.register.close()

    async def keep(self, work: Sequence[Document]) -> None:
        """Durable when this returns; what is there already stays as it is. The time counts from now, by the server."""
        await asyncio.gather(*(self._keep(each) for each in work))
        if work:
            self.worker.wake()

    async def _keep(self, work: Document) -> None:
        fields = {name: {"$literal": value} for name, value in work.items() if name != "_id"}
        times = {"due": "$$NOW", "until": due.in_seconds(self._seconds)}
        try:
            await self._writes.update(
                {"_id": work["_id"], "until": {"$exists": False}}, [{"$set": fields | times}], upsert=True
            )
        except DuplicateKeyError:
            return

    async def conclude(self, document: Document, lease: Lease, lane: int) -> None:
        """Ask, and store the report. Of an erased person nothing is left to report."""
        try:
            key = await self._vault.get(document["application"])
        except Erased:
            await self._collection.delete_one({"_id": document["_id"]})
            return
        fact = _fact(document, key)
        told = await self.register.ask(_asked(document, key), fact.mode, self._left(document), lane)
        point("checks.told")
        final = concluded(fact, document["pointer"], told.finding, told.at)
        await insert_absent(self._reports.collection, [self._report(document, final, key)])
        self._stored()
        await self._reported([document["_id"]])
        await self._collection.delete_one({"_id": document["_id"]})
        point("checks.done")

    def _left(self, document: Document) -> float:
        """Seconds, counted by the server's clock at the moment of the claim."""
        claimed: dt.datetime = document["lease"]["until"] - dt.timedelta(seconds=self._seconds + LEASE_MARGIN)
        return float((document["until"] - claimed).total_seconds())

    def _report(self, document: Document, fact: Fact, key: Key) -> Document:
        envelope = read_envelope(Record.restored(document["fact"]).headers)
        stated = replace(envelope, id=fact.id, type=fact.type(), time=utc_now())
        gained = {name: document[name] for name in GAINED if name in document}
        report = Report(document["report"], gained).stored(isinstance(fact, ApplicationValidated))
        return {"_id": document["_id"], **report, **waiting([encode(fact, stated, key)], self._instance)}


def work_of(event_id: str, report: Report, sound: bool, record: Record, subject: Subject, key: Key) -> Document:
    """The document of a fact that waits; names and number rest sealed. What counts against twins counts already."""
    document = {
        "_id": event_id,
        "application": report.base["application"],
        "receivedAt": report.base["receivedAt"],
        "report": report.base,
        "fact": record.stored(),
        "pointer": subject.pointer,
        "asked": key.seal(json.dumps([subject.asked.abn, *subject.asked.names])),
    }
    return document | (report.gained if sound else {})


def _fact(document: Document, key: Key) -> Fact:
    record = Record.restored(document["fact"])
    return decode(KINDS[record.topic], record.value, key)


def _asked(document: Document, key: Key) -> Asked:
    abn, *names = json.loads(key.open(document["asked"]))
    return Asked(abn=abn, names=tuple(names))


async def _all() -> Document:
    return {}
