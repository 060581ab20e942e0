"""What the registry tells: findings of one call or of a list, and the activity feed.

The wrapping of its lists is not published. So an FVR is known by its own fields, wherever it stands, and all that
stands beside one in a list must be one too: a finding that cannot be read never counts as a good one.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from typing import Any

from lendrail.contracts.terms import Match, Money, Report, Status
from lendrail.partners import reading
from lendrail.partners.exchange import Absent, Comparison, Found, Hint, Page, Present, Reply, Request, Unknown
from lendrail.partners.monetago import profile
from lendrail.partners.monetago.registration import parts
from lendrail.partners.told import Told

MARKS = frozenset(
    {"financing_request_status", "financing_request_duplicate_report", "submitter_data_set_identification"}
)
LIST = "financing_validation_requests"
WORST_FIRST = (Status.DUPLICATE, Status.WITHDRAWN, Status.IN_REVIEW, Status.APPROVED, Status.FUNDED)
"""What several FVRs of one call are together: the gate and the money wait for the last of them."""
SETTLED = frozenset({Status.APPROVED, Status.FUNDED})


def findings(reply: Reply) -> list[Any]:
    """The FVRs of a reply, and what stands beside them; none where it has none or cannot be read."""
    try:
        return _findings(reading.strict_json(reply.content)) if reply.status == 200 else []
    except reading.Unreadable:
        return []


def _findings(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return [node] if MARKS & node.keys() else [each for value in node.values() for each in _findings(value)]
    if not isinstance(node, list):
        return []
    if any(isinstance(each, dict) and MARKS & each.keys() for each in node):
        return node
    return [found for each in node for found in _findings(each)]


def report(reply: Reply) -> Report:
    """The worst of all FVRs; none where one of them has a status that is not known or cannot be read."""
    found, flags = findings(reply), list[str]()
    if not found:
        return Report(status=None, words="", flags=("unreadable-reply",))
    told = [Told(each if isinstance(each, dict) else {}, flags) for each in found]
    words = [each.read("financing_request_status", reading.words) or "" for each in told]
    matches = [match for word, each in zip(words, told, strict=True) for match in _matches(word, each)]
    if any(word not in profile.STATUSES for word in words):
        flags.append("unknown-stage")
    return Report(
        status=_together(words, _complete(told), flags),
        words=", ".join(dict.fromkeys(filter(None, words)))[:500],
        matches=tuple({match.id: match for match in matches}.values()),
        flags=tuple(dict.fromkeys(flags)),
    )


def _together(words: Iterable[str], complete: bool, flags: list[str]) -> Status | None:
    statuses = {profile.STATUSES.get(word) for word in words}
    if None in statuses:
        return None
    worst = next(each for each in WORST_FIRST if each in statuses)
    if not complete and worst in SETTLED:
        flags.append("incomplete-reply")
        return Status.IN_REVIEW
    return worst


def _complete(told: list[Told]) -> bool:
    """Whether as many FVRs came as our ids say there are."""
    names = [each.read("submitter_data_set_identification", reading.foreign_id) for each in told]
    return len(told) >= max(parts(name)[1] if name else 1 for name in names)


def _matches(word: str, told: Told) -> list[Match]:
    """With flags where something matches although the registry calls the FVR unique."""
    found = []
    for each in told.list_of("financing_request_duplicate_report"):
        match_id, kind = each.read("match_identification", reading.foreign_id), each.read("match_type", reading.short)
        if word == "REGU":
            told.flags.append("exact-match-of-another-applicant" if kind == profile.EXACT else "partial-match")
        if match_id is None or kind is None:
            told.flags.append("unreadable-match")
            continue
        risk = each.inner("proprietary_matching_details").take({"risk": ("proprietary_description", reading.short)})
        found.append(Match(id=match_id, kind=kind, **each.take(_MATCH), **risk))
    return found


def compared(reply: Reply) -> tuple[Comparison, ...] | None:
    """A match line by line. The form is not published: rows that say of a field whether it `matched` are read wherever
    they stand beside the id of a match; an answer without any is none.
    """
    body = reading.json_object(reply.content) if reply.status == 200 else None
    found = tuple(each for told in _rows(body or {}) if (each := _comparison(told)))
    return found or None


def _rows(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        own = [node] if "match_identification" in node else []
        return own or [row for value in node.values() for row in _rows(value)]
    return [row for each in node for row in _rows(each)] if isinstance(node, list) else []


def _comparison(row: dict[str, Any]) -> Comparison | None:
    told = Told(row)
    name, lines = told.read("match_identification", reading.foreign_id), told.list_of("document_match_lines")
    said = {each.read("field", _field): each.body.get("matched") for each in lines}
    fields = {field: value for field, value in said.items() if field is not None and isinstance(value, bool)}
    return Comparison(name, told.read("match_type", reading.short), fields) if name and fields else None


def _field(value: Any) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(r"[a-z_]{1,60}", value) else None


def money(value: Any) -> Money | None:
    """`{currency, amount}`, the amount with or without thousands separators."""
    amount, currency = (value.get("amount"), value.get("currency")) if isinstance(value, dict) else (None, None)
    if isinstance(amount, str) and re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]{1,6})?", amount):
        amount = amount.replace(",", "")
    if not isinstance(currency, str) or not re.fullmatch(r"[A-Z]{3}", currency):
        return None
    return reading.money(amount, currency)


def moment(value: Any) -> dt.datetime | None:
    """A time with its zone, of this century."""
    form = r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
    if not isinstance(value, str) or not re.fullmatch(form, value):
        return None
    try:
        return dt.datetime.fromisoformat(value).astimezone(dt.UTC)
    except ValueError:
        return None


_MATCH = {
    "status": ("matched_financing_request_status", reading.short),
    "amount": ("matched_financing_request_amount", money),
    "at": ("matched_date_time", moment),
}


def found(request: Request, reply: Reply) -> Found:
    """Whether the list has our reference. It does not only where it says so with an empty list: a list of other FVRs
    means that the filter was not understood. Two calls under one reference are for a person to look at.
    """
    listed = findings(reply)
    if not listed:
        return Absent() if _empty(reply) else Unknown("unreadable-reply")
    told = [Told(each if isinstance(each, dict) else {}) for each in listed]
    names = [each.read("submitter_data_set_identification", reading.foreign_id) or "" for each in told]
    if any(parts(name)[0] != request.knows("reference") for name in names):
        return Unknown("unexpected-list")
    ids = {each.read("request_identification", reading.foreign_id) for each in told}
    if None in ids:
        return Unknown("no-id")
    return Present(str(*ids)) if len(ids) == 1 else Unknown("registered-twice")


def _empty(reply: Reply) -> bool:
    body = reading.json_object(reply.content) or {}
    return reply.status == 200 and body.get(LIST) == [] and "errors" not in body


def page(reply: Reply) -> Page | None:
    """Events, oldest first; a full page goes on at the time of its last event, which may be that of more to come.

    The next page begins a millisecond before that time, since nobody says whether `after` includes its own moment. When
    a whole page has that one time, the next look, in its own time, asks for a page more. After a short page the cursor
    stays some seconds behind, for events that become visible late. An event of a time that has not come yet, by the
    clock of the partner's own reply, moves no cursor: what happens until then would be hidden. A cursor with its limit
    is one to believe, whatever our clock says.
    """
    body = reading.json_object(reply.content) if reply.status == 200 else None
    events = (body or {}).get("activity")
    if not isinstance(events, list):
        return None
    told = [Told(each if isinstance(each, dict) else {}) for each in events]
    times = [each.read("event_time", moment) for each in told]
    known, full = [time for time in times if time], bool(events) and len(events) % profile.PAGE == 0
    if full and (len(known) < len(times) or known != sorted(known)):
        return None
    hints = tuple(hint for each in told if (hint := _hint(each)))
    latest = _clock(reply)
    known = [time for time in known if latest is None or time <= latest]
    if not known:
        return Page(hints, None)
    if not full:
        rest = stamp(max(known) - dt.timedelta(seconds=profile.OVERLAP_SECONDS))
        return Page(hints, rest if latest is None else f"{rest} {profile.PAGE}")
    start = known[-1] - dt.timedelta(milliseconds=1)
    stuck = known[0] >= start
    limit = len(events) + profile.PAGE if stuck else profile.PAGE
    return Page(hints, f"{stamp(start)} {limit}", more=not stuck)


def _clock(reply: Reply) -> dt.datetime | None:
    """The latest time that an event may have, by the partner's own clock; None where its reply names no time."""
    try:
        said = parsedate_to_datetime(reply.headers.get("date", ""))
    except ValueError:
        return None
    told = said.replace(tzinfo=dt.UTC) if said.tzinfo is None else said
    return told + dt.timedelta(seconds=profile.OVERLAP_SECONDS)


def _hint(told: Told) -> Hint | None:
    """Its word has the time, so that the same status at another time is another hint."""
    name = told.read("submitter_data_set_identification", reading.foreign_id)
    request_id = told.read("request_identification", reading.foreign_id)
    if not (name or request_id):
        return None
    said = [
        told.read(each, lambda raw: reading.words(raw, 60))
        for each in ("event_type", "financing_request_status", "event_time")
    ]
    return Hint(request_id or "", " ".join(filter(None, said)) or "activity", parts(name)[0] if name else None)


def stamp(time: dt.datetime) -> str:
    """To the millisecond, as the partner writes it."""
    return time.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
