"""Whether an outcome that nobody knows was brought about by a fault, and not by us. Pure.

A *send* is one call that may have changed something at a partner: the proxy saw it (with our reference in it; a mail by
its time, since it is encrypted), or our own record says that its first byte may have left at a certain time. A send is
*touched* when one of these holds, and an opportunity's unknown outcome is *induced* when one of its sends is:

1. The partner's own ledger says that it did not answer this call as it should: a dial or the amount kept the reply
   back, cut it, or made it an error or nonsense.
2. The proxy says that not the whole reply came back, and a toxic struck the call, or the call lasted as long as we
   wait. A client of ours that hangs up early excuses nothing.
3. Submission died or was frozen between the call's first byte and a second after its reply: one second, since the
   outcome is stored in one write, and as much longer as MongoDB was away then. Where it was killed at a label nobody
   saw when, so all the time until it was started again counts; where it was restarted, the seconds that takes.
4. Our record says when the first byte may have left, the proxy saw no call, and submission died, was frozen or had no
   MongoDB within the time of one call from then. The record is written before the first byte, so a process that dies in
   between leaves a send that nobody else can know of.

How many sends were touched at all is counted beside: it says how much the word excuses.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proofs.chaos.shapes import Call, Carried

SENDER, STORE = "submission", "mongo"
WORDLESS = frozenset({"email-lender", "optimum-finance"})
"""Partners whose calls hold no word of ours that a proxy can read; they are told by their times."""
WRITTEN = dt.timedelta(seconds=1)
"""From a reply until what came of it is stored."""
RESTART = dt.timedelta(seconds=6)
SAME = dt.timedelta(milliseconds=50)
"""Between two processes' notes of one moment."""
Span = tuple[dt.datetime, dt.datetime]


@dataclass(frozen=True, kw_only=True)
class Send:
    """One call of an opportunity."""

    partner: str
    began: dt.datetime
    ended: dt.datetime
    seen: Call | None = None
    """What the proxy noted of it; None: our record alone knows of it."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What all sends are held against."""

    deaths: Sequence[Span]
    """When submission died, or may have died, was frozen or restarted."""
    away: Sequence[Span]
    """When it had no MongoDB."""
    deadline: dt.timedelta
    """How long it waits for a partner."""


def evidence(carried: Iterable[Carried], start: dt.datetime, deadline: float) -> Evidence:
    """From the faults that were made, by the run's clock."""
    deaths: list[Span] = []
    away: list[Span] = []
    for each in carried:
        span = start + dt.timedelta(seconds=each.began), start + dt.timedelta(seconds=each.ended)
        if each.fault.target == SENDER:
            deaths += _deaths(each.fault.kind, span)
        elif each.fault.target == STORE:
            away.append(span)
    return Evidence(deaths=deaths, away=away, deadline=dt.timedelta(seconds=deadline))


def _deaths(kind: str, span: Span) -> list[Span]:
    began, ended = span
    if kind == "kill":
        return [(began, began)]
    if kind == "skew":
        return [(began, began + RESTART), (ended, ended + RESTART)]
    return [span] if kind in ("kill-at", "freeze") else []


def touched(send: Send, found: Evidence) -> bool:
    """Whether a fault may have kept us from knowing what came of it; the partner's own note aside."""
    if send.seen is None:
        until = send.began + found.deadline
        return _meets((send.began, until), found.deaths) or _meets((send.began, until), found.away)
    call = send.seen
    if call.outcome != "answered" and (call.toxic is not None or call.ended - call.began >= found.deadline * 0.9):
        return True
    return _meets((call.began, _written(call, found.away)), found.deaths)


def _written(call: Call, away: Iterable[Span]) -> dt.datetime:
    """When what came of it is stored at the latest: an outcome waits for its store."""
    until = call.ended + WRITTEN
    for begin, end in sorted(away):
        until = max(until, end + WRITTEN) if begin <= until and call.ended <= end else until
    return until


def _meets(span: Span, others: Iterable[Span]) -> bool:
    return any(span[0] <= end and begin <= span[1] for begin, end in others)


def sends_of(
    partner: str, words: frozenset[str], stated: Sequence[dt.datetime], calls: Sequence[Call], deadline: dt.timedelta
) -> list[Send]:
    """The sends of one opportunity: `words` are its references and its mark, `stated` the times that our record and the
    partner's give; only those for which the proxy saw no call are sends by themselves.
    """
    seen = [each for each in calls if each.partner == partner and _about(each, words, stated)]
    sends = [Send(partner=partner, began=each.began, ended=each.ended, seen=each) for each in seen]
    unseen = [at for at in stated if not _meets((at, at + deadline), [(each.began, each.ended) for each in seen])]
    return sends + [Send(partner=partner, began=at, ended=at + deadline) for at in unseen]


def _about(call: Call, words: frozenset[str], stated: Iterable[dt.datetime]) -> bool:
    if call.partner in WORDLESS and not call.marks:
        return any(call.began - SAME <= at <= call.ended + SAME for at in stated)
    return not words.isdisjoint(call.marks)
