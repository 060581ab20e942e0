"""What a caller asks of a list: the query string, read strictly. A name or value that nobody knows is refused, since an
answer to another question than the caller's would look like a right one. Pure.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lendrail.contracts.terms import FieldProblem, Mode, Status
from lendrail.gateway.lists.search import Question
from lendrail.runtime.http import Problem

DEFAULT_SIZE, MAX_SIZE = 50, 200
ADVICE_SYSTEM = "Name `reference` too, where you ask for `system` together with a partner or credential."
ADVICE_TIME = "Ask by time of receipt or by time of change, not by both."
ADVICE_ORDER = "Let the time range end after it begins."


@dataclass(frozen=True)
class Asked:
    question: Question
    size: int = DEFAULT_SIZE
    token: str | None = None


def _status(text: str) -> Status:
    try:
        return Status(text)
    except ValueError:
        raise ValueError(f"must be one of {', '.join(Status)}") from None


def _text(longest: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not 1 <= len(text) <= longest:
            raise ValueError(f"must have 1 to {longest} characters")
        return text

    return read


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,80}", text):
        raise ValueError("must be a name as GET /v1/partners shows it: letters, digits, dots, hyphens, underscores")
    return text


def _id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValueError("must be an applicationId of ours") from None


def _time(text: str) -> dt.datetime:
    try:
        time = dt.datetime.fromisoformat(text)
        if time.tzinfo is None or "T" not in text.upper():
            raise ValueError
        return time.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        advice = "must be a time with its offset, such as 2026-03-02T10:30:00Z (in a URL, + is written %2B)"
        raise ValueError(advice) from None


def _size(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MAX_SIZE:
        raise ValueError(f"must be a number from 1 to {MAX_SIZE}")
    return int(text)


def _mode(text: str) -> Mode:
    if text == "test":
        return "test"
    if text == "live":
        return "live"
    raise ValueError("must be test or live")


@dataclass(frozen=True)
class Filter:
    """One parameter of a list: how it is read, and what the API's description says of it."""

    name: str
    read: Callable[[str], Any]
    says: str
    schema: dict[str, Any]
    many: bool = False


_SHORT: dict[str, Any] = {"type": "string", "maxLength": 80}
_MOMENT: dict[str, Any] = {"type": "string", "format": "date-time"}
APPLICATION = Filter("application", _id, "Id of the application.", {"type": "string", "format": "uuid"})
COMMON = (
    Filter(
        "status",
        _status,
        "Repeat it for several: one of them must be the status now.",
        {"type": "array", "items": {"enum": [status.value for status in Status]}},
        many=True,
    ),
    Filter("partner", _name, "At this partner.", _SHORT),
    Filter("credential", _name, "Under this credential of yours.", _SHORT),
    Filter("partnerId", _text(512), "The partner's own id of it.", {"type": "string", "maxLength": 512}),
    Filter("reference", _text(200), "Value of one of `externalReferences`.", {"type": "string", "maxLength": 200}),
    Filter("system", _text(80), "System of that reference.", _SHORT),
    Filter("mode", _mode, "Yours; there is nothing else to see.", {"enum": ["test", "live"]}),
    Filter("receivedFrom", _time, "Received then or later.", _MOMENT),
    Filter("receivedTo", _time, "Received before.", _MOMENT),
    Filter("changedFrom", _time, "Last changed then or later; the oldest change comes first.", _MOMENT),
    Filter("changedTo", _time, "Last changed before.", _MOMENT),
    Filter(
        "pageSize",
        _size,
        "How many at most.",
        {"type": "integer", "minimum": 1, "maximum": MAX_SIZE, "default": DEFAULT_SIZE},
    ),
    Filter("pageToken", _text(400), "`nextPageToken` of the page before; opaque.", {"type": "string"}),
)
OF_APPLICATIONS, OF_OPPORTUNITIES = COMMON, (APPLICATION, *COMMON)


def read(filters: Iterable[Filter], query: Iterable[tuple[str, str]], mode: Mode) -> Asked:
    """Raises `Problem` 422 that names every fault at once; none quotes what was sent."""
    known = {each.name: each for each in filters}
    said: dict[str, list[Any]] = {}
    faults: list[FieldProblem] = []
    for name, text in query:
        if name not in known:
            faults.append(_fault("", "unknown-parameter", f"has a parameter that is none of {', '.join(known)}"))
            continue
        try:
            said.setdefault(name, []).append(known[name].read(text))
        except ValueError as advice:
            faults.append(_fault(name, "invalid", str(advice)))
    for name, values in said.items():
        if len(values) > 1 and not known[name].many:
            faults.append(_fault(name, "repeated", "must be stated once"))
    if faults:
        raise Problem(422, "invalid-request", "Nothing was looked for; `errors` says what to change.", errors=faults)
    return _asked({name: values[0] for name, values in said.items()}, said.get("status", []), mode)


def _asked(said: dict[str, Any], statuses: list[Status], mode: Mode) -> Asked:
    if said.get("mode", mode) != mode:
        detail = f"Your credentials are for {mode} and see nothing else; ask with those of the other mode."
        raise Problem(422, "mode-crossing", detail)
    question = Question(
        statuses=tuple(sorted(set(statuses))),
        application=said.get("application"),
        partner=said.get("partner"),
        credential=said.get("credential"),
        partner_id=said.get("partnerId"),
        reference=said.get("reference"),
        system=said.get("system"),
        received_from=said.get("receivedFrom"),
        received_to=said.get("receivedTo"),
        changed_from=said.get("changedFrom"),
        changed_to=said.get("changedTo"),
    )
    if advice := _cannot(question):
        raise Problem(422, "invalid-request", advice)
    return Asked(question, said.get("pageSize", DEFAULT_SIZE), said.get("pageToken"))


def _cannot(question: Question) -> str | None:
    """What no index leads to, or nothing can fit."""
    q = question
    found_by_id = q.application or q.partner_id or q.reference
    if q.system is not None and not found_by_id and (q.partner or q.credential):
        return ADVICE_SYSTEM
    if q.by_change and (q.received_from or q.received_to):
        return ADVICE_TIME
    for start, end in ((q.received_from, q.received_to), (q.changed_from, q.changed_to)):
        if start is not None and end is not None and end <= start:
            return ADVICE_ORDER
    return None


def _fault(name: str, code: str, message: str) -> FieldProblem:
    return FieldProblem(pointer=f"/query/{name}".rstrip("/"), code=code, message=message)
