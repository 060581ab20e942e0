"""Whether two channels tell different things of one deal, in a way that no order in time explains. Pure.

A partner that pushes, answers, lists and sends files says the same thing in several voices. Of each channel its newest
word counts. Two words that differ are explained where one can have come before the other and a deal goes from that one
to the other. It decides nothing: the fold does; this is shown to people.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from lendrail.contracts.terms import Status
from lendrail.status.folding.decided import FINAL, REOPENED
from lendrail.status.folding.observation import AcceptReported, Observation

Channel = Literal["ack", "webhook", "look", "feed", "csv", "person"]
CHANNELS: dict[str, Channel] = {
    "ack": "ack",
    "webhook": "webhook",
    "fetch": "look",
    "poll": "look",
    "feed": "feed",
    "csv": "csv",
    "person": "person",
}
TOLERANCE = dt.timedelta(minutes=5)
"""So far two clocks may be apart, and so long a partner's own data may lag behind its call."""
FLAG = "channels-disagree"
_STAGE = {
    Status.SUBMITTED: 1,
    Status.IN_REVIEW: 2,
    Status.REFERRED: 2,
    Status.APPROVED: 3,
    Status.ACCEPTED: 3,
}
"""How far a deal is. That a partner still calls approved what was accepted takes nothing back."""


@dataclass(frozen=True, slots=True)
class Word:
    """What one channel said last. It held from `since` to `until`: for a look until it was made, whatever time the
    partner states; for all else at one moment.
    """

    channel: Channel
    status: Status
    since: dt.datetime
    until: dt.datetime
    received_at: dt.datetime
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two sides; the first is the one that began earlier."""

    sides: tuple[Word, Word]

    @property
    def since(self) -> dt.datetime:
        """When the second word was heard."""
        return max(each.received_at for each in self.sides)

    @property
    def flag(self) -> str:
        """Without its times: that a side says the same again is no news."""
        return f"{FLAG}:" + ":".join(sorted(f"{each.channel}-{each.status}" for each in self.sides))


def disagreements(heard: Iterable[Observation], tolerance: dt.timedelta = TOLERANCE) -> tuple[Disagreement, ...]:
    """All pairs of channels that disagree. `heard` is what counts, with mapped words read, in its order."""
    words = sorted(newest(heard).values(), key=lambda word: (word.since, word.channel))
    return tuple(Disagreement(pair) for pair in combinations(words, 2) if not explained(*pair, tolerance))


def newest(heard: Iterable[Observation]) -> dict[Channel, Word]:
    """The last word of each channel that has a status."""
    found: dict[Channel, Word] = {}
    for each in heard:
        word = _word(each)
        if word is not None:
            found[word.channel] = word
    return found


def explained(one: Word, other: Word, tolerance: dt.timedelta = TOLERANCE) -> bool:
    """Whether they say the same, or one may have come before the other and leads to it."""
    if one.status == other.status:
        return True
    orders = ((one, other), (other, one))
    return any(_may_precede(a, b, tolerance) and leads_to(a.status, b.status) for a, b in orders)


def leads_to(earlier: Status, later: Status) -> bool:
    """Whether deals go this way. A question may come at any time; what has ended goes on in listed cases only."""
    if earlier in FINAL:
        return (earlier, later) in REOPENED
    if later in FINAL or Status.INFO_REQUIRED in (earlier, later):
        return True
    return _STAGE.get(later, 0) >= _STAGE.get(earlier, 0)


def _may_precede(earlier: Word, later: Word, tolerance: dt.timedelta) -> bool:
    return earlier.until <= later.since + tolerance


def _word(each: Observation) -> Word | None:
    channel, said = CHANNELS.get(each.source), each.said
    if channel is None:
        return None
    report = getattr(said, "report", None)
    if report is not None:
        status, words = report.status, report.words
    else:
        # what an operator set has the partner's word beside it for as long as it counts, and counts for nothing later
        status, words = Status.ACCEPTED if isinstance(said, AcceptReported) else None, None
    if status is None:
        return None
    since = each.partner_time or each.looked_at or each.at
    until = max(since, each.looked_at or since)
    return Word(channel, status, min(since, each.received_at), min(until, each.received_at), each.received_at, words)
