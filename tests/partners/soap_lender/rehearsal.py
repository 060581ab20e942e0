"""The SOAP lender, at its two endpoints."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lxml import etree
from tests.partners.rehearsals import Rehearsal, Settings

from lendrail.partners.exchange import Request


def user(name: str, **settings: Any) -> dict[str, Any]:
    settings = {"password": "fake-password", "decisionDelayMs": 0} | settings
    return {"partner": "soap-lender", "user": name, "settings": settings}


def auth(name: str, version: str, **more: str) -> Settings:
    settings = {"scheme": "wsse", "username": name, "password": "fake-password"}
    return settings | {"environment": "Discovery", "version": version} | more


def without_last_names(request: Request) -> Request:
    return replace(request, content=re.sub(rb"<ns0:LastName>.*?</ns0:LastName>", b"", request.content, count=1))


def without(path: str) -> Callable[[Request], Request]:
    """Takes out the first element that stands at the end of `path`, or all where it ends with `*`."""

    def spoil(request: Request) -> Request:
        envelope = etree.fromstring(request.content)
        steps = "/".join(f"{{*}}{step}" for step in path.removesuffix("*").split("/"))
        found = envelope.findall(f".//{steps}")
        for each in found if path.endswith("*") else found[:1]:
            each.getparent().remove(each)
        return replace(request, content=etree.tostring(envelope))

    return spoil


MISSING = {
    "/business/addresses": without("Business/Address"),
    "/business/entityType": without("Business/EntityType"),
    "/owners": without("Persons/Person*"),
    "/owners/0/address": without("Person/Address"),
    "/owners/0/birthDate": without("Person/BirthDate"),
}


def _rehearsal(number: str, version: str) -> Rehearsal:
    name = f"soap-{number}"
    return Rehearsal(
        name=f"soap-lender-{number}",
        partner_name="soap-lender",
        path=f"/soap-lender/soap{number}",
        users=(user(name), {**user(f"{name}-slow"), "rateLimit": {"requests": 1, "seconds": 1}}),
        auth=lambda url: auth(name, version),
        wrong_auth=lambda url: auth(name, version, password="fake-wrong-password"),
        limited=lambda url: auth(f"{name}-slow", version),
        operations={
            "create": "submit",
            "document": "document",
            "update": "update",
            "withdraw": "update",
            "read": "read",
            "search": "list",
            "index": "list",
            "feed": "mailbox",
            "acknowledge": "acknowledge",
        },
        amounts={"approve": "50000", "decline": "50001", "missing": "50002", "refer": "50005"},
        spoil=without_last_names,
        spoilt_at=frozenset({"/owners/0/lastName"}),
        missing=MISSING,
    )


QUIRKS = (
    user("soap-fault-200", quirks=["fault-200"]),
    user("soap-sloppy", quirks=["missing-nillable", "extra-element"]),
    user("soap-slash", quirks=["namespace-slash"]),
    user("soap-failing", quirks=["server-fault"]),
    user("soap-failing-late", quirks=["server-fault-after-work"]),
    user("soap-expired", passwordExpired=True),
    user("soap-production", environment="Production"),
    user("soap-forgetful", keyLifeSeconds=0),
    user("soap-mail"),
    user("soap-index"),
)
"""Users of `tests/partners/test_soap_lender_quirks.py`."""
_ELEVEN, _TWELVE = _rehearsal("11", "1.1"), _rehearsal("12", "1.2")
REHEARSALS = (replace(_ELEVEN, users=(*_ELEVEN.users, *QUIRKS)), _TWELVE)
