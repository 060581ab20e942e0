"""The question to the register, and what its answer means. Pure.

Only a plain *no such number* or *cancelled* speaks against an application. Whatever cannot be read, is not known here
or does not fit together is *not checked*: the register's trouble is never the applicant's fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lendrail.partners.abn_lookup.names import alike
from lendrail.partners.abn_lookup.profile import (
    ACTIVE,
    CANCELLED,
    METHOD,
    NO_DATE,
    OPERATION,
    PLACE_OF_GUID,
    SERVICE,
)
from lendrail.partners.channels.soap import SoapFault
from lendrail.partners.exchange import NoAnswer, NotSent, Reply, Request
from lendrail.partners.reading import Unreadable
from lendrail.partners.refusals import retry_after

REFUSED_SECONDS = 300.0
"""How long nobody calls with a GUID that the register does not know."""
THROTTLED_SECONDS = 5.0
"""And after a refusal that names no time."""
_NAMES = ("mainName", "legalName", "mainTradingName", "otherTradingName", "businessName")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A number of eleven digits, and the names that the applicant gives."""

    abn: str = field(repr=False)
    names: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What an answer means. `code` is stable; `rejected` is a fault of the application."""

    result: Literal["passed", "failed", "rejected", "not-checked"]
    code: str
    trouble: bool = False
    """The register has trouble: another try may help, and too much of it holds all calls."""
    hold: float | None = None
    """Seconds for which nobody should call."""


MATCHES = Finding(result="passed", code="matches")
NAME_DIFFERS = Finding(result="failed", code="name-differs")
REPLACED = Finding(result="failed", code="abn-replaced")
NOT_FOUND = Finding(result="rejected", code="abn-not-found")
NO_LONGER = Finding(result="rejected", code="abn-cancelled")
FINDINGS = (MATCHES, NAME_DIFFERS, REPLACED, NOT_FOUND, NO_LONGER)
"""All that the register can be said to have said; any other finding is *not checked*, with a code for why."""


def _not_checked(code: str, *, trouble: bool = False, hold: float | None = None) -> Finding:
    return Finding(result="not-checked", code=code, trouble=trouble, hold=hold)


_REFUSED = _not_checked("refused", hold=REFUSED_SECONDS)
_OUR_FAULT = _not_checked("question-refused")
_SAYS: tuple[tuple[str, str, Finding], ...] = (
    ("SEARCH", r"no records? found", NOT_FOUND),
    ("WEBSERVICES", r".*\bguid\b.*\bnot (recogni[sz]ed|valid|registered)\b.*", _REFUSED),
    ("WEBSERVICES", r".*\bsearch (text|string)\b.*\b(not valid|invalid|not a valid)\b.*", _OUR_FAULT),
    ("WEBSERVICES", r".*\bhistor.*\bmust be\b.*", _OUR_FAULT),
)
"""(code, text, meaning). One code covers what lasts and what passes; a text that is not here is taken to pass."""


def question(abn: str) -> Request:
    """History is not asked for: what was once so is nobody's business here."""
    arguments = {"searchString": abn, "includeHistoricalDetails": "N", "authenticationGuid": PLACE_OF_GUID}
    return SERVICE.request(METHOD, arguments, name=OPERATION)


def meaning(asked: Asked, reply: Reply) -> Finding:
    """Never an exception, whatever the reply holds."""
    if reply.status == 429:
        return _not_checked("throttled", hold=retry_after(reply) or THROTTLED_SECONDS)
    if reply.status in (401, 403):
        return _REFUSED
    try:
        read = SERVICE.read(METHOD, reply)
    except Unreadable:
        if reply.status == 200:
            return _not_checked("unreadable", trouble=True)
        return _not_checked("unavailable", trouble=True, hold=retry_after(reply))
    if isinstance(read, SoapFault):
        return _not_checked("fault", trouble=True)
    said = [*_parts(_below(_below(read.value, "ABRPayloadSearchResults"), "response"))]
    if len(said) != 1:
        return _not_checked("unreadable", trouble=True)
    kind, content = said[0]
    return _exception(content) if kind == "exception" else _entity(asked, content)


def missing(answer: NotSent | NoAnswer) -> Finding:
    """What it means that no reply came."""
    if isinstance(answer, NoAnswer):
        return _not_checked("too-slow" if answer.reason == "deadline" else "unavailable", trouble=True)
    known = answer.reason not in ("invalid-request", "credential-refused", "token-unavailable")
    return _not_checked("unavailable", trouble=known)


def _exception(content: Mapping[str, Any]) -> Finding:
    text = " ".join(_text(content, "exceptionDescription").casefold().split()).rstrip(".")
    for code, pattern, finding in _SAYS:
        if _text(content, "exceptionCode").upper() == code and re.fullmatch(pattern, text):
            return finding
    return _not_checked("register-error", trouble=True)


def _entity(asked: Asked, content: Mapping[str, Any]) -> Finding:
    parts = [*_parts(content)]
    number = _number(asked.abn, [each for kind, each in parts if kind == "ABN"])
    statuses = {_text(each, "entityStatusCode").casefold() for kind, each in parts if _now(kind, each, "entityStatus")}
    if number == "foreign":
        return _not_checked("other-number")
    if statuses == {CANCELLED}:
        return NO_LONGER
    if statuses != {ACTIVE}:
        return _not_checked("status-unknown")
    if number == "replaced":
        return REPLACED
    names = [name for kind, each in parts if _now(kind, each, *_NAMES) for name in _written(each)]
    if not names:
        return _not_checked("name-withheld")
    return MATCHES if alike(asked.names, names) else NAME_DIFFERS


def _number(abn: str, numbers: list[Mapping[str, Any]]) -> Literal["current", "replaced", "foreign"]:
    """What the asked number is to the business of the answer."""
    for each in numbers:
        if _digits(each, "identifierValue") == abn and _text(each, "isCurrentIndicator").upper() == "Y":
            return "current"
    told = (_digits(each, name) for each in numbers for name in ("identifierValue", "replacedIdentifierValue"))
    return "replaced" if abn in told else "foreign"


def _now(kind: str, part: Mapping[str, Any], *wanted: str) -> bool:
    """Of the kind that is wanted, and not ended."""
    return kind in wanted and _text(part, "effectiveTo") in ("", NO_DATE)


def _written(part: Mapping[str, Any]) -> Iterator[str]:
    """The name of an organisation; that of a person in the ways in which people write it."""
    if organisation := _text(part, "organisationName"):
        yield organisation
    given, middle, family = (_text(part, name) for name in ("givenName", "otherGivenName", "familyName"))
    if given and family:
        yield from (
            f"{given} {family}",
            f"{given} {middle} {family}",
            f"{family} {given}",
            f"{family} {given} {middle}",
        )


def _parts(content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The parts of a repeated choice, in their order."""
    for each in content.get("_value_1") or ():
        for name in each:
            yield name, _below(each, name)


def _below(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def _text(content: Mapping[str, Any], name: str) -> str:
    found = content.get(name)
    return found.strip() if isinstance(found, str) else ""


def _digits(content: Mapping[str, Any], name: str) -> str:
    return _text(content, name).replace(" ", "")
