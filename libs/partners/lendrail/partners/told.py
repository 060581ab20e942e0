"""An object of a partner, read field by field. What does not fit its reader is left out and flagged, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

_T = TypeVar("_T")
Reader = Callable[[Any], Any]
"""From what a partner sent to our value; None where it makes no sense."""


@dataclass(frozen=True)
class Told:
    body: Mapping[str, Any]
    flags: list[str] = field(default_factory=list)
    """`unreadable-<name>` for each field that was there and made no sense."""

    @property
    def seen(self) -> tuple[str, ...]:
        """The flags, each once."""
        return tuple(dict.fromkeys(self.flags))

    def read(self, name: str, reader: Callable[[Any], _T | None]) -> _T | None:
        raw = self.body.get(name)
        value = None if raw is None or raw == "" else reader(raw)
        if value is None and raw is not None and raw != "":
            self.flags.append(f"unreadable-{name}")
        return value

    def take(self, rows: Mapping[str, tuple[str, Reader]]) -> dict[str, Any]:
        """Our fields with what theirs say, from rows of (their name, its reader); what is not told is left out."""
        found = {ours: self.read(theirs, reader) for ours, (theirs, reader) in rows.items()}
        return {ours: value for ours, value in found.items() if value is not None}

    def inner(self, name: str) -> Told:
        """The object there, empty where there is none, sharing our flags."""
        return Told(self.read(name, lambda raw: raw if isinstance(raw, dict) else None) or {}, self.flags)

    def list_of(self, name: str) -> list[Told]:
        """The objects of a list, sharing our flags."""
        entries = self.read(name, lambda raw: raw if isinstance(raw, list) else None) or []
        if not all(isinstance(each, dict) for each in entries):
            self.flags.append(f"unreadable-{name}")
        return [Told(each, self.flags) for each in entries if isinstance(each, dict)]
