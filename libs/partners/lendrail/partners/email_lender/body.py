"""The content as people read it, in text and HTML, and as programs do, in JSON or CSV."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any

from jinja2 import PackageLoader, StrictUndefined, Template, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

Row = tuple[str, str]
TITLES = {
    "requestedFinance": "Finance wanted",
    "business": "Business",
    "owners": "People",
    "financials": "Financial position",
    "existingLoans": "Existing loans",
    "invoices": "Invoices",
    "tradeDocuments": "Trade documents",
    "equipment": "Equipment",
    "riskAssessments": "Risk assessments",
    "metadata": "Further information",
    "externalReferences": "References of other systems",
    "consents": "Consents",
    "notes": "Notes",
}
_LABELS = {
    "naics": "NAICS",
    "anzsic": "ANZSIC",
    "sic": "SIC",
    "phoenix": "Continues a failed company",
    "invoicesCustomers": "Sells on invoice",
    "ownershipPercent": "Ownership, per cent",
    "balloonPercent": "Balloon, per cent",
}
"""Where the name on the wire does not read well; other names speak for themselves."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A spreadsheet takes a cell that begins so for a formula; the last four are the wide forms of the first."""


@dataclass(frozen=True)
class Section:
    """`blocks` are its entries, each a list of rows."""

    title: str
    blocks: tuple[tuple[Row, ...], ...]


def sections(content: Mapping[str, Any]) -> tuple[Section, ...]:
    """In the order of `TITLES`."""
    return tuple(
        Section(title, tuple(filter(None, _blocks(name, content[name]))))
        for name, title in TITLES.items()
        if name in content
    )


def render(name: str, about: Mapping[str, Any]) -> str:
    return _template(name).render(about)


@cache
def _template(name: str) -> Template:
    """Sandboxed, since a template that is changed by mistake shall not reach beyond its mail."""
    environment = ImmutableSandboxedEnvironment(
        loader=PackageLoader("lendrail.partners.email_lender", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def as_json(facts: Mapping[str, Any]) -> bytes:
    """ASCII only, so that no program can take its encoding for another."""
    return json.dumps(facts, indent=1).encode("ascii") + b"\n"


def as_csv(facts: Mapping[str, Any]) -> bytes:
    """One row for each value, under its path; UTF-8. No cell can be taken for a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(("field", "value"))
    writer.writerows((_cell(path), _cell(value)) for path, value in _flat(facts))
    return text.getvalue().encode()


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping | list):
        entries = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, each in entries:
            yield from _flat(each, f"{path}.{name}" if path else str(name))
    else:
        yield path, ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    number = re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text)
    return f"'{text}" if text.startswith(_FORMULA) and not number else text


def _blocks(name: str, value: Any) -> Iterator[tuple[Row, ...]]:
    match name:
        case "notes":
            yield (("", value),)
        case "metadata":
            yield tuple((key, each) for key, each in value.items())
        case "externalReferences":
            yield tuple((f"{each['system']} {each['kind']}", each["value"]) for each in value)
        case "riskAssessments":
            yield tuple((_words(each["kind"]), _risk(each)) for each in value)
        case "consents":
            yield tuple((_words(each["kind"]), f"given {_time(each['givenAt'])}") for each in value)
        case "owners":
            yield from ((("Name", _name(each)), *_rows(each, but=_NAMES)) for each in value)
        case "requestedFinance":
            yield _rows(value, but={"security"})
            yield from (
                (("Security", _words(each["kind"])), *_rows(each, but={"kind"})) for each in value.get("security", ())
            )
        case _:
            yield from (_rows(each) for each in (value if isinstance(value, list) else [value]))


_NAMES = frozenset({"firstName", "middleName", "lastName"})


def _name(person: Mapping[str, Any]) -> str:
    return " ".join(person[part] for part in ("firstName", "middleName", "lastName") if part in person)


def _rows(fields: Mapping[str, Any], but: Set[str] = frozenset()) -> tuple[Row, ...]:
    return tuple((_label(name), said(value)) for name, value in fields.items() if name not in but)


def _label(name: str) -> str:
    words = re.sub(r"([A-Z])", r" \1", name).lower()
    return _LABELS.get(name) or words[:1].upper() + words[1:]


def _words(word: str) -> str:
    return word.replace("-", " ")


def said(value: Any) -> str:
    """A value in words."""
    match value:
        case bool():
            return "yes" if value else "no"
        case {"amount": amount, "currency": currency}:
            return f"{Decimal(amount):,.2f} {currency}".replace(".00 ", " ")
        case {"value": count, "unit": unit}:
            return f"{count} {unit}"
        case {"line1": _} | {"name": _}:
            return ", ".join(said(each) for each in value.values())
        case Mapping():
            return ", ".join(f"{_label(name)} {said(each)}" for name, each in value.items())
        case list():
            return "; ".join(said(each) for each in value)
        case Enum():
            return _words(value.value)
    return str(value)


def _risk(check: Mapping[str, Any]) -> str:
    parts = [_words(check["result"])]
    parts += [f"score {check['score']}"] if "score" in check else []
    parts += [f"by {check['provider']}"] if "provider" in check else []
    parts += [_time(check["assessedAt"])] if "assessedAt" in check else []
    return ", ".join(parts) + (f"\n{check['details']}" if "details" in check else "")


def _time(moment: str) -> str:
    return dt.datetime.fromisoformat(moment).astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
