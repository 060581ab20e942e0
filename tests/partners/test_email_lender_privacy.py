"""What of an application is never mailed, wherever somebody wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from tests.partners.email_lender.making import (
    DOCUMENT,
    LINK,
    application,
    attached,
    everything,
    facts,
    made,
    opened,
)

from lendrail.contracts.application_fields import AccountNumber, IdentityNumber
from lendrail.contracts.sensitive import Sensitive, SensitiveDate, Ssn
from lendrail.partners.email_lender.content import WITHHELD
from lendrail.partners.exchange import (
    File,
)


def values(part: Any, *kinds: type[Sensitive]) -> Iterator[Sensitive]:
    if isinstance(part, kinds):
        yield part
    elif isinstance(part, BaseModel):
        for _, value in part:
            yield from values(value, *kinds)
    elif isinstance(part, tuple | list):
        for value in part:
            yield from values(value, *kinds)


def secrets() -> list[str]:
    """Every social security, identity and account number and birth date of the full example, as it is written there."""
    app = application()
    found = [each.reveal() for each in values(app, Ssn, AccountNumber, IdentityNumber)]
    found += [each.birth_date.reveal() for each in app.owners if each.birth_date]
    found += [
        day.reveal() for owner in app.owners for each in owner.identity_documents for day in values(each, SensitiveDate)
    ]
    assert len(found) >= 14, "the example holds one of each kind"
    return found


def squeezed(text: str) -> str:
    return re.sub(r"[\s./_-]", "", text)


@pytest.mark.parametrize("form", ["json", "csv"])
def test_no_identity_or_account_number_and_no_birth_date_is_mailed(form: str) -> None:
    found = everything(made(application(), DOCUMENT, format=form))
    for secret in secrets():
        assert secret not in found
        assert squeezed(secret) not in found


def test_home_addresses_and_numbers_of_others_stay_here() -> None:
    found = everything(made())
    for words in ("1 Nowhere Rd", "9 Elsewhere St", "4 Nowhere Rd", "6175550102", "S00000000", "OVEN-0000", "@imports"):
        assert words not in found


PLACES = (
    "notes", "business__description", "business__industry__description", "requestedFinance__purposeDescription",
    "riskAssessments__0__details", "metadata__note", "equipment__0__description", "business__legalName",
    "externalReferences__0__value", "riskAssessments__0__kind",
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_numbers_written_into_text_are_swept_out(place: str) -> None:
    for secret in [*secrets(), "900-12-3456"]:
        request = made(application(**{place: f"his number is {secret}, ok"}), DOCUMENT)
        assert secret not in everything(request)
        assert f"his number is {WITHHELD}, ok" in attached(opened(request)).decode()


@pytest.mark.parametrize(
    "written",
    ["900 00 0001", "900.00.0001", "SSN:900000001", "01/01/1980", "1.1.1980", "January 1, 1980", "1st of Jan 1980",
     "0000-0000-0000", "loan 0000", "LOAN/0000", "s-0000-0000", "99 0000001"],
)  # fmt: skip
def test_other_ways_of_writing_them_are_known(written: str) -> None:
    told = facts(made(application(notes=f"It is {written}; call me", metadata={"a": written})))
    assert re.fullmatch(rf"It is (SSN:|loan )?{re.escape(WITHHELD)}; call me", told["application"]["notes"])
    assert WITHHELD in told["application"]["metadata"]["a"]


def test_other_numbers_stay_readable() -> None:
    text = "Order 4711-0815, 3 January 2020, call 617-555-0101, 9000000012 pieces, 12 % of 900"
    assert facts(made(application(notes=text)))["application"]["notes"] == text


def test_names_of_documents_and_keys_are_swept_too() -> None:
    request = made(
        application(metadata={"ssn.900-00-0001": "x"}), File(name="ssn 900-00-0001.pdf", kind="invoice", link=LINK)
    )
    assert "900-00-0001" not in everything(request)
