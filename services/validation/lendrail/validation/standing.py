"""What validation remembers of an application at a revision, and the report that remembers it. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lendrail.partners import PARTNERS

Document = dict[str, Any]
GAINED = ("fingerprints", "wishedAt", "withdrawn", "counts", "content", "opportunities", "files", "added")
"""What a report holds so only where the revision is sound."""


@dataclass(frozen=True, slots=True)
class Opportunity:
    """A partner that was found able to take the application, under one credential there."""

    partner: str
    credential: str
    gate: str | None = None
    """The credential at the registry that must clear the application first."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an application stands once a revision of it was reported."""

    tenant: str
    received_at: dt.datetime
    """When the application itself was received."""
    content: bool
    """Whether any content of it was found sound: a correction that is refused leaves the one before standing."""
    opportunities: tuple[Opportunity, ...] = ()
    """All that any revision opened; no later one takes them away, since they may be at the partner."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files that were added: id to SHA-256."""
    added: tuple[tuple[str, str | None], ...] = ()
    """Partner and credential of who was added later, able or not, and not withdrawn since."""
    fingerprints: tuple[str, ...] = ()
    """Of the wish as it stands, whether it counts against twins or not."""
    wished_at: dt.datetime | None = None
    """When that wish was stated first."""
    withdrawn: tuple[tuple[str, str | None], ...] = ()
    """Partner and credential of opportunities that somebody withdrew."""

    @property
    def counts(self) -> bool:
        """Whether the wish counts against twins: no longer once it was withdrawn from every lender.

        A partner may refuse a withdrawal; its own check for duplicates stands behind ours.
        """
        lenders = {(each.partner, each.credential) for each in self.opportunities if lends(each.partner)}
        return not lenders or not lenders <= set(self.withdrawn)


def standing(report: Document) -> Standing:
    """What a stored report says. The first revision's is `received_at` where the report names no other."""
    told = {"firstReceivedAt": report["receivedAt"], "content": report["sound"]} | report
    return Standing(
        tenant=report["tenant"],
        received_at=told["firstReceivedAt"],
        content=told["content"],
        opportunities=tuple(Opportunity(*each) for each in report.get("opportunities", ())),
        files={each["id"]: each["sha256"] for each in report.get("files", ())},
        added=_pairs(report.get("added", ())),
        fingerprints=tuple(report.get("fingerprints", ())),
        wished_at=report.get("wishedAt", report["receivedAt"]),
        withdrawn=_pairs(report.get("withdrawn", ())),
    )


def _pairs(stored: Iterable[Iterable[str | None]]) -> tuple[tuple[str, str | None], ...]:
    return tuple((str(partner), credential) for partner, credential in stored)


def remembered(known: Standing) -> Document:
    """How a report holds it; the tenant and the times of receipt it holds in any case."""
    return {
        "content": known.content,
        "opportunities": [[each.partner, each.credential, each.gate] for each in known.opportunities],
        "files": [{"id": name, "sha256": mark} for name, mark in known.files.items()],
        "added": [list(each) for each in known.added],
        "fingerprints": list(known.fingerprints),
        "wishedAt": known.wished_at,
        "withdrawn": [list(each) for each in known.withdrawn],
        "counts": known.counts,
    }


def opened(before: Iterable[Opportunity], fresh: Iterable[Opportunity]) -> tuple[Opportunity, ...]:
    """All opportunities; one that was open already is known anew, with its gate of now."""
    return tuple({(each.partner, each.credential): each for each in (*before, *fresh)}.values())


def lends(partner: str) -> bool:
    return partner not in PARTNERS or PARTNERS[partner].kind == "lender"


@dataclass(frozen=True, slots=True)
class Report:
    """What is stored of a revision: `base` whatever was found, and `gained` instead of it where that is sound."""

    base: Document
    gained: Document

    def stored(self, sound: bool) -> Document:
        return self.base | {"sound": sound} | (self.gained if sound else {})
