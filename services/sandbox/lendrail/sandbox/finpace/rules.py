"""Which bodies the simulated Finpace takes, and what it says about the others. Texts repeat nothing that was sent."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Fault = dict[str, str]
"""`field` (dotted), `code`, `message`."""
_AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,2})?")
_MODES = ("automated", "hybrid", "manual")


def party(body: Mapping[str, Any]) -> list[Fault]:
    faults = list(_required(body, "partyType", "displayName"))
    faults += _listed(body, "partyType", ("organization", "individual"))
    for name in ("displayName", "legalName", "registrationNumber", "segment", "taxNumber"):
        faults += _typed(body, name, _is_text)
    faults += _typed(body, "countryOfIncorporation", _is_country)
    for at, address in _entries(body, "addresses", faults):
        for name in ("line1", "line2", "city", "postalCode", "region"):
            faults += _typed(address, name, _is_text, at)
        faults += _typed(address, "country", _is_country, at)
    for at, contact in _entries(body, "contacts", faults):
        faults += _required(contact, "type", "value", at=at)
        faults += _typed(contact, "preferred", lambda value: isinstance(value, bool), at)
    return faults


def draft(body: Mapping[str, Any], facilities: Sequence[str]) -> list[Fault]:
    """Whether the party is known is not judged here."""
    faults = list(_required(body, "partyId", "facilityType", "requestedAmount", "requestedTenorMonths"))
    faults += _typed(body, "partyId", _is_text)
    faults += _listed(body, "facilityType", facilities)
    faults += _typed(body, "requestedTenorMonths", lambda value: _is_whole(value) and 1 <= value <= 600)
    faults += _typed(body, "purpose", _is_text)
    faults += _listed(body, "decisionMode", _MODES)
    if _given(amount := body.get("requestedAmount")):
        amount = amount if isinstance(amount, dict) else {}
        faults += _required(amount, "amount", "currency", at="requestedAmount.")
        faults += _typed(amount, "amount", _is_amount, "requestedAmount.")
        faults += _typed(amount, "currency", lambda value: _matches("[A-Z]{3}", value), "requestedAmount.")
    return faults


def subscription(body: Mapping[str, Any], is_url: Callable[[object], bool]) -> list[Fault]:
    faults = list(_required(body, "eventTypes", "targetUrl"))
    faults += _typed(body, "eventTypes", lambda value: isinstance(value, list) and all(map(_is_text, value)))
    faults += _typed(body, "targetUrl", is_url)
    return [*faults, *_typed(body, "secret", _is_text), *_typed(body, "description", _is_text)]


def fault(field: str, code: str, message: str) -> Fault:
    return {"field": field, "code": code, "message": message}


def _given(value: Any) -> bool:
    return value is not None and value != ""


def _required(body: Mapping[str, Any], *names: str, at: str = "") -> Iterator[Fault]:
    return (fault(at + name, "REQUIRED", "is required") for name in names if not _given(body.get(name)))


def _typed(body: Mapping[str, Any], name: str, good: Callable[[Any], bool], at: str = "") -> Iterator[Fault]:
    if _given(body.get(name)) and not good(body[name]):
        yield fault(at + name, "INVALID", "is invalid")


def _listed(body: Mapping[str, Any], name: str, words: Sequence[str]) -> Iterator[Fault]:
    if _given(body.get(name)) and body[name] not in words:
        yield fault(name, "NOT_SUPPORTED", "is not included in the list")


def _entries(body: Mapping[str, Any], name: str, faults: list[Fault]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    entries = body.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        faults.append(fault(name, "INVALID", "is invalid"))
        return
    yield from ((f"{name}.{place}.", each) for place, each in enumerate(entries))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _matches(pattern: str, value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_country(value: object) -> bool:
    return _matches("[A-Z]{2}", value)


def _is_amount(value: object) -> bool:
    return isinstance(value, str) and _AMOUNT.fullmatch(value) is not None and float(value) > 0
