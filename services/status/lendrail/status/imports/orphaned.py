"""Rows that name nobody whom we know yet: kept among the partners' calls that nobody could match, sealed under the
intake key of their day. An acknowledgement that brings the partner's id finds them at once; all others are looked at in
turns.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
import uuid
from collections.abc import Iterable, Sequence

import structlog

from lendrail.contracts.terms import NAMESPACE, Status
from lendrail.runtime.mongo import OUTAGES, Collection, Document
from lendrail.runtime.pace import rest
from lendrail.runtime.vault import INTAKE_KEY_DAYS, Key, Vault
from lendrail.status.hints import Hints
from lendrail.status.imports.hearing import SOURCE, content_of
from lendrail.status.imports.match import Matcher, Whose
from lendrail.status.imports.rows import Row, told
from lendrail.status.reports import Reports

log = structlog.get_logger()
TURN = 500
NAMED = ("tenant", "mode", "partner", "credential", "reference_system", "row_keys")
"""What tells whose row it is; what it says is read of those alone that somebody knows by now."""


def call_of(document: Document, row: Row, key: Key) -> Document:
    """A row in the form in which calls are kept; the same for the same row, whatever file it comes in."""
    said = [document["credential"], sorted(row.keys.items()), [content_of(each) for each in row.events]]
    return {
        "_id": str(uuid.uuid5(NAMESPACE, "row|" + json.dumps(said))),
        "tenant": document["tenant"],
        "mode": document["mode"],
        "partner": document["partner"],
        "credential": document["credential"],
        "partner_id": row.keys.get("partnerId"),
        "reference": row.keys.get("ourReference"),
        "row_keys": row.keys,
        "reference_system": document["format"].get("referenceSystem"),
        "words": row.events[-1].words,
        "source": SOURCE,
        "import": document["_id"],
        "verified": True,
        "cause": document["cause"],
        "received_at": document["received_at"],
        "intake_key": key.id,
        "body": key.seal(json.dumps(told(row))),
        "expires": document["received_at"] + dt.timedelta(days=INTAKE_KEY_DAYS),
    }


class Orphaned:
    """Keeps such rows, and looks at them again."""

    def __init__(
        self, orphans: Collection, hints: Hints, matcher: Matcher, reports: Reports, vault: Vault, seconds: float
    ) -> None:
        self._orphans, self._hints, self._matcher = orphans, hints, matcher
        self._reports, self._vault, self._seconds = reports, vault, seconds
        self._after = ""

    async def prepare(self) -> None:
        of_rows = {"source": SOURCE}
        await self._orphans.create_index([("source", 1), ("_id", 1)], partialFilterExpression=of_rows)

    async def keep(self, document: Document, rows: Sequence[Row]) -> None:
        """And hear those whose opportunity became known meanwhile."""
        if rows:
            key = await self._vault.intake(document["received_at"])
            await self._hints.keep([call_of(document, row, key) for row in rows])

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            try:
                began = time.monotonic()
                while await self.turn():
                    await rest(time.monotonic() - began)
                    began = time.monotonic()
            except OUTAGES as error:
                log.warning("rows of files wait for their store", error=type(error).__name__)

    async def turn(self) -> bool:
        """Look at some more of them; whether there are others behind. The next turn after the last begins anew."""
        wanted = {"source": SOURCE, "_id": {"$gt": self._after}}
        named = dict.fromkeys(NAMED, 1)
        calls = await self._orphans.find(wanted, named).sort("_id", 1).limit(TURN).to_list()
        self._after = calls[-1]["_id"] if len(calls) == TURN else ""
        await self._join(calls)
        return bool(self._after)

    async def _join(self, calls: Sequence[Document]) -> None:
        known: dict[str, Document] = {}
        for whose, some in _by_file(calls):
            rows = [Row(0, call["row_keys"]) for call in some]
            found = await self._matcher.find(whose, rows)
            known |= {call["_id"]: each.document for call, each in zip(some, found, strict=True) if each.document}
        if not known:
            return
        whole = await self._orphans.find({"_id": {"$in": list(known)}}).to_list()
        matched = [(call, known[call["_id"]]) for call in whole]
        living = [(call, document) for call, document in matched if document["status"] != Status.ERASED]
        done = await self._reports.hear(living)
        gone = {call["_id"] for call, document in matched if document["status"] == Status.ERASED}
        gone |= {call for call, _ in done}
        if gone:
            await self._hints.drop(sorted(gone))


def _by_file(calls: Iterable[Document]) -> list[tuple[Whose, list[Document]]]:
    found: dict[Whose, list[Document]] = {}
    for call in calls:
        names = (call["tenant"], call["mode"], call["partner"], call["credential"], call.get("reference_system"))
        found.setdefault(Whose(*names), []).append(call)
    return list(found.items())
