"""Optimum Finance. Its calls have no reference of ours: each application has a company number of its own."""

from __future__ import annotations

import copy
import itertools
from functools import cache
from typing import Any

from tests.partners.rehearsals import FULL, Rehearsal, Settings, json_without

_numbers = itertools.count(1)


@cache
def company_number(mark: str) -> str:
    """Another one for each mark; no register gives numbers that begin with ZZ."""
    return f"ZZ{next(_numbers):06}"


def uk_application(turnover: str, mark: str) -> dict[str, Any]:
    """A wine merchant in the United Kingdom under the name that the sandbox gives to its number."""
    data = copy.deepcopy(FULL)
    number, pounds = company_number(mark), {"amount": turnover, "currency": "GBP"}
    data["business"] |= {
        "legalName": f"Fake Company {number} Limited",
        "tradingName": "Fake Wines",
        "country": "GB",
        "registrations": [{"scheme": "company-number", "country": "GB", "number": number}],
        "industry": {"sic": "46342"},
    }
    data["owners"] = [
        {
            "firstName": "Testa",
            "lastName": "Fakely",
            "roles": ["director", "applicant"],
            "applicant": True,
            "email": "testa@example.test",
            "mobilePhone": "07000 000 000",
        }
    ]
    data["financials"] = {"expectedAnnualRevenue": pounds, "customers": 41}
    data["requestedFinance"] = {"product": "invoice-factoring", "amount": {"amount": "50000", "currency": "GBP"}}
    return data


def _auth(introducer: str) -> Settings:
    return {"scheme": "introducer-id", "value": introducer}


REHEARSALS = (
    Rehearsal(
        name="optimum-finance",
        partner_name="optimum-finance",
        path="/optimum-finance/api/v1/instant-decision",
        users=(
            {
                "partner": "optimum-finance",
                "user": "introducer",
                "settings": {"introducerId": "00TESTINTRODUCER", "decisionDelayMs": 0},
            },
        ),
        auth=lambda url: _auth("00TESTINTRODUCER"),
        wrong_auth=lambda url: _auth("00WRONGINTRODUCE"),
        operations={"create": "decide", "read": "update"},
        application=uk_application,
        ledger_reference=lambda reference, data: str(data["business"]["registrations"][0]["number"]),
        amounts={"approve": "950000", "decline": "950001", "refer": "950005"},
        spoil=json_without("companyNumber"),
        spoilt_at=frozenset({"/business/registrations"}),
        duplicate_ids=True,
    ),
)
