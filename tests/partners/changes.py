"""Changing one thing of an application or reply."""

from __future__ import annotations

import copy
from typing import Any


def changed(data: Any, **changes: Any) -> Any:
    """A copy with values at places (`__` between steps) replaced; None removes."""
    data = copy.deepcopy(data)
    for path, value in changes.items():
        *way, last = [int(step) if step.isdigit() else step for step in path.split("__")]
        place: Any = data
        for step in way:
            place = place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return data
