"""Partners' calls, entries of their feeds, and the opportunities that these are about: a two-sided wait.

The call and the answer with the partner's id travel different ways. Each side writes first and then looks for the
other: a call that nobody matches becomes an orphan, then looks again; an answer is stored, then looks for orphans.
What slips through both (a crash in between) a slow sweep finds. A call that nobody waits for never makes us ask the
partner; one that is proven and reports by itself needs no asking.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence

import structlog

from lendrail.contracts.partner_ack import PartnerAck
from lendrail.contracts.partner_webhook import PartnerWebhook
from lendrail.contracts.terms import Status
from lendrail.runtime.audit import UNCHAINED
from lendrail.runtime.mongo import OUTAGES, Collection, Document, insert_absent
from lendrail.runtime.step import Delivery
from lendrail.runtime.vault import INTAKE_KEY_DAYS
from lendrail.status.folding.followed import about
from lendrail.status.imports.hearing import SOURCE as ROWS
from lendrail.status.reports import Matched, Reports
from lendrail.status.store import Opportunities, kept_cause
from lendrail.status.timing import hinted, readable

log = structlog.get_logger()
SWEEP_LIMIT = 1000
Pair = tuple[str, str]
"""Credential and an id: foreign ids, and our references, are unique only within their credential."""
FIELDS = (
    "application_id", "tenant", "mode", "partner", "credential", "opportunity_id", "partner_id", "ours", "fetch",
    "former", "aliases", "lease", "due", "hints.id", "status",
)  # fmt: skip


class Hints:
    """Brings calls and opportunities together; `wake` is told the credential that has a look due now."""

    def __init__(
        self,
        opportunities: Opportunities,
        reports: Reports,
        orphans: Collection,
        wake: Callable[[str], None],
        sweep_seconds: float,
    ) -> None:
        self._opportunities, self._reports = opportunities, reports
        self._orphans, self._wake = orphans, wake
        self._sweep_seconds = sweep_seconds

    async def prepare(self) -> None:
        await self._orphans.create_index([("credential", 1), ("partner_id", 1)])
        await self._orphans.create_index([("credential", 1), ("reference", 1)])
        await self._orphans.create_index("expires", expireAfterSeconds=0)

    async def heard(self, deliveries: Sequence[Delivery[PartnerWebhook]]) -> None:
        """Follow these calls; keep those that nobody knows as orphans."""
        await self.take(list({delivery.id: _call(delivery) for delivery in deliveries}.values()))

    async def take(self, calls: Sequence[Document]) -> None:
        """The same for calls in the form in which orphans are kept. What they say is stored when this ends."""
        await self.keep(await self._unmatched(calls))

    async def keep(self, orphans: Sequence[Document]) -> None:
        """Calls whose opportunity was looked for in vain. They are stored first, and then looked for once more."""
        await insert_absent(self._orphans, orphans)
        await self._join(orphans)

    async def known(self, answers: Sequence[PartnerAck]) -> None:
        """Opportunities with these answers were stored: look for calls that came too early."""
        ids = [(each.credential, each.partner_id) for each in answers if each.partner_id]
        ours = [(each.credential, str(each.attempt_id)) for each in answers if each.operation == "create"]
        await self._join(await self._orphans.find(_either(ids, ours, "reference")).to_list() if ids or ours else [])

    async def run(self) -> None:
        """The slow sweep, newest orphans first; rows of files, of which there may be many, have one of their own."""
        while True:
            await asyncio.sleep(self._sweep_seconds)
            try:
                named = [{name: {"$type": "string"}} for name in ("partner_id", "reference")]
                found = self._orphans.find({"$or": named, "source": {"$ne": ROWS}}).sort("received_at", -1)
                await self._join(await found.limit(SWEEP_LIMIT).to_list())
            except OUTAGES as error:
                log.warning("orphans wait for their store", error=type(error).__name__)

    async def _join(self, orphans: Sequence[Document]) -> None:
        left = {each["_id"] for each in await self._unmatched(orphans)}
        matched = [each["_id"] for each in orphans if each["_id"] not in left]
        if matched:
            await self.drop(matched)

    async def drop(self, orphans: Sequence[str]) -> None:
        """They were heard. One with an entry that waits for its place in the audit stays until the next sweep."""
        await self._orphans.delete_many({"_id": {"$in": list(orphans)}, UNCHAINED: {"$exists": False}})

    async def _unmatched(self, calls: Sequence[Document]) -> list[Document]:
        """Follow the calls whose opportunity is known: by their own word, or with a look; not those about a person who
        was erased. Returns the others.
        """
        found = _matched(calls, await self._find(calls))
        await self.follow([(call, each) for call, each in found if each["status"] != Status.ERASED])
        hit = {call["_id"] for call, _ in found}
        return [call for call in calls if call["_id"] not in hit]

    async def follow(self, matched: Sequence[Matched]) -> None:
        """Take the calls at their word where that is proven; else one look at the partner for each opportunity."""
        told = await self._reports.hear(matched)
        newest = {d["_id"]: (call, d) for call, d in matched if (call["_id"], d["_id"]) not in told}
        await asyncio.gather(*(self._hint(document, call) for call, document in newest.values()))

    async def _find(self, calls: Sequence[Document]) -> list[Document]:
        """The opportunities that these calls may be about."""
        ids = [(call["credential"], call["partner_id"]) for call in calls if call["partner_id"]]
        ours = [(call["credential"], call["reference"]) for call in calls if call.get("reference")]
        if not ids and not ours:
            return []
        fields = dict.fromkeys(FIELDS, 1)
        others = [*_clauses("former", ids), *_clauses("aliases", ids)]
        named = {"$or": [*_either(ids, ours, "ours")["$or"], *others]}
        return await self._opportunities.collection.find(named, fields).to_list()

    async def _hint(self, document: Document, call: Document) -> None:
        """One look answers all calls that came before it began; so while one is due and not begun, that is enough. A
        call about an application that was sent before tells nothing of the one that is followed.
        """
        waits = document.get("fetch", {}).get("reason") == "hint" and "due" in document and "lease" not in document
        seen = any(each["id"] == call["_id"] for each in document.get("hints", ()))
        older = about(call, document) in document.get("former", ())
        due = readable(document["partner"]) and bool(document.get("partner_id")) and not older
        if not waits and not seen:
            note = {"id": call["_id"], "words": call["words"], "received_at": call["received_at"]}
            note |= {"event": call["event_id"]} if call.get("event_id") else {}
            await self._opportunities.change({"_id": document["_id"]}, hinted(note, due=due))
        if due:
            self._wake(document["credential"])


def _matched(calls: Sequence[Document], documents: Sequence[Document]) -> list[Matched]:
    """By the partner's id; by our reference where the partner's id is not known here; else by an id that a person said
    is another name of one opportunity, where only one is called so. Ids belong to a credential.
    """
    known: dict[tuple[str, str | None], list[Document]] = {}
    for document in documents:
        for name in {document.get("partner_id"), *document.get("ours", ()), *document.get("former", ())} - {None}:
            known.setdefault((document["credential"], name), []).append(document)
    alias = _aliases(documents)
    return [
        (call, document)
        for call in calls
        for document in known.get((call["credential"], call["partner_id"]), ())
        or known.get((call["credential"], call.get("reference")), ())
        or alias.get((call["credential"], call["partner_id"]), ())
    ]


def _aliases(documents: Sequence[Document]) -> dict[tuple[str, str | None], list[Document]]:
    found: dict[tuple[str, str | None], list[Document]] = {}
    for document in documents:
        for name in document.get("aliases", ()):
            found.setdefault((document["credential"], name), []).append(document)
    return {name: called for name, called in found.items() if len(called) == 1}


def _call(delivery: Delivery[PartnerWebhook]) -> Document:
    """A call as it is kept while nobody knows whose it is: its body stays sealed under the intake key of its day."""
    event = delivery.event
    return {
        "_id": delivery.id,
        "tenant": event.tenant_id,
        "mode": event.mode,
        "partner": event.partner,
        "credential": event.credential,
        "partner_id": event.foreign_id,
        "event_id": event.event_id,
        "path_id": event.path_id,
        "reference": event.reference,
        "words": event.words,
        "verified": event.verification == "verified",
        "cause": kept_cause(delivery.envelope),
        "received_at": event.received_at,
        "intake_key": event.intake_key,
        "body": event.body.seal(delivery.key),
        "expires": event.received_at + dt.timedelta(days=INTAKE_KEY_DAYS),
    }


def _either(ids: Sequence[Pair], ours: Sequence[Pair], name: str) -> Document:
    """Documents with one of these partner's ids, or one of our references under `name`."""
    return {"$or": [*_clauses("partner_id", ids), *_clauses(name, ours)]}


def _clauses(name: str, pairs: Sequence[Pair]) -> list[Document]:
    """One `$in` for each credential: many clauses of `$or` are slow to plan. `$type` lets the partial index serve."""
    by_credential: dict[str, list[str]] = {}
    for credential, value in pairs:
        by_credential.setdefault(credential, []).append(value)
    return [{"credential": c, name: {"$in": values, "$type": "string"}} for c, values in by_credential.items()]
