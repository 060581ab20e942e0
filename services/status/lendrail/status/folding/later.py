"""How new the partner's own words are proven to be. Pure.

What was said after a moment is found without going through all words again, so that a fold stays linear.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable

from lendrail.contracts.terms import Status
from lendrail.status.folding.observation import LOOKS, Answered, Observation, Reported


class Later:
    """The words of the partner, each at its proven time: that of a look which began then, or one that it states."""

    def __init__(self, heard: Iterable[Observation]) -> None:
        self._words: list[tuple[dt.datetime, Status | None]] = []
        self._newest: dict[Status, dt.datetime] = {}
        for each in heard:
            if isinstance(each.said, Reported):
                self._add(_word_of(each), each.said.report.status)

    def _add(self, moment: dt.datetime, status: Status | None) -> None:
        self._words.append((moment, status))
        if status is not None:
            self._newest[status] = max(moment, self._newest.get(status, moment))

    def has(self, statuses: Collection[Status], moment: dt.datetime) -> bool:
        """Whether it said one of these after `moment`."""
        return any(self._newest[each] > moment for each in statuses if each in self._newest)

    def last(self, statuses: Collection[Status], moment: dt.datetime) -> Status | None:
        """The last of these that it said after `moment`."""
        return next((status for at, status in reversed(self._words) if at > moment and status in statuses), None)


def done_at(answer: Observation) -> dt.datetime:
    """When this answer of the partner was known to us."""
    said = answer.said
    return (said.done_at if isinstance(said, Answered) else None) or answer.at


def _word_of(each: Observation) -> dt.datetime:
    """A call that states no time may be an old one that came again."""
    if each.source in LOOKS:
        return each.looked_at or each.at
    return each.partner_time or dt.datetime.min.replace(tzinfo=dt.UTC)
