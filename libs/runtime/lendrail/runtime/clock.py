"""What time it is: by the store's clock, the one that all replicas of all services have in common.

A process's own clock may be wrong by minutes. If it told when things reached it, the order of events would follow from
whose clock was how wrong; so `Service` looks at the store's clock now and then, and this process counts on from there
with its monotonic clock. Neither an outage of the store nor a jump of the own clock changes it. Until the first look,
and in programs that have no store, it is the own clock.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass

import structlog

log = structlog.get_logger()
WRONG_SECONDS = 2.0
"""By so much a process's own clock must differ that somebody is told."""


@dataclass(frozen=True, slots=True)
class _Look:
    zero: dt.datetime
    """The store's time when the monotonic clock was zero."""
    within: dt.timedelta
    """How far that may be from the truth, either way."""

    def agrees_with(self, other: _Look) -> bool:
        return abs(self.zero - other.zero) <= self.within + other.within


class StoreClock:
    """The store's time, from looks at it."""

    def __init__(self) -> None:
        self._look: _Look | None = None
        self._told = False

    def now(self) -> dt.datetime:
        """Aware, in UTC."""
        if self._look is None:
            return dt.datetime.now(dt.UTC)
        return self._look.zero + dt.timedelta(seconds=time.monotonic())

    def seen(self, store: dt.datetime, began: float, ended: float) -> None:
        """The store told its time between these two moments of the monotonic clock. One that agrees with what is known,
        and tells it no better, changes nothing: so time does not waver.
        """
        half = (ended - began) / 2
        aware = store if store.tzinfo else store.replace(tzinfo=dt.UTC)
        new = _Look(aware - dt.timedelta(seconds=began + half), dt.timedelta(seconds=half, milliseconds=1))
        if self._look is None or not new.agrees_with(self._look) or new.within < self._look.within / 2:
            self._look = new
        self._tell((dt.datetime.now(dt.UTC) - self.now()).total_seconds())

    def _tell(self, ahead: float) -> None:
        wrong = abs(ahead) > WRONG_SECONDS
        if wrong and not self._told:
            log.warning("this process's clock is wrong; the store's is used", seconds_ahead=round(ahead, 1))
        self._told = wrong


STORE = StoreClock()
"""Of this process: it has one store."""


def utc_now() -> dt.datetime:
    """The time, cut to milliseconds as MongoDB keeps them."""
    now = STORE.now()
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
