"""What validation remembers of an application at a revision, and the report that remembers it. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]
GAINED = ("fingerprints", "content", "opportunities", "files", "added")
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


def standing(report: Document) -> Standing:
    """What a stored report says. The first revision's is `received_at` where the report names no other."""
    told = {"firstReceivedAt": report["receivedAt"], "content": report["sound"]} | report
    return Standing(
        tenant=report["tenant"],
        received_at=told["firstReceivedAt"],
        content=told["content"],
        opportunities=tuple(Opportunity(*each) for each in report.get("opportunities", ())),
        files={each["id"]: each["sha256"] for each in report.get("files", ())},
        added=tuple((partner, credential) for partner, credential in report.get("added", ())),
    )


def opened(before: Iterable[Opportunity], fresh: Iterable[Opportunity]) -> list[list[str | None]]:
    """All opportunities as a report holds them; one that was open already is known anew, with its gate of now."""
    known = {(each.partner, each.credential): each for each in (*before, *fresh)}
    return [[each.partner, each.credential, each.gate] for each in known.values()]


@dataclass(frozen=True, slots=True)
class Report:
    """What is stored of a revision: `base` whatever was found, and `gained` instead of it where that is sound."""

    base: Document
    gained: Document

    def stored(self, sound: bool) -> Document:
        return self.base | {"sound": sound} | (self.gained if sound else {})
