"""Applications from real loans: amounts, terms, industries, states and sizes of the SBA's 7(a) sample.

Its gaps stay: no industry code, zero employees, a term of zero months. People, names and numbers are invented, the same
for the same row, and obviously fake: social security numbers in the range 900 that is never issued, telephone numbers
555-01xx that are kept for fiction, addresses in a ZIP code that does not exist.
"""

import copy
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

FIRST = ("Testa", "Mocka", "Sampla", "Demo", "Proba", "Fictus", "Exampla", "Placida")
LAST = ("Fakely", "Samplesson", "Notreal", "Inventado", "Placeholder", "Mockingham", "Testersen")
KINDS = ("limited-liability-company", "corporation", "sole-proprietor", "limited-liability-company")
STARTED = {"existing": "2014-05-01", "new": "2026-03-01"}


@dataclass(frozen=True)
class Home:
    """How a country writes numbers; these are nobody's."""

    currency: str
    phone: str
    """All but the last two digits, in a range that is kept for fiction."""
    postcode: str
    scheme: str
    register_number: str


HOMES = {
    "US": Home("USD", "212-555-01", "00000", "ein", "00-{:07d}"),
    "GB": Home("GBP", "+44 20 7946 00", "ZZ1 1ZZ", "company-number", "ZZ{:06d}"),
    "AU": Home("AUD", "+61 2 5550 00", "0000", "abn", "{:011d}"),
}


def applications(file: Path, count: int, skip: int = 0) -> Iterator[dict[str, Any]]:
    """The first `count` rows after `skip`, as applications in the upstream's words."""
    with file.open(newline="") as text:
        for number, row in islice(enumerate(csv.DictReader(text), start=1), skip, skip + count):
            yield application(row, number)


def application(row: dict[str, str], number: int) -> dict[str, Any]:
    """One loan as an application; absent in the data is absent here."""
    applied = {
        "business": _business(row, number),
        "owners": [_owner(row, number)],
        "financials": {"annualRevenue": _dollars(f"{float(row['amount_usd']) * 2.4:.2f}")},
        "requestedFinance": _wish(row),
        "consents": [_consent(number)],
        "externalReferences": [{"system": "demo-crm", "kind": "deal", "value": f"SBA-{number:05d}"}],
        "metadata": {"sampleRow": str(number), "approvedOn": row["approval_date"]},
        "targetPartners": ["forward-financing"],
        "mode": "test",
    }
    return {name: value for name, value in applied.items() if value}


def at_home(made: dict[str, Any], country: str) -> dict[str, Any]:
    """The same as if the business were in `country`, and with one invoice, customers and revenue to come, which the
    data does not have and some partners need. What the loan itself says stays.
    """
    there, number, home = copy.deepcopy(made), int(made["metadata"]["sampleRow"]), HOMES[country]
    business, (owner,), money = there["business"], there["owners"], there["financials"]
    business |= {"country": country, "phone": _phone(number, home)}
    register_number = home.register_number.format(number)
    business["registrations"] = [{"scheme": home.scheme, "country": country, "number": register_number}]
    owner["mobilePhone"] = _phone(number + 50, home)
    for address in (*business["addresses"], owner["address"]):
        address |= {"country": country, "postalCode": home.postcode}
        if country != "US":
            address.pop("region", None)
    if country != "US":
        del owner["ssn"]
    for each in (there["requestedFinance"]["amount"], money["annualRevenue"]):
        each["currency"] = home.currency
    money |= {"expectedAnnualRevenue": money["annualRevenue"], "customers": 10}
    return there | {"invoices": [_invoice(there, number)]}


def _invoice(made: dict[str, Any], number: int) -> dict[str, Any]:
    """Over the whole amount that is asked for."""
    return {
        "number": f"SAMPLE-{number:05d}",
        "issuer": {"name": made["business"]["legalName"], "country": made["business"]["country"]},
        "debtor": {"name": "Fictional Customer", "country": made["business"]["country"]},
        "issuedOn": "2026-01-10",
        "amount": made["requestedFinance"]["amount"],
    }


def _business(row: dict[str, str], number: int) -> dict[str, Any]:
    known = {
        "legalName": f"Example Venture {number:05d} LLC",
        "entityType": KINDS[number % len(KINDS)],
        "country": "US",
        "registrations": [{"scheme": "ein", "country": "US", "number": f"00-{number:07d}"}],
        "industry": {"naics": row["naics"]} if row["naics"] else None,
        "startDate": STARTED.get(row["business_age"]),
        "phone": _phone(number),
        "email": f"office{number}@venture.example.test",
        "addresses": [_address(row, number)],
        "employees": int(row["employees"]) if row["employees"] else None,
        "franchise": {"brand": "Example Brand"} if row["franchise"] == "yes" else None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _owner(row: dict[str, str], number: int) -> dict[str, Any]:
    return {
        "firstName": FIRST[number % len(FIRST)],
        "lastName": LAST[number % len(LAST)],
        "birthDate": f"19{60 + number % 35}-01-01",
        "ssn": f"900-{number // 10_000 % 100:02d}-{number % 10_000:04d}",
        "email": f"owner{number}@people.example.test",
        "mobilePhone": _phone(number + 50),
        "address": _address(row, number),
        "ownershipPercent": "100",
        "applicant": True,
    }


def _wish(row: dict[str, str]) -> dict[str, Any]:
    wish: dict[str, Any] = {"amount": _dollars(row["amount_usd"]), "purpose": "working-capital"}
    if row["term_months"]:
        wish["term"] = {"value": int(row["term_months"]), "unit": "months"}
    if row["revolving"]:
        wish["product"] = "line-of-credit" if row["revolving"] == "yes" else "term-loan"
    return wish


def _consent(number: int) -> dict[str, Any]:
    return {
        "kind": "share-with-partners",
        "givenBy": f"{FIRST[number % len(FIRST)]} {LAST[number % len(LAST)]}",
        "givenAt": "2026-01-15T09:00:00Z",
        "textVersion": "2026-01",
        "partners": "all",
    }


def _address(row: dict[str, str], number: int) -> dict[str, str]:
    address = {"line1": f"{number} Nowhere Road", "city": "Faketown", "postalCode": "00000", "country": "US"}
    return address | ({"region": row["state"]} if row["state"] else {})


def _phone(number: int, home: Home = HOMES["US"]) -> str:
    return f"{home.phone}{number % 100:02d}"


def _dollars(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "USD"}
