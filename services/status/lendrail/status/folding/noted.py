"""What stands beside an opportunity's state so that people's lists find it: made anew with every fold. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from lendrail.status.folding.disagreement import FLAG, Disagreement, Word
from lendrail.status.folding.fold import disagreeing
from lendrail.status.folding.observation import Observation
from lendrail.status.folding.words import Words, held

HELD, UNMAPPED, DISAGREEMENTS = "held", "unmapped", "disagreements"
NOTED = (HELD, UNMAPPED, DISAGREEMENTS)


def noted(
    observations: Sequence[Observation], words: Words, before: dict[str, Any], flags: Sequence[str]
) -> dict[str, Any]:
    """The fields that differ from nothing, and those that have to become empty: `before` is the document as it was,
    `flags` are those of the state.
    """
    found = held(observations)
    disagree = any(each.startswith(FLAG) for each in flags)
    fields: dict[str, list[Any]] = {
        HELD: sorted(found),
        UNMAPPED: [{"word": word, "since": _stored(found[word])} for word in sorted(found) if word not in words],
        DISAGREEMENTS: [_kept(each) for each in disagreeing(observations, words)] if disagree else [],
    }
    return {name: value for name, value in fields.items() if value or before.get(name)}


def as_noted(document: dict[str, Any]) -> dict[str, Any]:
    """The same fields of a document as it rests."""
    return {name: document[name] for name in NOTED if document.get(name)}


def _kept(found: Disagreement) -> dict[str, Any]:
    return {"since": _stored(found.since), "sides": [_side(each) for each in found.sides]}


def _side(word: Word) -> dict[str, Any]:
    times = {"at": _stored(word.since), "received_at": _stored(word.received_at)}
    return {"channel": word.channel, "status": word.status.value, "words": word.words} | times


def told(pair: dict[str, Any]) -> dict[str, Any]:
    """A disagreement as people see it: both sides, and since when."""
    return {"since": pair["since"], "sides": [_told(each) for each in pair["sides"]]}


def _told(side: dict[str, Any]) -> dict[str, Any]:
    shown = {"channel": side["channel"], "status": side["status"], "words": side.get("words")}
    shown |= {"at": side["at"], "receivedAt": side["received_at"]}
    return {name: value for name, value in shown.items() if value}


def _stored(time: dt.datetime) -> dt.datetime:
    """As the store keeps it."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
