"""Proven calls, and rows of files, that say by themselves what the partner decided: their word is stored as the truth,
nobody is asked.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence

import structlog

from lendrail.contracts.sensitive import SealBroken
from lendrail.contracts.terms import NAMESPACE, Report
from lendrail.partners import PARTNERS
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import Document
from lendrail.runtime.vault import Vault
from lendrail.status.folding.followed import about
from lendrail.status.folding.observation import Observation, Reported
from lendrail.status.imports import hearing
from lendrail.status.store import Heard, Opportunities, cause_of, subject_of
from lendrail.status.timing import Timing

log = structlog.get_logger()
Matched = tuple[Document, Document]
"""A call and the opportunity that it is about."""


class Reports:
    """Opens calls with the intake key of their day and stores what they report under the application's own key."""

    def __init__(self, opportunities: Opportunities, timing: Timing, vault: Vault) -> None:
        self._opportunities, self._timing, self._vault = opportunities, timing, vault

    async def hear(self, matched: Sequence[Matched]) -> set[tuple[str, str]]:
        """Store what these calls report. Returns the (call, opportunity) pairs that need no look at the partner:
        what they say is stored when this ends, or the person was erased.
        """
        able = [(call, document) for call, document in matched if _may_report(call)]
        if not able:
            return set()
        bodies = await self._open({call["_id"]: call for call, _ in able}.values())
        keys = await self._vault.find({document["application_id"] for _, document in able})
        heard: list[Heard] = []
        done: set[tuple[str, str]] = set()
        for call, document in able:
            said = _said(call, document, bodies.get(call["_id"], b""))
            if said is None:
                continue
            done.add((call["_id"], document["_id"]))
            if key := keys.get(document["application_id"]):
                subject, cause = subject_of(document), cause_of(call["cause"])
                heard += [Heard(subject, observation, key, cause, raw) for observation, raw in said]
        await self._opportunities.hear(heard, self._timing.after_event)
        return done

    async def speaks(self, call: Document) -> bool:
        """Whether this call says by itself what the partner decided, and we understand it."""
        bodies = await self._open([call]) if _may_report(call) else {}
        body = bodies.get(call["_id"], b"")
        if call.get("source") == hearing.SOURCE:
            return hearing.row_of(body) is not None
        return read_report(call["partner"], body) is not None if bodies else False

    async def _open(self, calls: Iterable[Document]) -> Mapping[str, bytes]:
        """The bodies, by call; none of calls whose intake key is destroyed by now."""
        calls = list(calls)
        keys = await self._vault.find({call["intake_key"] for call in calls})
        bodies: dict[str, bytes] = {}
        for call in calls:
            try:
                if key := keys.get(call["intake_key"]):
                    bodies[call["_id"]] = key.open(call["body"]).encode()
            except SealBroken:
                log.error("a stored call is not of its key", webhook=call["_id"])
        return bodies


def read_report(partner: str, body: bytes) -> Report | None:
    """What a proven call says of its opportunity; None where it says nothing that we understand."""
    known = PARTNERS.get(partner)
    if known is None or known.webhook is None or known.webhook.report is None:
        return None
    try:
        return known.webhook.report(body)
    except Exception as error:  # a fault in a translation must not lose the partner's word
        log.error("a webhook could not be translated", partner=partner, exc_info=error)
        return None


def _may_report(call: Document) -> bool:
    if call.get("source") == hearing.SOURCE:
        return True
    known = PARTNERS.get(call["partner"])
    return bool(call.get("verified") and known and known.webhook and known.webhook.report)


def _said(call: Document, document: Document, body: bytes) -> list[tuple[Observation, bytes | None]] | None:
    """What it tells, each with the bytes that it rests on; a row of a file may tell several things. None where it says
    nothing that we understand.
    """
    if call.get("source") == hearing.SOURCE:
        row = hearing.row_of(body)
        known = hearing.Known(document)
        return None if row is None else list(hearing.observations(row, document, known, call["received_at"]))
    report = read_report(call["partner"], body)
    return None if report is None else [(_observation(call, document, report, body), body)]


def _observation(call: Document, document: Document, report: Report, body: bytes) -> Observation:
    received, told = call["received_at"], report.partner_time
    return Observation(
        id=_id(call, document, report, body),
        source="webhook",
        at=min(told, received) if told else received,
        received_at=utc_now(),
        partner_time=told,
        reached_at=received,
        partner_event=call.get("event_id"),
        said=Reported(report=report, about=about(call, document)),
    )


def _id(call: Document, document: Document, report: Report, body: bytes) -> str:
    """The same words about the same time are one word, also where they were replayed as another call."""
    content = hashlib.sha256(body).hexdigest() if report.partner_time else call["_id"]
    return str(uuid.uuid5(NAMESPACE, f"report|{document['_id']}|{content}"))
