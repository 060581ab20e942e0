"""What made a version, and how long its word was on the way, stretch by stretch. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import pairwise

from lendrail.contracts.status_updated import Cause, Hop
from lendrail.status.folding.observation import Observation, State

_MILLISECOND = dt.timedelta(milliseconds=1)


def cause(state: State, fresh: Sequence[Observation], told: dt.datetime) -> Cause | None:
    """Of what was heard anew the word that the state rests on, else the newest; None where nothing was heard, and only
    what we make of it has changed.
    """
    if not fresh:
        return None
    ruling = [each for each in fresh if (each.source, each.at) == (state.source, state.observed_at)]
    made_it = max(ruling or fresh, key=lambda each: each.place)
    return Cause(
        channel=made_it.source, event=made_it.id, partner_event=made_it.partner_event, hops=tuple(_hops(made_it, told))
    )


def _hops(heard: Observation, told: dt.datetime) -> Iterator[Hop]:
    """Clocks of ours that differ by a little give nought. A partner's clock that runs ahead of ours tells nothing."""
    moments = [
        ("partner", heard.partner_time),
        ("received", heard.reached_at),
        ("asked", heard.looked_at),
        ("heard", heard.received_at),
        ("told", told),
    ]
    known = [(name, at) for name, at in moments if at is not None]
    if known[0][0] == "partner" and known[0][1] > known[1][1]:
        del known[0]
    for (begins, since), (ends, until) in pairwise(known):
        yield Hop(begins=begins, ends=ends, milliseconds=max((until - since) // _MILLISECOND, 0))
