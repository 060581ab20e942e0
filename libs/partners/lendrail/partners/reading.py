"""Reading what partners send: strict about form, calm about content. Nothing here guesses or raises on odd values."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NoReturn

from lendrail.contracts.sensitive import Email, Phone, Sensitive, SensitiveText
from lendrail.contracts.terms import FOREIGN_ID, Money, Term, TermUnit

_DEEPEST = 32


class Unreadable(Exception):
    """Bytes that are not one plain JSON document."""


def _refuse(constant: str) -> NoReturn:
    raise Unreadable("NaN and Infinity are no JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise Unreadable("a key appears twice")
    return read


def strict_json(content: bytes) -> Any:
    """The JSON in `content`, fractions as Decimal.

    Raises `Unreadable` for other encodings than UTF-8, NaN, repeated keys, absurd depth or absurdly long numbers.
    """
    try:
        data = json.loads(
            content.decode("utf-8"), parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_unique
        )
    except (ValueError, RecursionError) as error:
        raise Unreadable(type(error).__name__) from None
    level, depth = [data], 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise Unreadable("too deep")
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return data


def json_object(content: bytes) -> dict[str, Any] | None:
    """The JSON object in `content`, or None when it is anything else."""
    try:
        data = strict_json(content)
    except Unreadable:
        return None
    return data if isinstance(data, dict) else None


def foreign_id(value: Any) -> str | None:
    """A partner's id as text; a whole number counts, anything that could not stand in an address does not."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return text if isinstance(text, str) and FOREIGN_ID.fullmatch(text) else None


def decimal(value: Any) -> Decimal | None:
    """A number that is not negative, written as a JSON number or as plain digits in a string."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,6})?", value):
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if not 0 <= value < 10**15:
        return None
    exact = Decimal(value)
    return exact if round(exact, 6) == exact else None


def money(value: Any, currency: str) -> Money | None:
    amount = decimal(value)
    return None if amount is None else Money(amount=amount, currency=currency)


def money_in(currency: str) -> Callable[[Any], Money | None]:
    """A reader of bare amounts, which are all in `currency`."""
    return lambda value: money(value, currency)


def money_object(value: Any) -> Money | None:
    """`{"amount": …, "currency": "USD"}`."""
    currency = value.get("currency") if isinstance(value, dict) else None
    usual = isinstance(currency, str) and re.fullmatch(r"[A-Z]{3}", currency)
    return money(value.get("amount"), str(currency)) if usual else None


def count(value: Any, most: int = 10_000) -> int | None:
    number = decimal(value)
    return int(number) if number is not None and number == int(number) and number <= most else None


def term_in(unit: TermUnit) -> Callable[[Any], Term | None]:
    """A reader of bare numbers of `unit`."""

    def read(value: Any) -> Term | None:
        number = count(value)
        return None if number is None else Term(value=number, unit=unit)

    return read


def words(value: Any, longest: int = 500) -> str | None:
    """A partner's short text on one line, cut to `longest` characters; None when there is none."""
    if not isinstance(value, str):
        return None
    tidy = " ".join(value.encode("utf-8", "replace").decode().split())
    return re.sub(r"[\x00-\x1f\x7f]", "", tidy)[:longest].strip() or None


def short(value: Any) -> str | None:
    """A name or a word of a list."""
    return words(value, 80)


def texts(value: Any) -> list[str] | None:
    """The short texts of a list that holds nothing else; empty ones do not count."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return None
    return [found for found in map(words, value) if found]


def plain(value: Any) -> str | None:
    """A word, or a number as it stands."""
    amount = decimal(value)
    return short(value) if amount is None else format(amount, "f")


def sensitive_words(value: Any) -> SensitiveText | None:
    """A partner's free text, which may speak of a person."""
    text = words(value, SensitiveText.max_length)
    return None if text is None else SensitiveText(text)


def day(value: Any) -> dt.date | None:
    """A calendar date, written YYYY-MM-DD."""
    try:
        whole = isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)
        return dt.date.fromisoformat(value) if whole else None
    except ValueError:
        return None


_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})")


def moment(value: Any) -> dt.datetime | None:
    """A time with its zone, written YYYY-MM-DDTHH:MM:SSZ or with an offset (RFC 3339), in UTC."""
    try:
        whole = isinstance(value, str) and _MOMENT.fullmatch(value)
        return dt.datetime.fromisoformat(value).astimezone(dt.UTC) if whole else None
    except (ValueError, OverflowError):
        return None


def email(value: Any) -> Email | None:
    try:
        return Email(value) if isinstance(value, str) else None
    except ValueError:
        return None


def phone(value: Any) -> Phone | None:
    try:
        return Phone(value) if isinstance(value, str) else None
    except ValueError:
        return None


class Link(Sensitive):
    """An address at a partner that acts for whoever opens it."""

    max_length = 2000


def link(value: Any) -> Link | None:
    """An http(s) address, or one without a scheme as some partners send it; never a script in disguise."""
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]{1,2000}", value):
        return None
    usual = re.fullmatch(r"(https?://)?[A-Za-z0-9.-]+\.[A-Za-z]{2,}(:[0-9]+)?([/?#].*)?", value)
    return Link(value) if usual else None
