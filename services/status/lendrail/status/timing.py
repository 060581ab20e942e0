"""When an opportunity is looked at next, as expressions that MongoDB evaluates: its clock is the only one that counts.

`fetch` of a document: `reason` (hint or sweep) of the next look, `hinted_at`, `seen_at` (when the partner last said
what we show), `quiet` (looks without news in a row), `failures` (in a row), `error`, `not_before` (for hints).
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from typing import Any

from lendrail.partners import PARTNERS
from lendrail.runtime.due import in_seconds
from lendrail.runtime.mongo import Document
from lendrail.status.decided import FINAL
from lendrail.status.observation import LOOKS, UNSENT, AcceptReported, Answered, Observation, Reported, State
from lendrail.status.settings import Settings
from lendrail.status.store import Subject

LONGEST_HINT_WAIT = 300.0
CROSSED = frozenset(f"contradicted:{status}-after-withdrawn" for status in ("approved", "accepted"))
"""A word of the partner that speaks against our withdrawal."""


class Timing:
    """Chooses the times; see `settings.py` for the numbers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def after_event(
        self, subject: Subject, document: Document | None, state: State, fresh: Sequence[Observation]
    ) -> Mapping[str, Any]:
        """After an event: sweeps begin with the partner's id and end with a final state; a hint is always followed.

        Partners that cannot be asked are never due. The partner's own word begins its schedule anew. Where we decided
        something, or hear against it, the partner is asked at once.
        """
        if not readable(subject.partner):
            return {}
        document = document or {}
        fetch = document.get("fetch", {})
        if state.partner_id and _only_partner_knows(state, fresh):
            return {"due": "$$NOW", "fetch.reason": "hint", "fetch.hinted_at": "$$NOW"}
        if "due" in document and fetch.get("reason") == "hint":
            return {}
        if _older_report(fresh, fetch.get("seen_at")):
            return {"due": "$$NOW", "fetch.reason": "sweep"}
        if state.status in FINAL:
            return {"due": "$$REMOVE"}
        moved = document.get("partner_id") not in (None, state.partner_id)
        if not state.partner_id or ("due" in document and not moved and not any(map(_told, fresh))):
            return {}
        first = in_seconds(self._wait(subject.partner, 0))
        return {"due": {"$min": ["$due", first]}, "fetch.reason": "sweep", "fetch.quiet": 0}

    def after_look(self, document: Document, token: str, began: dt.datetime, final: bool, news: bool) -> Document:
        """After a look that began at `began`: a hint that came later leads to one more look at once.

        A hint without news is followed by one more look soon, since it may have overtaken the partner's own data; then
        hints have to wait, each time longer, so that a forged flood does not eat the credential's budget.
        """
        fetch = document.get("fetch", {})
        hinted = fetch.get("reason") == "hint"
        quiet = 0 if news else fetch.get("quiet", 0) + 1
        wait = self._settings.recheck_seconds if hinted and not news else self._wait(document["partner"], quiet)
        patience = min(0.5 * 2**quiet, LONGEST_HINT_WAIT)
        return released(token) | {
            "due": _if_hinted(
                began, {"$max": ["$$NOW", "$fetch.not_before"]}, "$$REMOVE" if final else in_seconds(wait)
            ),
            "fetch.reason": _if_hinted(began, "hint", "sweep"),
            "fetch.seen_at": began,
            "fetch.quiet": quiet,
            "fetch.not_before": "$$REMOVE" if news or not hinted else in_seconds(patience),
            "fetch.failures": 0,
            "fetch.error": "$$REMOVE",
        }

    def after_failure(
        self, document: Document, token: str, error: str, seconds: float | None, reply: Document | None = None
    ) -> Document:
        """After a look that told nothing; the same look comes again. `seconds`: what the partner asked for. `reply`:
        what nobody could read, kept until the next of its kind.
        """
        failures = document.get("fetch", {}).get("failures", 0)
        schedule = self._settings.retry_seconds
        wait = schedule[min(failures, len(schedule) - 1)] if seconds is None else seconds
        stored = {"fetch.kept": {"$mergeObjects": [{"$literal": reply}, {"at": "$$NOW"}]}} if reply else {}
        return (
            released(token)
            | stored
            | {
                "due": in_seconds(wait * random.uniform(1, 1.25)),
                "fetch.failures": failures + 1,
                "fetch.error": {"$literal": error},
            }
        )

    def put_back(self, token: str, error: str, until: dt.datetime | None = None) -> Document:
        """A look that was not made, by no fault of its own: the same comes again, at once or at `until`."""
        due = "$due" if until is None else {"$literal": until}
        return released(token) | {"due": due, "fetch.error": {"$literal": error}}

    def _wait(self, partner: str | None, quiet: int) -> float:
        """Seconds to the next look, spread over a tenth: by the partner's schedule; without one slower and slower, up
        to eight times, where four looks in a row brought nothing.
        """
        known = PARTNERS.get(partner or "")
        own = known.poll if known else ()
        usual = self._settings.sweep_seconds * 2.0 ** min(max(quiet - 3, 0), 3)
        wait = own[min(quiet, len(own) - 1)] if own else usual
        longest = self._settings.longest_wait_seconds
        return min(wait, longest if longest is not None else wait) * random.uniform(1, 1.1)


def readable(partner: str | None) -> bool:
    """Whether this partner can be asked at all; some only call us."""
    known = PARTNERS.get(partner or "")
    return known is not None and known.read is not None and known.report is not None


def hinted(hint: Document, *, due: bool) -> list[Document]:
    """The stages that note a hint and, where `due`, have it followed."""
    hints = {"$concatArrays": [{"$ifNull": ["$hints", []]}, [{**{k: {"$literal": v} for k, v in hint.items()}}]]}
    noted = {"hints": {"$slice": [hints, -20]}, "rev": {"$add": ["$rev", 1]}}
    followed = {
        "due": {"$max": ["$$NOW", "$fetch.not_before"]},
        "fetch.reason": "hint",
        "fetch.hinted_at": "$$NOW",
    }
    return [{"$set": noted | (followed if due else {})}]


def released(token: str) -> Document:
    """Give the lease back, if it is still ours."""
    return {"lease": {"$cond": [{"$eq": ["$lease.token", token]}, "$$REMOVE", "$lease"]}}


def _if_hinted(began: dt.datetime, then: Any, otherwise: Any) -> Document:
    return {"$cond": [{"$gt": ["$fetch.hinted_at", began]}, then, otherwise]}


def _told(observation: Observation) -> bool:
    """Whether the partner itself says something of the opportunity."""
    said = observation.said
    return isinstance(said, Reported) or (isinstance(said, Answered) and said.report is not None)


def _only_partner_knows(state: State, fresh: Sequence[Observation]) -> bool:
    """A withdrawal that it took may have met an approval; a person may be wrong. What it says itself decides."""
    ours = any(_of_ours(each) for each in fresh)
    heard = any(isinstance(each.said, Reported) and each.source not in LOOKS for each in fresh)
    return ours or (heard and not CROSSED.isdisjoint(state.flags))


def _of_ours(observation: Observation) -> bool:
    said = observation.said
    if isinstance(said, Answered):
        took_it = said.outcome == "accepted" and said.reason not in UNSENT
        return said.operation == "withdraw" and took_it and not said.at_registry
    return isinstance(said, AcceptReported)


def _older_report(fresh: Sequence[Observation], seen_at: dt.datetime | None) -> bool:
    """A report that is older than our newest look: look once more instead of guessing which one holds."""
    return seen_at is not None and any(_told(each) and each.at < seen_at for each in fresh)
