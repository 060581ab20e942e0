"""When an opportunity is looked at next, as expressions that MongoDB evaluates: its clock is the only one that counts.

`fetch` of a document: `reason` (hint or sweep) of the next look, `hinted_at`, `seen_at` (when the partner last said
what we show), `quiet` (looks without news in a row), `failures` (in a row), `error`, `not_before` (for hints). Of the
schedule: `first` (followed since), `since` (the status holds since), `every` (seconds of the wait that was chosen),
`promised` (times at which news were announced), `until` (looked at no longer than that without news), `ended` (since
when it is not), `alarmed` (of a registration: when its lenders were told that it is a duplicate).
"""

from __future__ import annotations

import datetime as dt
import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lendrail.contracts.terms import Status
from lendrail.partners import PARTNERS
from lendrail.partners.polling import Polling
from lendrail.runtime.due import in_seconds
from lendrail.runtime.mongo import Document
from lendrail.status.folding.decided import FINAL
from lendrail.status.folding.observation import LOOKS, UNSENT, AcceptReported, Answered, Observation, Reported, State
from lendrail.status.settings import Settings
from lendrail.status.store import Subject, subject_of

LONGEST_HINT_WAIT = 300.0
CROSSED = frozenset(f"contradicted:{status}-after-withdrawn" for status in ("approved", "accepted"))
"""A word of the partner that speaks against our withdrawal."""
HURRY = 4.0
"""So much more often a deal is looked at while its partner's webhooks are silent, but for its shortest wait."""
SPREAD_SECONDS = 600
"""Looks at a promised time begin within so long after it: one day has many closing dates."""
FOREVER = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)
AGE: Document = {
    "$dateDiff": {"startDate": {"$ifNull": ["$fetch.first", "$$NOW"]}, "endDate": "$$NOW", "unit": "second"}
}
OVER: Document = {"$gte": ["$$NOW", {"$ifNull": ["$fetch.until", FOREVER]}]}


class Timing:
    """Chooses the times; see `settings.py` and each partner's `Polling` for the numbers."""

    def __init__(self, settings: Settings, silent: Callable[[str], bool] = lambda _: False) -> None:
        """`silent`: whether the webhooks of a credential have fallen silent."""
        self._settings, self._silent = settings, silent

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
        fetch, stage = document.get("fetch", {}), _stage(subject, document, state)
        if state.partner_id and _only_partner_knows(state, fresh):
            return stage | {"due": "$$NOW", "fetch.reason": "hint", "fetch.hinted_at": "$$NOW"}
        if "due" in document and fetch.get("reason") == "hint":
            return stage
        if _older_report(fresh, fetch.get("seen_at")):
            return stage | {"due": "$$NOW", "fetch.reason": "sweep"}
        if state.followed in FINAL:
            return stage | {"due": "$$REMOVE", "fetch.ended": "$$REMOVE"}
        moved = document.get("partner_id") not in (None, state.partner_id)
        if not state.partner_id or ("due" in document and not moved and not any(map(_told, fresh))):
            return stage
        anew = {"fetch.reason": "sweep", "fetch.quiet": 0} | self._followed(subject, True)
        wait = self._wait(subject, state, 0)
        return stage | anew | {"due": {"$min": ["$due", _at(wait, stage)]}, "fetch.every": _seconds(wait)}

    def after_look(self, document: Document, token: str, began: dt.datetime, state: State, news: bool) -> Document:
        """After a look that began at `began`, with the state that holds now: a hint that came later leads to one more
        look at once.

        A hint without news is followed by one more look soon, since it may have overtaken the partner's own data; then
        hints have to wait, each time longer, so that a forged flood does not eat the credential's budget. A deal of
        which the partner has told no news for so long that nobody expects any is followed by hints alone.
        """
        fetch, subject = document.get("fetch", {}), subject_of(document)
        hinted = fetch.get("reason") == "hint"
        quiet = 0 if news else fetch.get("quiet", 0) + 1
        stage, wait = _stage(subject, document, state), self._wait(subject, state, quiet)
        patience = min(0.5 * 2**quiet, LONGEST_HINT_WAIT)
        due: Any = _at(wait, stage) if news else {"$cond": [OVER, "$$REMOVE", _at(wait, stage)]}
        if state.followed in FINAL:
            due = "$$REMOVE"
        elif hinted and not news:
            due = in_seconds(self._settings.recheck_seconds)
        return (
            released(token)
            | stage
            | self._followed(subject, news)
            | {
                "due": _if_hinted(began, {"$max": ["$$NOW", "$fetch.not_before"]}, due),
                "fetch.every": _seconds(wait),
                "fetch.reason": _if_hinted(began, "hint", "sweep"),
                "fetch.seen_at": {"$max": ["$fetch.seen_at", began]},
                "fetch.quiet": quiet,
                "fetch.not_before": "$$REMOVE" if news else in_seconds(patience) if hinted else "$fetch.not_before",
                "fetch.failures": 0,
                "fetch.error": "$$REMOVE",
            }
        )

    def after_failure(
        self, document: Document, token: str, error: str, seconds: float | None, reply: Document | None = None
    ) -> Document:
        """After a look that told nothing; the same look comes again, but a sweep not after its time is over. `seconds`:
        what the partner asked for. `reply`: what nobody could read, kept until the next of its kind.
        """
        failures = document.get("fetch", {}).get("failures", 0)
        schedule = self._settings.retry_seconds
        wait = schedule[min(failures, len(schedule) - 1)] if seconds is None else seconds
        in_vain: Document = {"$and": [OVER, {"$ne": ["$fetch.reason", "hint"]}]}
        stored = {"fetch.kept": {"$mergeObjects": [{"$literal": reply}, {"at": "$$NOW"}]}} if reply else {}
        return (
            released(token)
            | stored
            | {
                "due": {"$cond": [in_vain, "$$REMOVE", in_seconds(wait * random.uniform(1, 1.25))]},
                "fetch.ended": {"$cond": [in_vain, {"$ifNull": ["$fetch.ended", "$$NOW"]}, "$fetch.ended"]},
                "fetch.failures": failures + 1,
                "fetch.error": {"$literal": error},
            }
        )

    def put_back(self, token: str, error: str, until: dt.datetime | None = None) -> Document:
        """A look that was not made, by no fault of its own: the same comes again, at once or at `until`."""
        due = "$due" if until is None else {"$literal": until}
        return released(token) | {"due": due, "fetch.error": {"$literal": error}}

    def hurried(self, partner: str) -> list[Document]:
        """The stages that bring looks of a silent partner forward, spread over its shortest wait."""
        wait = self._capped(_polling(partner).wait(Status.SUBMITTED, 0, self._settings.sweep_seconds))
        soon = {"$toLong": {"$multiply": [{"$rand": {}}, wait * 1000]}}
        at = {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": soon}}
        return [{"$set": {"due": {"$min": ["$due", at]}}}]

    def _followed(self, subject: Subject, news: bool) -> Document:
        """Since when, and how long without news."""
        until = in_seconds(_polling(subject.partner).ends_after)
        return {
            "fetch.first": {"$ifNull": ["$fetch.first", "$$NOW"]},
            "fetch.until": until if news else {"$ifNull": ["$fetch.until", until]},
            "fetch.ended": "$$REMOVE"
            if news
            else {"$cond": [OVER, {"$ifNull": ["$fetch.ended", "$$NOW"]}, "$$REMOVE"]},
        }

    def _wait(self, subject: Subject, state: State, quiet: int) -> Any:
        """Milliseconds to the next look, spread over a tenth: by the partner's schedule, slower for an old deal, faster
        while its webhooks are silent.
        """
        polling, usual = _polling(subject.partner), self._settings.sweep_seconds
        wait = polling.wait(state.followed, quiet, usual)
        aging = polling.aging
        if subject.credential is not None and self._silent(subject.credential):
            wait, aging = max(wait / HURRY, min(wait, polling.wait(state.followed, 0, usual))), ()
        spread = random.uniform(1, 1.1) * 1000
        first = int(self._capped(wait) * spread)
        steps = [(age, int(self._capped(max(wait, least)) * spread)) for age, least in reversed(aging)]
        branches = [{"case": {"$gte": [AGE, age]}, "then": then} for age, then in steps if then != first]
        return {"$switch": {"branches": branches, "default": first}} if branches else first

    def _capped(self, seconds: float) -> float:
        longest = self._settings.longest_wait_seconds
        return seconds if longest is None else min(seconds, longest)


def promises(state: State, since: dt.datetime, polling: Polling) -> list[dt.datetime]:
    """When news were announced of a deal that stands so since then: by ourselves or by the partner, in an answer or in
    what it publishes. A closing date is the middle of that day.
    """
    if state.followed in FINAL:
        return []
    usual = polling.turnaround.get(state.followed)
    closing = dt.datetime.combine(state.closes_on, dt.time(12), dt.UTC) if state.closes_on else None
    found = (state.next_check_at, closing, since + dt.timedelta(seconds=usual) if usual else None)
    return sorted(each for each in found if each is not None)


def _stage(subject: Subject, document: Document, state: State) -> Document:
    """Since when it stands so, and when that is expected to change."""
    known = document.get("fetch", {}).get("since") if document.get("status") == state.status else None
    since: dt.datetime = known or state.observed_at
    later = dt.timedelta(seconds=zlib.crc32(subject.id.encode()) % SPREAD_SECONDS)
    times = [each + later for each in promises(state, since, _polling(subject.partner))]
    found: Document = {"fetch.since": since, "fetch.promised": times}
    return found if state.status is Status.DUPLICATE else found | {"fetch.alarmed": "$$REMOVE"}


def _at(wait: Any, stage: Document) -> Document:
    """So many milliseconds from now, or at the first promised time before that."""
    usual: Document = {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": wait}}
    promised = [{"$cond": [{"$gt": [each, "$$NOW"]}, each, None]} for each in stage["fetch.promised"]]
    return {"$min": [usual, *promised]} if promised else usual


def _seconds(wait: Any) -> Any:
    return {"$divide": [wait, 1000]}


def _polling(partner: str | None) -> Polling:
    return PARTNERS[partner].poll if partner in PARTNERS else Polling()


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
