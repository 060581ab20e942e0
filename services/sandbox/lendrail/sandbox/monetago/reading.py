"""The questions that change nothing: results, lists, matches, events. A user sees only what is its own."""

from datetime import datetime
from typing import Any

from lendrail.sandbox.desk import Answer, Call
from lendrail.sandbox.monetago import forms, views
from lendrail.sandbox.monetago.registry import Fvr, Registry, stamp
from lendrail.sandbox.monetago.users import Users, refusal

FILTERS = (*forms.ID_KINDS, "submitter_batch_identification", "financing_request_status", "limit", "offset")
USUAL, MOST = 1000, 10_000
"""Entries of one list."""
FIRST, LAST = "2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


class Reading:
    def __init__(self, registry: Registry, users: Users) -> None:
        self._registry, self._users = registry, users

    async def status(self, call: Call) -> Answer:
        name = call.request.path_params["id"]
        fvrs = self._registry.of(call.user.user, "request_identification", name)
        if not fvrs:
            return refusal(404, "there is no such request")
        return Answer(200, {"request_identification": name} | self._results(fvrs), reference=fvrs[0].dataset)

    async def cancellation(self, call: Call) -> Answer:
        owner, ids = self._registry.cancellations.get(call.request.path_params["id"], (None, []))
        if owner != call.user.user:
            return refusal(404, "there is no such cancellation")
        fvrs = [self._registry.fvrs[each] for each in ids]
        name = {"cancellation_identification": call.request.path_params["id"]}
        return Answer(200, name | self._results(fvrs), reference=fvrs[0].dataset)

    async def requests(self, call: Call) -> Answer:
        """The caller's FVRs that fit all filters; an unknown filter is refused rather than passed over."""
        query = dict(call.request.query_params)
        if set(query) - set(FILTERS):
            return refusal(400, "there is no such filter")
        if (span := _span(query)) is None:
            return refusal(400, "limit and offset must be whole numbers, the limit at most 10000")
        reference = query.get("submitter_data_set_identification")
        first = next(((kind, query[kind]) for kind in reversed(forms.ID_KINDS) if kind in query), None)
        user = call.user.user
        found = self._registry.of(user, *first) if first else self._registry.all_of(user)
        results = (views.result(self._registry, each) for each in found)
        fits = [each for each in results if all(str(each.get(k)) == v for k, v in query.items() if k in FILTERS[:-2])]
        return Answer(200, {"financing_validation_requests": fits[span]}, reference=reference)

    async def document_matches(self, call: Call) -> Answer:
        """One match, or all; only where the caller is one of its sides."""
        wanted, query = call.request.path_params.get("id"), dict(call.request.query_params)
        span = _span(query)
        if set(query) - {"limit", "offset"} or span is None:
            return refusal(400, "there is no such filter")
        found = [
            views.lines(fvr, match)
            for fvr in self._registry.all_of(call.user.user)
            for match in self._registry.matches(fvr)
            if wanted in (None, match.id)
        ]
        if wanted is not None and not found:
            return refusal(404, "there is no such match")
        return Answer(200, {"document_matches": found[span]})

    async def activity(self, call: Call) -> Answer:
        """The caller's events, oldest first."""
        query = dict(call.request.query_params)
        span = _span(query)
        after, before = (_moment(query.get(name, usual)) for name, usual in (("after", FIRST), ("before", LAST)))
        if set(query) - {"after", "before", "limit", "offset"} or span is None or after is None or before is None:
            return refusal(400, "a parameter is wrong")
        same = self._users.settings[call.user.user].inclusive_after
        events = [
            each
            for each in self._registry.activity[call.user.user]
            if (each["event_time"] >= after if same else each["event_time"] > after) and each["event_time"] < before
        ]
        return Answer(200, {"activity": events[span]})

    def _results(self, fvrs: list[Fvr]) -> dict[str, Any]:
        return {"financing_validation_requests": [views.result(self._registry, each) for each in fvrs]}


def _span(query: dict[str, str]) -> slice | None:
    """From `limit` and `offset`."""
    limit, offset = query.get("limit", str(USUAL)), query.get("offset", "0")
    if not (limit.isascii() and limit.isdigit() and offset.isascii() and offset.isdigit()):
        return None
    return slice(int(offset), int(offset) + int(limit)) if 1 <= int(limit) <= MOST else None


def _moment(text: str) -> str | None:
    """As events have it; None for what is no time with a zone."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if time.tzinfo is None else stamp(time.timestamp())
