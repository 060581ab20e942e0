"""What a person set over the partner's words: a pin stands above every layer of the fold. Pure.

A correction is a decision like others and rests in `decided.py`; what the partner's words alone come to is told beside
both, so that nobody mistakes a person's word for the partner's.
"""

from __future__ import annotations

from collections.abc import Iterable

from lendrail.contracts.status_updated import Pin
from lendrail.contracts.terms import Report, Status
from lendrail.status.folding.decided import FINAL, Layer, without_outdated
from lendrail.status.folding.observation import Corrected, Observation, Pinned, Unpinned

WAIT = ("next_check_at", "unknown_since", "plan")
"""Fields of a state that waits for something of ours."""


def active_pin(heard: Iterable[Observation], words: Iterable[tuple[Observation, Report]]) -> Observation | None:
    """The newest pin that was not taken off, by a person, by its time, or by the word of the partner that it waits for.
    Both are in order.
    """
    told = {each.id: report.status for each, report in words}
    found: Observation | None = None
    for each in heard:
        if isinstance(each.said, Pinned):
            found = each
        elif isinstance(each.said, Unpinned) or (found is not None and _ends(found, told.get(each.id))):
            found = None
    return found


def _ends(pin: Observation, word: Status | None) -> bool:
    return isinstance(pin.said, Pinned) and word in pin.said.until_partner_says


def held(layer: Layer, pin: Observation) -> Layer:
    """What a person holds, over what was there otherwise."""
    assert isinstance(pin.said, Pinned)
    status = pin.said.status
    wait = dict.fromkeys(WAIT) if status in FINAL else {}
    return Layer(pin, without_outdated(layer.fields, status) | wait | {"status": status})


def pin_of(pin: Observation) -> Pin:
    """As it is told."""
    assert isinstance(pin.said, Pinned)
    return Pin(since=pin.at, until=pin.said.until, until_partner_says=pin.said.until_partner_says)


def without_corrections(heard: Iterable[Observation]) -> list[Observation]:
    return [each for each in heard if not isinstance(each.said, Corrected)]
