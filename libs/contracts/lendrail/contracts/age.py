"""How old what we show is. `ageSeconds` of a status, in every view and list, counts from when it was last known to be
so: somebody looked, or was told. Where a view does not hear of looks that bring nothing new, that is `observedAt`.
"""

from __future__ import annotations

import datetime as dt


def age_seconds(known_at: dt.datetime, now: dt.datetime) -> int:
    """Whole seconds. Not below zero: clocks differ."""
    return max(0, int((now - known_at).total_seconds()))
