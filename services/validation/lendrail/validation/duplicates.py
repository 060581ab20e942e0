"""Finds the recent application for the same wish.

Two replicas that validate twins within the same few milliseconds may pass both; a partner's own check for duplicates
still stands behind this one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from lendrail.contracts.application import Application
from lendrail.runtime.fingerprint import fingerprints
from lendrail.validation.store import Reports


@dataclass(frozen=True, slots=True)
class Wish:
    """One application as far as duplicates are concerned."""

    application_id: str
    fingerprints: tuple[str, ...]
    received_at: dt.datetime


@dataclass(slots=True)
class Seen:
    """Wishes that were stored before, and those of this batch as they are found sound: by fingerprint, who and when."""

    window: dt.timedelta
    known: dict[str, dict[str, dt.datetime]] = field(default_factory=dict)
    _of: dict[str, set[str]] = field(init=False, default_factory=dict)
    """The fingerprints of each application."""

    def __post_init__(self) -> None:
        for mark, stated in self.known.items():
            for application_id in stated:
                self._of.setdefault(application_id, set()).add(mark)

    def earlier(self, wish: Wish) -> str | None:
        """The application that asked for the same within the window."""
        since = wish.received_at - self.window
        for each in wish.fingerprints:
            for application_id, received_at in self.known.get(each, {}).items():
                if application_id != wish.application_id and received_at >= since:
                    return application_id
        return None

    def add(self, wish: Wish) -> None:
        """This is what its application wishes now; what it wished before counts no more."""
        for mark in self._of.pop(wish.application_id, ()):
            del self.known[mark][wish.application_id]
        for mark in wish.fingerprints:
            self.known.setdefault(mark, {})[wish.application_id] = wish.received_at
        self._of[wish.application_id] = set(wish.fingerprints)


class Duplicates:
    def __init__(self, reports: Reports, key: bytes, window: dt.timedelta) -> None:
        self._reports, self._key, self._window = reports, key, window

    def wish(
        self, application_id: str, tenant_id: str, application: Application | None, received_at: dt.datetime
    ) -> Wish:
        marks = fingerprints(self._key, tenant_id, application) if application is not None and self._window else ()
        return Wish(application_id, marks, received_at)

    async def seen(self, wishes: Sequence[Wish]) -> Seen:
        """What is stored about these wishes, in one query."""
        since = min((wish.received_at for wish in wishes), default=dt.datetime.now(dt.UTC)) - self._window
        marks = (mark for wish in wishes for mark in wish.fingerprints)
        return Seen(self._window, await self._reports.same_wishes(marks, since))
