"""The 10 000 real loans at every partner: who takes how many, and that nobody is told a false industry."""

from __future__ import annotations

import csv
import datetime as dt
import email
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from lendrail.contracts.application import Application
from lendrail.local.fit import OPTIONS, Fits
from lendrail.local.loans import EVERY, LOANS, PAGE, all_at_home, as_they_are, home, page
from lendrail.local.sample import application, at_home
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Request
from lendrail.partners.forward_financing.vocabularies import INDUSTRIES
from lendrail.partners.partner import Order

PLANNED_AT = dt.datetime(2030, 1, 2, tzinfo=dt.UTC)
TRIED = 500
SECTORS = {  # NAICS sectors, all editions, and which of Forward Financing's words can be true of them
    "11": {"Farming"},
    "23": {"General Contractor", "Subcontractor", "Electricians/Plumbing/HVAC"},
    "31 32 33": {"Manufacturing"},
    "42": {"Wholesale & Distribution", "Recycling"},
    "44 45": {
        *{"Retail", "Automotive", "Convenience Stores", "Furniture", "Gas Stations", "Jewelry", "Pharmacies"},
        "Wine & Liquor",
    },
    "48 49": {"Trucking & Transportation"},
    "52 53": {"Real Estate/Insurance"},
    "54": {"Accounting & Tax Services", "Consulting", "Law Firms", "Other Business Services"},
    "56": {"Janitorial", "Landscaping", "Other Business Services", "Recycling", "Security Guard", "Staffing", "Travel"},
    "61": {"Education"},
    "62": {"Medical", "Home Healthcare", "Other Consumer"},
    "71": {"Gyms", "Other Consumer", "Ticket/Concert Venues"},
    "72": {"Hotels/Hospitality", "Restaurants & Bars"},
    "81": {"Automotive", "Other Business Services", "Other Consumer", "Salons & Spas"},
}
WORDS_OF = {sector: words for sectors, words in SECTORS.items() for sector in sectors.split()}
TABLE = {"naics:72": "Hospitality", "naics:7224": "Bars", "naics:23": "Builders"}
"""What a tenant may have agreed with a partner whose list is not public."""
AGREED: dict[str, dict[str, str]] = {
    "optimum-finance": {"sectors": json.dumps(TABLE)},
    "valiant": {
        "lists": json.dumps({"industry": [{"label": each, "value": each} for each in TABLE.values()]}),
        "words": json.dumps({"industry": TABLE}),
    },
}
"""Options under which partners with lists of their own take some of the industries."""


@pytest.fixture(scope="module")
def rows(project: Path) -> list[tuple[int, dict[str, str]]]:
    """Some loans, the same ones every time, with the number of their row."""
    with (project / LOANS).open(newline="") as text:
        numbered = list(enumerate(csv.DictReader(text), start=1))
    return random.Random(7).sample([each for each in numbered if each[1]["term_months"] != "0"], TRIED)


@pytest.fixture(scope="module")
def known(project: Path) -> Fits:
    return as_they_are(project / LOANS, calls=False)


def test_page_is_fresh(project: Path, known: Fits) -> None:
    """`python -m lendrail.local.loans` writes it again, and makes all calls too."""
    moved = all_at_home(project / LOANS, calls=False)
    assert known.asked == EVERY
    assert (project / PAGE).read_text() == page(known, moved)


def test_terms_of_zero_months_are_no_applications(project: Path, known: Fits) -> None:
    with (project / LOANS).open(newline="") as text:
        without_term = sum(row["term_months"] == "0" for row in csv.DictReader(text))
    assert dict(known.reasons) == {("/requestedFinance/term/value", "greater_than_equal"): without_term}
    assert known.unsound == without_term == 12


@pytest.mark.parametrize("name", PARTNERS)
def test_no_industry_is_invented(name: str, rows: list[tuple[int, dict[str, str]]]) -> None:
    """Every call is read as the partner reads it. Whom a partner takes is asked at home, and without a product, so
    that partners abroad and those for one product alone are told industries too.
    """
    partner, options = PARTNERS[name], dict(OPTIONS[name]) | AGREED.get(name, {})
    told: Counter[str | None] = Counter()
    for number, row in rows:
        made = at_home(application(row, number), home(partner))
        made["requestedFinance"].pop("product", None)
        loan = Application.model_validate(made)
        if partner.check(loan, options):
            continue
        order = Order(application=loan, reference=f"loan-{number}", options=options, planned_at=PLANNED_AT)
        word = SAYS[name](partner.create(order))
        told[word] += 1
        assert _is_true(name, word, row["naics"] or None), f"row {number}"
    assert sum(told.values()) >= 40
    assert set(told) == {None} if name in SILENT else len(set(told) - {None}) >= 3


SILENT = ("finpace", "monetago")
"""Partners that are told no industry at all."""


def _is_true(name: str, word: str | None, code: str | None) -> bool:
    if word is None:
        return name in SILENT or code is None
    if code is None:
        return False
    if name == "forward-financing":
        return word in INDUSTRIES and word in WORDS_OF[code[:2]]
    if name in AGREED:
        rows = (key for key in sorted(TABLE, key=len, reverse=True) if f"naics:{code}".startswith(key))
        return word == TABLE[next(rows)]
    return word == code


def _json(requests: tuple[Request, ...], *path: str) -> str | None:
    (request,) = requests
    found: Any = json.loads(request.content)
    for step in path:
        found = found.get(step, {})
    return found or None


def _of_mail(requests: tuple[Request, ...]) -> str | None:
    """All that its part for programs says of the industry."""
    mail = email.message_from_bytes(requests[0].content, policy=default)
    (part,) = mail.iter_attachments()
    industry = json.loads(part.get_content())["application"]["business"].get("industry", {})
    assert set(industry) <= {"naics"}
    naics: str | None = industry.get("naics")
    return naics


def _of_soap(requests: tuple[Request, ...]) -> str | None:
    elements = [each for each in etree.fromstring(requests[0].content).iter() if "Industry" in str(each.tag)]
    said = {etree.QName(each).localname: each.text for every in elements for each in every}
    assert set(said) <= {"Naics"}
    return said.get("Naics")


def _silent(requests: tuple[Request, ...]) -> str | None:
    keys = {key.casefold() for each in requests for key in _keys(json.loads(each.content))}
    return next((key for key in keys if any(part in key for part in ("industr", "sector", "naics", "anzsic"))), None)


def _keys(body: Any) -> Iterator[str]:
    if isinstance(body, Mapping):
        yield from body
    for each in body.values() if isinstance(body, Mapping) else body if isinstance(body, list) else ():
        yield from _keys(each)


SAYS: dict[str, Any] = {
    "email-lender": _of_mail,
    "finpace": _silent,
    "forward-financing": lambda sent: _json(sent, "lead", "account_attributes", "industry_name"),
    "monetago": _silent,
    "optimum-finance": lambda sent: _json(sent, "sector"),
    "reference-partner": lambda sent: _json(sent, "business", "industry", "naics"),
    "soap-lender": _of_soap,
    "valiant": lambda sent: _json(sent, "industry"),
}
"""What each partner is told of the industry; None: nothing."""
