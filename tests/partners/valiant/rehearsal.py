"""Valiant's Lead API, with option lists as its simulator gives them."""

from __future__ import annotations

import copy
import json
from typing import Any

from tests.partners.rehearsals import FULL, Rehearsal, Settings, json_without

from lendrail.contracts.terms import Status


def _list(**values: str) -> list[dict[str, str]]:
    return [{"label": label, "value": value} for value, label in values.items()]


LISTS = {
    "accounting_software": _list(xero="Xero", myob="MYOB"),
    "australian_state": _list(NSW="New South Wales", VIC="Victoria", NT="Northern Territory"),
    "credit_status": _list(good="Good", fair="Fair"),
    "entity_type": _list(IND="Sole trader", PRV="Private company"),
    "equipment_class": _list(catering="Catering", excavator="Excavator"),
    "industry": _list(hospitality="Hospitality", construction="Construction"),
    "loan_purpose": _list(general="General", equipment="Equipment purchase"),
}
WORDS = {"entity_type": {"sole-proprietor": "IND"}, "industry": {"anzsic:H": "hospitality", "anzsic:E": "construction"}}
OPTIONS = {"lists": json.dumps(LISTS), "words": json.dumps(WORDS)}


def au_application(amount: str, mark: str) -> dict[str, Any]:
    """A bakery in Australia."""
    text = json.dumps(copy.deepcopy(FULL)).replace('"USD"', '"AUD"')
    data: dict[str, Any] = json.loads(text)
    address = {"line1": "2 Nowhere Rd", "city": "Faketown", "region": "NSW", "postalCode": "2999", "country": "AU"}
    data["business"] |= {
        "legalName": "Fake Bakery Pty Ltd",
        "entityType": "private-company",
        "country": "AU",
        "registrations": [{"scheme": "abn", "country": "AU", "number": "89 000 000 019"}],
        "industry": {"anzsic": "H4511"},
        "addresses": [address],
    }
    data["owners"] = [
        {
            "firstName": "Testa",
            "lastName": "Fakely",
            "roles": ["director", "applicant"],
            "applicant": True,
            "guarantor": True,
            "email": "testa@example.test",
            "mobilePhone": "0400 000 000",
        }
    ]
    data["requestedFinance"] |= {"product": "equipment-loan", "amount": {"amount": amount, "currency": "AUD"}}
    return data


def _auth(secret: str) -> Settings:
    return {
        "scheme": "signed-key",
        "uuid": "00000000-0000-4000-8000-000000000001",
        "key": "fake-key",
        "secret": secret,
    }


_SIGN_IN = {name: value for name, value in _auth("fake-secret").items() if name != "scheme"}

REHEARSALS = (
    Rehearsal(
        name="valiant",
        partner_name="valiant",
        path="/valiant/api/v1",
        users=({"partner": "valiant", "user": "referrer", "settings": _SIGN_IN | {"decisionDelayMs": 0}},),
        auth=lambda url: _auth("fake-secret"),
        wrong_auth=lambda url: _auth("fake-wrong-secret"),
        operations={"create": "create_lead", "read": "read_lead", "options": "options"},
        options=OPTIONS,
        application=au_application,
        amounts={"approve": "75000", "decline": "75001"},
        best=Status.SUBMITTED,
        published_reasons=False,
        spoil=json_without("email"),
        spoilt_at=frozenset({"/owners"}),
        duplicate_ids=True,
    ),
)
