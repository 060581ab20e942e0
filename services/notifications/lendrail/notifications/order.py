"""Which notice of a queue goes next, and when. A queue holds what one recipient is told about one opportunity.

Every version gets one attempt, oldest first. Of those that failed only the newest is repeated: when it arrives, or is
given up, the older ones are superseded, so a recipient that was away hears the truth and not its history.

A tenant's topic is the history: its queue holds all that is told about one application, and goes in turn. What failed
is repeated until it is told, and what follows waits for it.
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


def in_turn(channel: str) -> bool:
    """Whether a queue of this channel is a history, of which nothing is left out."""
    return channel == "kafka"


def next_notice(notices: Sequence[Notice]) -> Notice | None:
    """The notice to send now; none when all are told or outdated."""
    newest_final = max((n["version"] for n in notices if n["state"] in FINAL), default=-1)
    sending = [n for n in notices if n["state"] == SENDING]
    waiting = [n for n in notices if n["state"] == WAITING and n["version"] > newest_final]
    untried = [n for n in waiting if not n["tries"]]
    if sending or untried:
        return min(sending or untried, key=_version)
    return max(waiting, key=_version, default=None)


def next_in_turn(notices: Sequence[Notice]) -> Notice | None:
    """The first that is not told yet; they stand in the order in which they came."""
    return next((n for n in notices if n["state"] in OPEN), None)


def wait_before(schedule: Sequence[float], tries: int, *, for_ever: bool = False) -> float | None:
    """Seconds until the next attempt after `tries` failed ones, by full jitter. When the schedule is used up: None,
    or its last wait again and again.
    """
    if for_ever:
        tries = min(tries, len(schedule))
    return random.uniform(0, schedule[tries - 1]) if tries <= len(schedule) else None


def _version(notice: Notice) -> int:
    return int(notice["version"])
