"""Which look is worth most, and what a budget of looks buys. Pure; times in seconds.

*Staleness* is how long what we show has been wrong: since the first change at the partner that we have not seen. It is
not the age of what we show: a deal that stands still is old and not stale. If a deal changes `rate` times a second, a
look after `gap` seconds without one ends an expected staleness, and what it saves against looking at the same deal a
little later, per look, is the integral of t * P(changed within t) from 0 to `gap`. Whoever always takes the look with
the largest one keeps the mean staleness least (the index of Whittle for this cost); where all rates are the same, that
is the oldest first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

KEPT = 0.5
"""How often a promised time is believed to be kept."""
WAITING = 4.0
"""So much more a look is worth where somebody asked for the deal lately."""
SMALL = 1e-3
"""Below it a series is more exact than a difference of numbers that are nearly the same."""
STEPS = 60
"""Halvings of an interval: more than a float can tell apart."""
DAILY = 1 / 86_400.0


def worth(rate: float, gap: float, promised: Iterable[float] = (), waiting: bool = False) -> float:
    """Of a look now; `promised`: how long after the newest look the partner was to be ready, where that is past."""
    found = index(rate, gap)
    kept = min((each for each in promised if 0 <= each < gap), default=None)
    if kept is not None:
        found += KEPT * (_unchanged(rate, gap) - _unchanged(rate, kept))
    return found * (WAITING if waiting else 1.0)


def index(rate: float, gap: float) -> float:
    """The integral of t * (1 - exp(-rate * t)) from 0 to `gap`."""
    expected = rate * gap
    if expected < SMALL:
        return gap * gap * (expected / 3 - expected * expected / 8)
    return gap * gap / 2 - _unchanged(rate, gap)


def _unchanged(rate: float, gap: float) -> float:
    """The integral of t * exp(-rate * t) from 0 to `gap`."""
    expected = rate * gap
    if expected < SMALL:
        return gap * gap * (1 / 2 - expected / 3)
    return float((1 - math.exp(-expected) * (1 + expected)) / (rate * rate))


def staleness(rate: float, period: float) -> float:
    """The mean staleness of a deal that is looked at every `period` seconds."""
    expected = rate * period
    if expected < SMALL:
        return period * (expected / 6 - expected * expected / 24)
    return period / 2 - 1 / rate - math.expm1(-expected) / (rate * expected)


@dataclass(frozen=True, slots=True)
class Group:
    """So many deals that change as often as each other and are to be looked at every `every` seconds."""

    count: int
    rate: float
    every: float


@dataclass(frozen=True, slots=True)
class Bought:
    """Mean staleness of all deals, in seconds."""

    wanted: float
    """If each look came when it is due."""
    planned: float
    """With the budget as it is, spent on the looks that are worth most."""
    in_turn: float
    """With the same budget, each deal in its turn."""


def needed(groups: Iterable[Group]) -> float:
    """Looks per second."""
    return sum(each.count / each.every for each in groups)


def bought(groups: Sequence[Group], budget: float | None) -> Bought | None:
    """What `budget` looks per second buy, None being a budget without limit. None where there is nothing to look at."""
    if not sum(each.count for each in groups):
        return None
    every = [each.every for each in groups]
    if budget is None or needed(groups) <= budget:
        wanted = _mean(groups, every)
        return Bought(wanted, wanted, wanted)
    return Bought(_mean(groups, every), _mean(groups, _spent(groups, budget, _of_worth)),
                  _mean(groups, _spent(groups, budget, _in_turn)))  # fmt: skip


def _mean(groups: Sequence[Group], periods: Sequence[float]) -> float:
    total = sum(each.count * staleness(each.rate, period) for each, period in zip(groups, periods, strict=True))
    return total / sum(each.count for each in groups)


def _spent(groups: Sequence[Group], budget: float, period: Callable[[Group, float], float]) -> list[float]:
    """The periods at which all looks together take the budget; `period` tells that of a group, if a deal that changes
    daily were looked at after a gap of so many seconds.
    """
    low, high = 0.0, max(sum(each.count for each in groups) / budget, 1.0)
    while _taken(groups, high, period) > budget:
        high *= 2
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _taken(groups, middle, period) > budget else (low, middle)
    return [period(each, high) for each in groups]


def _taken(groups: Sequence[Group], gap: float, period: Callable[[Group, float], float]) -> float:
    return sum(each.count / period(each, gap) for each in groups)


def _in_turn(group: Group, gap: float) -> float:
    return max(group.every, gap)


def _of_worth(group: Group, gap: float) -> float:
    """When a look is worth as much as one at a deal that changes daily after `gap`."""
    wanted = index(DAILY, gap)
    low, high = 0.0, gap
    while index(group.rate, high) < wanted:
        low, high = high, high * 2
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if index(group.rate, middle) < wanted else (low, middle)
    return max(group.every, high)
