"""A row that was matched, as observations. The same words about the same time are one observation, whatever file they
come in; what is newer in the partner's time counts, whenever the file came.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property
from typing import Any

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import NAMESPACE, DeclineReason, Money, ReasonCode, Report
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import Document
from lendrail.status.folding.observation import Observation, Reported
from lendrail.status.folding.words import UNMAPPED
from lendrail.status.imports.rows import Event, Row, heard, told

SOURCE = "csv"
TICK = dt.timedelta(milliseconds=1)


def content_of(event: Event) -> str:
    """What tells one event from another of the same opportunity."""
    said = [event.name, event.status, event.words, event.time.isoformat(), sorted(event.values.items())]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def observation_id(opportunity: str, event: Event) -> str:
    return str(uuid.uuid5(NAMESPACE, f"csv|{opportunity}|{content_of(event)}"))


def report_of(event: Event) -> Report:
    values = event.values
    more: dict[str, Any] = {}
    if "commission" in values:
        more["commission"] = Money(amount=Decimal(values["commission"]), currency=values["currency"])
    if "closeChance" in values:
        more["close_chance"] = Decimal(values["closeChance"])
    if "closesOn" in values:
        more["closes_on"] = dt.date.fromisoformat(values["closesOn"])
    if "notes" in values:
        more["notes"] = SensitiveText(values["notes"])
    if "declineReason" in values:
        more["decline_reasons"] = (DeclineReason(code=ReasonCode.OTHER, words=values["declineReason"], mapped=False),)
    flags = (UNMAPPED,) if event.status is None else ()
    return Report(status=event.status, words=event.words, partner_time=event.time, flags=flags, **more)


class Known:
    """What was heard of one opportunity, this file's earlier rows included; a document without its observations knows
    of none, and they are told apart by their ids when they are stored.
    """

    def __init__(self, document: Document) -> None:
        self._stored = document.get("observations", ())
        self.ids = {each["id"] for each in self._stored}

    @cached_property
    def _taken(self) -> set[dt.datetime]:
        """Moments that rows of files told of already."""
        return {dt.datetime.fromisoformat(each["at"]) for each in self._stored if each["source"] == SOURCE}

    def place(self, event: Event, received: dt.datetime) -> dt.datetime:
        """When it was so, and never the very moment of another row: of two that state one time, the one that was
        heard later is the later word.
        """
        at = min(event.time, received)
        while at in self._taken:
            at += TICK
        self._taken.add(at)
        return at


def observations(
    row: Row, document: Document, known: Known, received: dt.datetime
) -> Iterator[tuple[Observation, bytes | None]]:
    """Those that are new, each with the bytes that it rests on: the row as it was read, once."""
    for number, event in enumerate(row.events, start=1):
        id = observation_id(document["_id"], event)
        if id in known.ids:
            continue
        known.ids.add(id)
        said = Reported(report=report_of(event), about=about(row, document))
        observation = Observation(
            id=id,
            source=SOURCE,
            at=known.place(event, received),
            received_at=utc_now(),
            reached_at=received,
            partner_time=event.time,
            said=said,
        )
        yield observation, json.dumps(told(row)).encode() if number == len(row.events) else None


def about(row: Row, document: Document) -> str | None:
    """Which application at the partner is meant, where it has several of ours; None where the row does not say."""
    theirs = {document.get("partner_id"), *document.get("former", ()), *document.get("aliases", ())}
    named = row.keys.get("partnerId")
    return named if named in theirs else row.keys.get("ourReference")


def row_of(body: bytes) -> Row | None:
    """The row of a file that was kept as a call; None where its body can be opened no longer."""
    try:
        return heard(json.loads(body)) if body else None
    except (ValueError, TypeError):
        return None
