"""One table of fields serves three ways: it checks an application, builds the request, and leads refusals back.

So a field that is sent is also checked, and a refusal of it points to where the applicant can mend it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic.alias_generators import to_camel

from lendrail.contracts.sensitive import Sensitive
from lendrail.contracts.terms import FieldProblem, Money, Term


class Unfit(Exception):
    """A value that this partner cannot take. The message says what would help and never quotes the value."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


Convert = Callable[[Any], Any]
"""From a revealed canonical value to the partner's; None leaves the field out; raises `Unfit`."""


def as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, kw_only=True)
class _Rest:
    """The parts of a field that are named where they are needed."""

    required: bool = False
    get: Callable[[Any], Any] | None = None
    """Reads the value where the path alone does not lead to it; the path stays the pointer."""
    fields: tuple[Field, ...] = ()
    """The fields of a nested object."""


@dataclass(frozen=True)
class Field(_Rest):
    """The partner's `name` for what stands at the canonical `path` (attribute names joined by dots)."""

    name: str
    path: str
    convert: Convert = as_it_is

    def pointer(self, at: str) -> str:
        return at + "".join("/" + to_camel(step) for step in self.path.split("."))

    def value(self, part: Any) -> Any:
        if self.get:
            part = self.get(part)
        else:
            for step in self.path.split("."):
                part = getattr(part, step, None)
        return part.reveal() if isinstance(part, Sensitive) else part


def ours(*paths: str) -> tuple[Field, ...]:
    """Fields for which the partner has the names that we have."""
    return tuple(Field(to_camel(path), path) for path in paths)


def either(*paths: str) -> Callable[[Any], Any]:
    """Reads the first of several places at which something stands."""
    fields = [Field(path, path) for path in paths]
    return lambda part: next((value for each in fields if (value := each.value(part))), None)


def translate(
    fields: Iterable[Field], part: Any, partner: str, at: str = ""
) -> tuple[dict[str, Any], list[FieldProblem]]:
    """The partner's object for `part`, empty fields left out, and everything that is wrong with it."""
    built: dict[str, Any] = {}
    problems: list[FieldProblem] = []
    for field in fields:
        value = field.value(part)
        try:
            if value is None or value == "":
                if field.required:
                    raise Unfit("missing", "is required by this partner")
            elif field.fields:
                inner, inner_problems = translate(field.fields, value, partner, field.pointer(at))
                problems += inner_problems
                built |= {field.name: inner} if inner else {}
            elif (converted := field.convert(value)) is not None:
                built[field.name] = converted
        except Unfit as unfit:
            problems.append(problem(partner, field.pointer(at), unfit.code, unfit.message))
    return built, problems


def each_as(fields: tuple[Field, ...], partner: str) -> Convert:
    """A list of the partner's objects, of which nothing is required."""
    return lambda parts: [translate(fields, each, partner)[0] for each in parts]


def problem(partner: str, pointer: str, code: str, message: str) -> FieldProblem:
    return FieldProblem(pointer=pointer, code=code, message=message, phase="partner", partner=partner)


def pointers(fields: Iterable[Field], at: str = "") -> dict[str, str]:
    """Canonical pointer of each of the partner's field names; of the whole part where a name occurs twice."""
    found: dict[str, str] = {}
    for field in fields:
        here = {field.name: field.pointer(at)} | pointers(field.fields, field.pointer(at))
        found |= {name: at if name in found else pointer for name, pointer in here.items()}
    return found


def word(table: Mapping[str, str], what: str) -> Convert:
    """Translate by a closed table."""

    def convert(value: str) -> str:
        if value not in table:
            raise Unfit("not-supported", f"this partner does not take this {what}")
        return table[value]

    return convert


def matching(pattern: str, message: str, drop: str = "[ ./-]") -> Convert:
    """Text without separators that has the form `pattern`."""

    def convert(value: str) -> str:
        text = re.sub(drop, "", value)
        if not re.fullmatch(pattern, text):
            raise Unfit("format", message)
        return text

    return convert


def us_phone(value: str) -> str:
    """Ten digits; the country code +1 may stand before them."""
    text = re.sub(r"^\+?1(?=[0-9]{10}$)", "", value)
    if not re.fullmatch(r"[0-9]{10}", text):
        raise Unfit("format", "must be a telephone number of the United States, ten digits")
    return text


def us_state(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2}", value):
        raise Unfit("format", "must be the two-letter code of a state")
    return value.upper()


us_zip = matching(r"[0-9]{5}(-[0-9]{4})?", "must be a ZIP code of five or nine digits", drop=" ")


def number(value: Decimal) -> int | float:
    """A JSON number to the cent; exact for every sum below a trillion."""
    return int(value) if value == int(value) else float(round(value, 2))


def then(*steps: Convert) -> Convert:
    """One after the other, until one leaves the field out."""

    def convert(value: Any) -> Any:
        for step in steps:
            value = None if value is None else step(value)
        return value

    return convert


def amount_in(currency: str, called: str) -> Convert:
    """The bare amount of a sum in `currency`, which the applicant knows as `called`."""

    def convert(value: Money) -> Decimal:
        if value.currency != currency:
            raise Unfit("currency", f"must be in {called} for this partner")
        return value.amount

    return convert


def cut(longest: int) -> Convert:
    """Text, cut to `longest` characters."""
    return lambda text: text[:longest]


def months_since(today: dt.date) -> Convert:
    """Full months; fewer than none for a day to come."""
    return lambda start: (today.year - start.year) * 12 + today.month - start.month - (today.day < start.day)


def months(term: Term) -> int:
    if term.unit not in ("months", "years"):
        raise Unfit("not-supported", "must be in months or years for this partner")
    return term.value * (12 if term.unit == "years" else 1)
