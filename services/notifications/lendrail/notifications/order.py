"""Which notice of a queue goes next, and when. A queue holds what one recipient is told about one opportunity.

Every version gets one attempt, oldest first. Of those that failed only the newest is repeated: when it arrives, or is
given up, the older ones are superseded, so a recipient that was away hears the truth and not its history.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

Notice = dict[str, Any]

WAITING = "waiting"
SENDING = "sending"
"""A mail whose outcome is not known (yet)."""
DELIVERED = "delivered"
SUPERSEDED = "superseded"
PARKED = "parked"
CANCELLED = "cancelled"
OPEN = (WAITING, SENDING)
FINAL = (DELIVERED, PARKED)


def next_notice(notices: Sequence[Notice]) -> Notice | None:
    """The notice to send now; none when all are told or outdated."""
    newest_final = max((n["version"] for n in notices if n["state"] in FINAL), default=-1)
    sending = [n for n in notices if n["state"] == SENDING]
    waiting = [n for n in notices if n["state"] == WAITING and n["version"] > newest_final]
    untried = [n for n in waiting if not n["tries"]]
    if sending or untried:
        return min(sending or untried, key=_version)
    return max(waiting, key=_version, default=None)


def wait_before(schedule: Sequence[float], tries: int) -> float | None:
    """Seconds until the next attempt after `tries` failed ones, by full jitter; None when the schedule is used up."""
    return random.uniform(0, schedule[tries - 1]) if tries <= len(schedule) else None


def _version(notice: Notice) -> int:
    return int(notice["version"])
