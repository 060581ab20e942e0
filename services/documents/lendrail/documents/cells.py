"""Values of the canonical application as cells: words for people, numbers where they can be added up. Pure."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from lendrail.contracts.application_fields import Address
from lendrail.contracts.sensitive import Sensitive
from lendrail.contracts.terms import Money, Term
from lendrail.documents.sheet import Cell, clean

EXACT_DIGITS = 15
"""Significant digits that a spreadsheet's number keeps."""


def masked(number: Sensitive | None) -> str | None:
    """The last four characters of a number that is long enough to hide the rest."""
    if number is None:
        return None
    plain = clean(number.reveal())
    return f"***{plain[-4:]}" if len(plain) >= 8 else "***"


def text(value: Sensitive | str | None) -> str | None:
    return None if value is None else clean(value.reveal() if isinstance(value, Sensitive) else value)


def word(value: str | None) -> str | None:
    return None if value is None else str(value).replace("-", " ").capitalize()


def flag(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def count(value: int | None) -> str | None:
    return None if value is None else str(value)


def decimal(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def percent(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f} %"


def day(value: dt.date | None) -> str | None:
    return None if value is None else value.isoformat()


def moment(value: dt.datetime | None) -> str | None:
    return None if value is None else f"{value.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def term(value: Term | None) -> str | None:
    return None if value is None else f"{value.value} {value.unit}"


def money(value: Money | None) -> Cell:
    """A number that can be added up; text where a spreadsheet would round it."""
    if value is None:
        return None
    if len(value.amount.as_tuple().digits) > EXACT_DIGITS:
        return f"{value.amount:f} {value.currency}"
    return float(value.amount), value.currency


def address(value: Address | None) -> str | None:
    if value is None:
        return None
    lines = (value.line1, value.line2, value.city, value.region, value.postal_code)
    return clean(", ".join([*(line.reveal() for line in lines if line), value.country]))
