"""Real loans become applications; their gaps stay, their people are invented."""

import csv
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lendrail.contracts.application import Application
from lendrail.local.sample import application, applications

ROW = {
    "state": "CT",
    "naics": "812199",
    "approval_date": "2004-10-29",
    "term_months": "36",
    "employees": "4",
    "business_age": "existing",
    "franchise": "no",
    "area": "rural",
    "revolving": "yes",
    "amount_usd": "10000",
    "disbursed_usd": "19650",
    "outcome": "paid-in-full",
}


@pytest.fixture(scope="module")
def loans(project: Path) -> Path:
    return project / "examples" / "sba-7a-sample.csv"


def test_facts_come_from_the_loan() -> None:
    made = application(ROW, 7)
    assert made["requestedFinance"]["amount"] == {"amount": "10000", "currency": "USD"}
    assert made["requestedFinance"]["term"] == {"value": 36, "unit": "months"}
    assert made["requestedFinance"]["product"] == "line-of-credit"
    assert made["business"]["industry"] == {"naics": "812199"}
    assert made["business"]["employees"] == 4
    assert made["business"]["addresses"][0]["region"] == "CT"


def test_gaps_stay() -> None:
    made = application(
        ROW | {"naics": "", "employees": "0", "term_months": "0", "business_age": "", "revolving": ""}, 7
    )
    assert "industry" not in made["business"]
    assert "startDate" not in made["business"]
    assert made["business"]["employees"] == 0
    assert made["requestedFinance"]["term"]["value"] == 0
    assert "product" not in made["requestedFinance"]


def test_people_are_obviously_fake_and_the_same_every_time(loans: Path) -> None:
    first, again = list(applications(loans, 200)), list(applications(loans, 200))
    assert first == again
    for made in first:
        (owner,) = made["owners"]
        assert owner["ssn"].startswith("900-")
        assert "-555-01" in owner["mobilePhone"]
        assert owner["email"].endswith(".example.test")
        assert owner["address"]["postalCode"] == "00000"


def test_each_loan_has_its_own_reference(loans: Path) -> None:
    references = [made["externalReferences"][0]["value"] for made in applications(loans, 500)]
    assert len(set(references)) == 500
    assert next(applications(loans, 1, skip=100))["externalReferences"][0]["value"] == "SBA-00101"


def test_only_the_terms_of_zero_months_are_unsound(loans: Path) -> None:
    with loans.open(newline="") as text:
        rows = [row for row, _ in zip(csv.DictReader(text), range(2000), strict=False)]
    for number, row in enumerate(rows, start=1):
        found = _problems(application(row, number))
        assert found == ({("requestedFinance", "term", "value")} if row["term_months"] == "0" else set())


def _problems(made: dict[str, Any]) -> set[tuple[Any, ...]]:
    try:
        Application.model_validate(made)
    except ValidationError as error:
        return {each["loc"] for each in error.errors()}
    return set()
