"""How entries of the lists are found. Pure.

An entry carries the questions that find it, each as one string (`keys`), such as `partner=p&status=approved`. A
question looks for one such string (or one for each of its statuses) in one index and reads on in order from there, so
it costs the same among a thousand entries and among a million.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from lendrail.contracts.terms import Reference, Status
from lendrail.gateway.shapes import ApplicationView, OpportunityView
from lendrail.runtime.mongo import Document

FORM = 2
"""Raised when entries are made in another way: the sweep then makes them all anew."""
_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)


@dataclass(frozen=True)
class Question:
    """What a caller wants to see; what is None or empty does not matter. From is inclusive, to is not."""

    statuses: tuple[Status, ...] = ()
    application: str | None = None
    partner: str | None = None
    credential: str | None = None
    partner_id: str | None = None
    reference: str | None = None
    system: str | None = None
    received_from: dt.datetime | None = None
    received_to: dt.datetime | None = None
    changed_from: dt.datetime | None = None
    changed_to: dt.datetime | None = None

    @property
    def by_change(self) -> bool:
        """Whether time of change is asked for; the answer is then in that order."""
        return self.changed_from is not None or self.changed_to is not None

    @property
    def anything(self) -> bool:
        """Whether every entry of the time fits."""
        times = {"received_from", "received_to", "changed_from", "changed_to"}
        return not any(getattr(self, field.name) for field in fields(self) if field.name not in times)

    def keys(self) -> list[str]:
        """Strings of which an entry that fits has one. Those of ids find so few that nothing else need be in them."""
        if self.application is not None:
            return [_key(application=self.application)]
        if self.partner_id is not None:
            return [_key(partner_id=self.partner_id)]
        if self.reference is not None:
            return [_key(reference=self.reference, system=self.system)]
        broad = {"partner": self.partner, "credential": self.credential, "system": self.system}
        return [_key(**broad, status=status) for status in self.statuses] or [_key(**broad)]

    def conditions(self) -> Document:
        """The whole question, of the entry itself."""
        at = {"partner": self.partner, "credential": self.credential, "partner_id": self.partner_id}
        reference = {"value": self.reference, "system": self.system}
        return _stated(
            status={"$in": [status.value for status in self.statuses]} if self.statuses else None,
            application=self.application,
            at=_within(at),
            references=_within(reference),
        )

    def name(self, *of: str) -> str:
        """Names the question, as one of a list of a tenant, without showing it."""
        said = json.dumps([*of, asdict(self)], default=str)
        return hashlib.sha256(said.encode()).hexdigest()[:16]


def first_entry(document: Document) -> Document:
    """The entry of an application of which nobody has said anything yet, from the document that is stored of it."""
    view = ApplicationView(
        application_id=uuid.UUID(document["_id"]),
        status=Status.RECEIVED,
        revision=document["revision"],
        mode=document["mode"],
        door=document["door"],
        upstream=document["upstream"],
        received_at=document["received"].astimezone(dt.UTC),
        references=tuple(Reference(**reference) for reference in document["references"]),
    )
    return entry_of_application(view, document["tenant"])


def entry_of_application(view: ApplicationView, tenant: str) -> Document:
    changed = max([view.received_at, *(happened.time for happened in view.timeline)])
    at = [_at(each) for each in view.opportunities]
    return _entry(str(view.application_id), view, tenant, view.status, changed, at, {"revision": view.revision})


def entries_of_opportunities(view: ApplicationView, tenant: str) -> list[Document]:
    return [_entry_of_opportunity(view, each, tenant) for each in view.opportunities]


def stamp_of(time: dt.datetime) -> str:
    """A time so that texts sort as times do."""
    return f"{max(0, (time - _EPOCH) // dt.timedelta(milliseconds=1)):014d}"


def _entry_of_opportunity(view: ApplicationView, of: OpportunityView, tenant: str) -> Document:
    times = [happened.time for happened in view.timeline if happened.opportunity_id == of.opportunity_id]
    more = {
        "partner": of.partner,
        "kind": of.kind,
        "credential": of.credential,
        "partner_id": of.partner_id,
        "since": _whole(of.status_since),
        "observed": _whole(of.observed_at),
        "origin": _origin(of),
    }
    changed = max(times) if times else of.status_since
    entry = _entry(str(of.opportunity_id), view, tenant, of.status, changed, [_at(of)], more)
    return entry | {"keys": sorted({*entry["keys"], _key(application=str(view.application_id))})}


def _origin(of: OpportunityView) -> Document:
    """Whose word the status is, and its times."""
    times = {name: getattr(of, name) for name in ("partner_time", "status_received_at", "next_check_at")}
    return {"source": of.source} | {name: _whole(time) for name, time in times.items() if time is not None}


def _entry(
    id: str,
    view: ApplicationView,
    tenant: str,
    status: Status,
    changed: dt.datetime,
    at: Sequence[Document],
    more: Document,
) -> Document:
    """`place` and `moved` are where the entry stands in the order of receipt and in that of change."""
    return {
        "_id": id,
        "form": FORM,
        "application": str(view.application_id),
        "tenant": tenant,
        "mode": view.mode,
        "status": status.value,
        "received": _whole(view.received_at),
        "changed": _whole(changed),
        "references": [reference.model_dump() for reference in view.references],
        "at": list(at),
        "place": stamp_of(view.received_at) + id,
        "moved": stamp_of(changed) + id,
        "keys": sorted(_keys(status, at, view.references)),
        **more,
    }


def _keys(status: Status, at: Iterable[Document], references: Iterable[Reference]) -> set[str]:
    broad: list[dict[str, Any]] = [{}, *({"system": reference.system} for reference in references)]
    keys = set()
    for each in at:
        partner, credential, partner_id = each["partner"], each["credential"], each["partner_id"]
        broad += [{"partner": partner}, {"credential": credential}, {"partner": partner, "credential": credential}]
        keys |= {_key(partner_id=partner_id)} if partner_id else set()
    for reference in references:
        keys |= {_key(reference=reference.value), _key(reference=reference.value, system=reference.system)}
    for each in broad:
        keys |= {_key(**each), _key(**each, status=status)}
    return keys


@lru_cache(maxsize=8192)  # partners, credentials and statuses are few
def _key(**named: str | None) -> str:
    return urlencode(sorted(_stated(**named).items()))


def _stated(**named: Any) -> dict[str, Any]:
    return {name: value for name, value in named.items() if value is not None}


def _within(named: dict[str, str | None]) -> Document | None:
    stated = _stated(**named)
    return {"$elemMatch": stated} if stated else None


def _at(of: OpportunityView) -> Document:
    return {"partner": of.partner, "credential": of.credential, "partner_id": of.partner_id}


def _whole(time: dt.datetime) -> dt.datetime:
    """Cut to milliseconds, as MongoDB keeps it, so that what is read compares equal to what was written."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
