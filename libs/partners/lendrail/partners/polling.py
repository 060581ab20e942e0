"""How often a partner is asked how deals stand: facts of its profile, and what follows from them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lendrail.contracts.terms import Status

DAY = 86_400.0
AGING = ((7 * DAY, 3600.0), (30 * DAY, 6 * 3600.0))
ENDS_AFTER = 120 * DAY


@dataclass(frozen=True, kw_only=True)
class Polling:
    """Times in seconds."""

    waits: tuple[float, ...] = ()
    """Between looks while there is no news, the last one repeats; empty: as the status service is set."""
    stages: Mapping[Status, tuple[float, ...]] = field(default_factory=dict)
    """The same for deals that stand so, where it differs."""
    aging: tuple[tuple[float, float], ...] = AGING
    """(how long we have followed a deal, at least so long between its looks from then on), rising."""
    ends_after: float = ENDS_AFTER
    """So long without news from the partner; then a deal is looked at no more, unless something happens to it."""
    turnaround: Mapping[Status, float] = field(default_factory=dict)
    """Published: how long deals that stand so usually wait for the partner. One look comes when that time is over."""

    def wait(self, status: Status, quiet: int, usual: float) -> float:
        """To the next look after `quiet` looks in a row without news; `usual` is for partners without a schedule, four
        times the same and then slower and slower, up to eight times.
        """
        own = self.stages.get(status) or self.waits
        return own[min(quiet, len(own) - 1)] if own else usual * 2.0 ** min(max(quiet - 3, 0), 3)
