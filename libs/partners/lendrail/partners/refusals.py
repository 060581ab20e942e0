"""A partner's documented refusals as rows of a table. A reply that no row fits is unknown, whatever it looks like."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from lendrail.contracts.terms import FieldProblem
from lendrail.partners.exchange import CredentialRefused, Duplicate, Outcome, Rejected, Reply, RetryLater, Unknown
from lendrail.partners.fields import problem
from lendrail.partners.reading import json_object, sensitive_words

Meaning = Literal["rejected", "duplicate", "retry-later", "credential-refused"]
Shape = Callable[[Mapping[str, Any] | None], bool]
Errors = Callable[[Mapping[str, Any]], Any]
"""Where a partner's body has its field errors, as `{field: [text, …]}`; anything else means none."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 3600.0
_IMF_FIXDATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4}"
    r" [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
)

_STOCK_PHRASES = re.compile(
    r"is invalid|is not valid|is required|is missing|is not a valid url|is not a number|is not included in the list"
    r"|can't be blank|can not be blank|must exist|must be blank|must be in the past|has already been taken"
    r"|is too (short|long)( \((min|max)imum is [0-9]{1,5} characters\))?"
    r"|must provide (an? )?(address|name|phone|email|ssn|date of birth|start date|industry|owner|contact)",
    re.IGNORECASE,
)
"""Sentences of partners that are known to quote nothing; any other one may repeat what was sent."""


@dataclass(frozen=True)
class Refusal:
    """Replies with this status and shape mean that nothing was taken."""

    status: int
    means: Meaning
    shape: Shape = lambda body: True
    operations: AbstractSet[str] = frozenset()
    """Empty: all of them."""


USUAL = (Refusal(401, "credential-refused"), Refusal(403, "credential-refused"), Refusal(429, "retry-later"))
"""What these mean almost everywhere (RFC 9110, RFC 6585)."""


def says(message: str) -> Shape:
    """`{"message": …}` and no field errors beside it; case and full stop do not count."""

    def fits(body: Mapping[str, Any] | None) -> bool:
        told = (body or {}).get("message")
        return isinstance(told, str) and told.strip().rstrip(".").casefold() == message and "errors" not in (body or {})

    return fits


def has_message(naming: str = "", never: AbstractSet[str] = frozenset({"id"})) -> Shape:
    """`{"message": text}` that names `naming` in any case, and nothing of `never` beside it."""

    def fits(body: Mapping[str, Any] | None) -> bool:
        told = (body or {}).get("message")
        return isinstance(told, str) and naming.casefold() in told.casefold() and not never & (body or {}).keys()

    return fits


def has_field_errors(key: str = "errors", never: AbstractSet[str] = frozenset({"reference_id"})) -> Shape:
    """`{key: {field: [text, …]}}` and no id.

    A complaint about our reference (`never`), or a word of uniqueness, is no such thing: it may mean a duplicate.
    """

    def fits(body: Mapping[str, Any] | None) -> bool:
        errors = (body or {}).get(key)
        if body is None or not isinstance(errors, dict) or not errors or "id" in body:
            return False
        if "unique" in str(body.get("message")) or any(name.split(".")[-1] in never for name in errors):
            return False
        return all(_texts(each) for each in errors.values())

    return fits


def errors_key(body: Mapping[str, Any]) -> Any:
    """The usual place."""
    return body.get("errors")


def has_problems() -> Shape:
    """`{"errors": [{"field" or "pointer": name, "message": text}, …]}` and no id: problem details (RFC 9457)."""

    def fits(body: Mapping[str, Any] | None) -> bool:
        errors = (body or {}).get("errors")
        return isinstance(errors, list) and bool(_by_field(errors)) and "id" not in (body or {})

    return fits


def has_code(*codes: str, names: Iterable[str] = ("code",), never: AbstractSet[str] = frozenset({"id"})) -> Shape:
    """`{"code": text}`, one of `codes` where any are named, and no id (`never`) beside it; the first of `names` that
    is there counts.
    """

    def fits(body: Mapping[str, Any] | None) -> bool:
        told = body or {}
        code = next((told[name] for name in names if name in told), None)
        return isinstance(code, str) and (not codes or code in codes) and not never & told.keys()

    return fits


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _by_field(errors: Any) -> dict[str, list[str]]:
    """`{field: [text, …]}`, however it was said; empty where it cannot be read."""
    if isinstance(errors, dict):
        return errors if all(_texts(each) for each in errors.values()) else {}
    found: dict[str, list[str]] = {}
    for each in errors if isinstance(errors, list) else ():
        name = each.get("field", each.get("pointer")) if isinstance(each, dict) else None
        text = each.get("message", "") if isinstance(each, dict) else None
        if not isinstance(name, str) or not isinstance(text, str):
            return {}
        found.setdefault(name, []).append(text)
    return found


def refused(
    operation: str,
    reply: Reply,
    table: Iterable[Refusal],
    partner: str,
    pointers: Mapping[str, str],
    pause: float,
    errors: Errors = errors_key,
) -> Outcome:
    """What a reply that is not an acceptance means; `pause` is the wait where the partner names none."""
    body = json_object(reply.content)
    for row in table:
        if row.status == reply.status and (not row.operations or operation in row.operations) and row.shape(body):
            return _meaning(row.means, reply, errors(body or {}), partner, pointers, pause)
    return Unknown(f"status-{reply.status}")


def retry_after(reply: Reply) -> float | None:
    """The wait that a reply names (RFC 9110, 10.2.3), in seconds, from one up to an hour; None where it names none.

    A date counts from the reply's own `Date`, so that the partner's clock is compared with itself; the channel writes
    ours there where the partner sent none.
    """
    told = reply.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", told, re.ASCII):
        seconds = float(told)
    else:
        until, sent = _date(told), _date(reply.headers.get("date", "").strip())
        if until is None or sent is None:
            return None
        seconds = (until - sent).total_seconds()
    return min(max(seconds, _SHORTEST_PAUSE), _LONGEST_PAUSE)


def _date(text: str) -> dt.datetime | None:
    """An IMF-fixdate (RFC 9110, 5.6.7); the older two forms, which leave century or zone open, tell nothing."""
    if not _IMF_FIXDATE.fullmatch(text):
        return None
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None


def _meaning(
    means: Meaning, reply: Reply, errors: Any, partner: str, pointers: Mapping[str, str], pause: float
) -> Outcome:
    if means == "credential-refused":
        return CredentialRefused()
    if means == "duplicate":
        return Duplicate()
    if means == "retry-later":
        told = retry_after(reply)
        return RetryLater(pause if told is None else told)
    words = sensitive_words(reply.content.decode("utf-8", "replace"))
    return Rejected(tuple(_field_problems(errors, partner, pointers)), words)


def _field_problems(errors: Any, partner: str, pointers: Mapping[str, str]) -> list[FieldProblem]:
    if not (by_field := _by_field(errors)):
        return [problem(partner, "", "refused", "was refused by the partner")]
    return [
        problem(partner, _pointer(name, pointers), "refused", _safe(name, texts, pointers))
        for name, texts in by_field.items()
    ]


def _pointer(name: str, pointers: Mapping[str, str]) -> str:
    """Of the name itself, else of the last or first step of a dotted one, else of the whole application."""
    steps = name.split(".")
    return next((pointers[each] for each in (name, steps[-1], steps[0]) if each in pointers), "")


def _safe(name: str, texts: list[str], pointers: Mapping[str, str]) -> str:
    shown = [text for text in texts if _STOCK_PHRASES.fullmatch(text.strip().rstrip("."))]
    told = "; ".join(shown)[:500] or "was refused by the partner, in words that are kept with the attempt"
    return f"{name}: {told}" if name in pointers else told
