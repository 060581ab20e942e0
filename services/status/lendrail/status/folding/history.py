"""What was true, and what we knew, at a time that has passed. Pure.

Two times, each of its own: `asOf` asks what held at the partner at that time, by all that we know now; `knownAt` asks
what we showed at that time, true or not. Both together: what we then took for true of the earlier time.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lendrail.contracts.event import decode
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.runtime.http import Problem
from lendrail.runtime.mongo import Document
from lendrail.runtime.parameters import refuse_others
from lendrail.runtime.vault import Key
from lendrail.status.folding.observation import Observation, State
from lendrail.status.folding.written import told_at

AS_OF, KNOWN_AT = "asOf", "knownAt"
RFC_3339 = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
AHEAD = dt.timedelta(minutes=1)
"""So far the clock of who asks may run ahead of ours."""


@dataclass(frozen=True, slots=True)
class Moments:
    """What somebody asks for; None: now."""

    as_of: dt.datetime | None = None
    known_at: dt.datetime | None = None

    @property
    def are_now(self) -> bool:
        return self.as_of is None and self.known_at is None

    @property
    def shown(self) -> dict[str, str]:
        named = ((AS_OF, self.as_of), (KNOWN_AT, self.known_at))
        return {name: at.isoformat().replace("+00:00", "Z") for name, at in named if at is not None}


def moments(asked: Iterable[tuple[str, str]], now: dt.datetime) -> Moments:
    """From the parameters of a request. Raises `Problem` 400 or 422 that says what to change."""
    asked = list(asked)
    refuse_others((name for name, _ in asked), (AS_OF, KNOWN_AT))
    return Moments(*(_moment(name, [text for each, text in asked if each == name], now) for name in (AS_OF, KNOWN_AT)))


def _moment(name: str, texts: Sequence[str], now: dt.datetime) -> dt.datetime | None:
    if not texts:
        return None
    if len(texts) > 1:
        raise Problem(400, "time-invalid", f"State {name} once.")
    try:
        if not re.fullmatch(RFC_3339, texts[0]):
            raise ValueError
        at = dt.datetime.fromisoformat(texts[0].upper()).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        detail = f"{name} must be a time with its zone as in RFC 3339, such as 2026-03-02T11:00:00Z; write + as %2B."
        raise Problem(400, "time-invalid", detail) from None
    if at > now + AHEAD:
        raise Problem(400, "time-invalid", f"{name} must be a time that has passed; leave it out for now.")
    return at


def shown_at(document: Document, key: Key, at: dt.datetime) -> StatusUpdated | None:
    """The version that was told last by then, exactly as it was told: also where a rule, or the meaning of a word, is
    another one today.
    """
    told = [record for record in document["outbox"] if told_at(record) <= at]
    return decode(StatusUpdated, bytes(told[-1]["value"]), key) if told else None


def state_of(update: StatusUpdated) -> State:
    """The state that this version told."""
    return State(**{name: getattr(update, name) for name in State.model_fields})


def heard_by(observations: Iterable[Observation], asked: Moments) -> list[Observation]:
    """What is of that time or older, and was stored by the time of which it is asked what we knew."""
    return [
        each
        for each in observations
        if (asked.as_of is None or each.at <= asked.as_of)
        and (asked.known_at is None or (each.stored_at or each.received_at) <= asked.known_at)
    ]
