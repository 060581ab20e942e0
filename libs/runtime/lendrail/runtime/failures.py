"""Three kinds of failure, and what each one knows to do.

- `Outage`: a store of ours is away. Pace, then let Kafka hand the same records out again.
- `Malformed` (in contracts): this record can never be read. Dead letter, go on.
- `Defect`: our own code failed on a record. Dead letter, go on; too many in a minute stop the consumer, loudly.
"""

from __future__ import annotations

import time
from collections import deque

from lendrail.runtime.mongo import OUTAGES

Outage = OUTAGES


class TooManyDefects(Exception):
    """Our code fails on record after record: going on would empty the topic into the dead letters."""


class DefectMeter:
    """Counts defects in a sliding minute."""

    def __init__(self, limit: int = 20, seconds: float = 60.0) -> None:
        self._limit, self._seconds = limit, seconds
        self._times: deque[float] = deque()
        self.tripped = False

    def count(self) -> None:
        """Raises `TooManyDefects` when this one was one too many."""
        now = time.monotonic()
        self._times.append(now)
        while self._times[0] < now - self._seconds:
            self._times.popleft()
        if len(self._times) > self._limit:
            self.tripped = True
            raise TooManyDefects
