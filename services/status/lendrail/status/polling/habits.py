"""What partners usually do, measured from what we heard of them: how long deals stay in a stage, how often a partner
calls. Pure: numbers in, numbers out.

A stage has a life table: for each age, how many deals left it at that age and how many seconds of deals were watched
there. Deals that are still in it count for as long as they were watched, so a partner that never answers does not look
fast. Tables add up. What was seen seldom leans on the whole stage, and a stage on what is believed of any.
"""

from __future__ import annotations

import datetime as dt
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lendrail.contracts.terms import Status
from lendrail.status.folding.decided import FINAL
from lendrail.status.folding.followed import TAKEN

EDGES = tuple(60.0 * 2**power for power in range(18))
"""Ages in seconds at which one part of a life table ends and the next begins: from a minute to 91 days."""
USUAL_SECONDS = 2 * 86_400.0
"""How long a stage lasts where nothing is known and nothing is published."""
BELIEF = 1.0
"""How many deals' worth of watching a belief outweighs."""


@dataclass(frozen=True, slots=True)
class Spell:
    """A deal that stood so, from when, and until it changed or was last seen."""

    status: Status
    begin: dt.datetime
    end: dt.datetime
    left: bool

    @property
    def seconds(self) -> float:
        return max((self.end - self.begin).total_seconds(), 0.0)


@dataclass(frozen=True)
class Stage:
    """The life table of one stage at one partner."""

    exits: tuple[int, ...] = (0,) * (len(EDGES) + 1)
    seconds: tuple[float, ...] = (0.0,) * (len(EDGES) + 1)

    def __add__(self, other: Stage) -> Stage:
        return Stage(
            tuple(a + b for a, b in zip(self.exits, other.exits, strict=True)),
            tuple(a + b for a, b in zip(self.seconds, other.seconds, strict=True)),
        )

    def rate(self, usual: float = USUAL_SECONDS) -> float:
        """Changes per second of a deal of any age; `usual` is what is believed where nothing was seen."""
        return (sum(self.exits) + BELIEF) / (sum(self.seconds) + BELIEF * usual)

    def changes(self, begin: float, end: float, usual: float = USUAL_SECONDS) -> float:
        """Changes to be expected of a deal between two ages, if it has not changed until the first."""
        whole, expected = self.rate(usual), 0.0
        for part in range(bisect_right(EDGES, begin), len(EDGES) + 1):
            low, high = EDGES[part - 1] if part else 0.0, EDGES[part] if part < len(EDGES) else math.inf
            here = (self.exits[part] + BELIEF) / (self.seconds[part] + BELIEF / whole)
            expected += here * max(min(end, high) - max(begin, low), 0.0)
            if end <= high:
                break
        return expected


def table(spells: Iterable[Spell]) -> dict[Status, Stage]:
    """The life table of each stage that deals stood in; final ones have none."""
    exits: dict[Status, Counter[int]] = {}
    watched: dict[Status, list[float]] = {}
    for spell in spells:
        if spell.status in FINAL:
            continue
        parts = watched.setdefault(spell.status, [0.0] * (len(EDGES) + 1))
        left = exits.setdefault(spell.status, Counter())
        last = bisect_right(EDGES, spell.seconds)
        for part in range(last + 1):
            low = EDGES[part - 1] if part else 0.0
            parts[part] += (spell.seconds if part == last else EDGES[part]) - low
        left[last] += spell.left
    return {
        status: Stage(tuple(exits[status][part] for part in range(len(parts))), tuple(parts))
        for status, parts in watched.items()
    }


def spells(observations: Iterable[Mapping[str, object]], seen_at: dt.datetime | None) -> list[Spell]:
    """What one deal went through by the partner's own words: observations as they are stored, of which nothing sealed
    is read. The last stage is known to have lasted until `seen_at`, the newest look.
    """
    told = sorted(word for each in observations if (word := _word(each)))
    if not told:
        return []
    last = max(told[-1][0], seen_at or told[-1][0])
    turns = [told[0]]
    for at, status in told[1:]:
        if status != turns[-1][1]:
            turns.append((at, status))
    ends = [at for at, _ in turns[1:]]
    done = [Spell(status, at, end, True) for (at, status), end in zip(turns, ends, strict=False)]
    return [*done, Spell(turns[-1][1], turns[-1][0], last, False)]


def _word(stored: Mapping[str, object]) -> tuple[dt.datetime, Status] | None:
    """When the partner said it, and the status that it meant."""
    said = stored.get("said")
    if not isinstance(said, Mapping) or said.get("kind") not in ("reported", "answered"):
        return None
    report = said.get("report")
    status = report.get("status") if isinstance(report, Mapping) else None
    if status is None and said.get("operation") == "create" and said.get("outcome") in TAKEN:
        status = Status.SUBMITTED.value
    return (dt.datetime.fromisoformat(str(stored["at"])), Status(str(status))) if status else None


SLOT_SECONDS = 600
"""Calls of the same ten minutes count as one: partners call in bursts."""
LEAST_SLOTS, LEAST_HOURS = 20, 7 * 24
"""So much of a partner must be known before its silence is believed: a week has a weekend."""
IMPROBABLE = -math.log(0.001)
"""Slots with calls that were to be expected: at so many, none at all comes by chance once in a thousand times."""
Slots = Mapping[int, int]
"""By the hour, counted from 1970: which sixths of it had calls, as bits."""


@dataclass(frozen=True)
class Calls:
    """How one credential is called by its partner. `first` and `last`: hours that the history covers."""

    slots: Slots
    first: int
    last: int
    rates: Mapping[tuple[bool, int], float] = field(init=False)
    """Slots with calls in an hour, by whether it is of a weekend and its place in the day."""

    def __post_init__(self) -> None:
        hours = range(self.first, self.last + 1)
        covered = Counter(map(_kind, hours))
        heard: Counter[tuple[bool, int]] = Counter()
        for hour in hours:
            heard[_kind(hour)] += self.slots.get(hour, 0).bit_count()
        usual = heard.total() / max(len(hours), 1)
        kinds = {_kind(hour) for hour in range(7 * 24)}
        object.__setattr__(self, "rates", {kind: (heard[kind] + usual) / (covered[kind] + 1) for kind in kinds})

    @property
    def known(self) -> bool:
        heard = sum(bits.bit_count() for hour, bits in self.slots.items() if self.first <= hour <= self.last)
        return heard >= LEAST_SLOTS and self.last - self.first + 1 >= LEAST_HOURS

    def expected(self, begin: float, end: float) -> float:
        """Slots with calls to be expected between two times, in seconds since 1970."""
        found, at = 0.0, begin
        while at < end:
            upto = min((at // 3600 + 1) * 3600, end)
            found += self.rates[_kind(int(at // 3600))] * (upto - at) / 3600
            at = upto
        return found


def silent(calls: Calls, heard_until: float, now: float, share: float = 1.0) -> bool:
    """Whether nobody called for longer than chance explains; `share`: how much of the usual number of deals is open."""
    return calls.known and calls.expected(heard_until, now) * min(share, 1.0) >= IMPROBABLE


def _kind(hour: int) -> tuple[bool, int]:
    """1970 began on a Thursday."""
    return (hour // 24 + 3) % 7 >= 5, hour % 24


def slot(moment: dt.datetime) -> tuple[int, int]:
    """The hour of a call, and its bit."""
    seconds = int(moment.timestamp())
    return seconds // 3600, 1 << (seconds % 3600 // SLOT_SECONDS)


def added(one: Mapping[Status, Stage], other: Mapping[Status, Stage]) -> dict[Status, Stage]:
    return {status: one.get(status, Stage()) + other.get(status, Stage()) for status in {*one, *other}}
