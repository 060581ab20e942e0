"""What goes to the registry. No I/O."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from tests.partners.monetago.making import OPTIONS, RECORDED, REQUEST_ID, body, data, invoice, problems, reply, requests

from lendrail.contracts.application import Application
from lendrail.contracts.terms import Money
from lendrail.partners.channels.access import auth_of
from lendrail.partners.channels.auth import MemoryTokens, OAuth
from lendrail.partners.exchange import (
    Comparison,
)
from lendrail.partners.monetago import MONETAGO, mapping, profile, registration, results
from lendrail.partners.partner import Capability


def test_full_application_becomes_the_documented_registration() -> None:
    assert body(data()) == {
        "submitting_financial_institution_identification": "ZZZZSGS0XXX",
        "batch_collection": [
            {
                "submitter_batch_identification": "TEST-REF-0001",
                "data_set_validation_service": "REGI",
                "financing_validation_request_details": [
                    {
                        "submitter_data_set_identification": "TEST-REF-0001",
                        "financing_applicant": {"name": "Fake Bakery LLC", "country_of_domicile": "US"},
                        "financing_request_amount": {"currency": "USD", "amount": "120,000.00"},
                        "referred_documents": [
                            {
                                "submitter_document_reference": "TEST-REF-0001-invoice",
                                "document_summary": {
                                    "document_type": "CINV",
                                    "issue_date": "2026-01-02",
                                    "seller_identification": {"name": "Fake Bakery LLC", "country_of_domicile": "US"},
                                    "buyer_identification": {"name": "Fake Imports Inc", "country_of_domicile": "US"},
                                    "invoice_number": "INV-TEST-1",
                                    "total_invoice_amount": {"currency": "USD", "amount": "150,000.25"},
                                },
                            }
                        ],
                    }
                ],
            }
        ],
    }


def test_nothing_of_a_person_is_sent() -> None:
    sent = json.dumps(body(data()))
    for secret in ("Testa", "900-00-0001", "900000001", "1 Nowhere Rd", "617", "@"):
        assert secret not in sent


def test_whole_sum_is_asked_for_where_the_invoice_does_not_say_a_part() -> None:
    (only,) = requests(data(invoices=[invoice(requested=None)]))
    assert only["financing_request_amount"] == {"currency": "USD", "amount": "50,000.00"}


def test_numbers_of_the_applicant_where_they_have_the_right_form() -> None:
    raw = data()
    raw["business"]["registrations"] = [
        {"scheme": "lei", "country": "US", "number": "00000000000000000000"},
        {"scheme": "bic", "country": "US", "number": "not a BIC"},
    ]
    (only,) = requests(raw)
    assert only["financing_applicant"]["identifications"] == {"lei": "00000000000000000000"}


def test_several_invoices_are_several_requests_of_one_call() -> None:
    raw = data(invoices=[invoice(number=f"INV-{n}") for n in range(3)])
    made = requests(raw)
    assert [each["submitter_data_set_identification"] for each in made] == [
        "TEST-REF-0001",
        "TEST-REF-0001-2of3",
        "TEST-REF-0001-3of3",
    ]
    assert all(len(each["referred_documents"]) == 1 for each in made), "only one document of a type in each"


@given(reference=st.uuids().map(str), place=st.integers(1, 500), more=st.integers(0, 499))
def test_derived_names_lead_back(reference: str, place: int, more: int) -> None:
    name = registration.data_set(reference, place, place + more)
    assert registration.parts(name) == (reference, place + more if place > 1 else 1)


def test_everything_that_cannot_be_registered_is_said_at_once() -> None:
    again = invoice(number="inv-test-1 ", requested=None)
    other = {"kind": "invoice", "number": "INV-ELSEWHERE"}
    known = {"kind": "invoice", "number": "INV-TEST-1"}
    lading = {"kind": "bill-of-lading", "number": "BL-TEST-1"}
    raw = data(invoices=[invoice(), again], tradeDocuments=[other, known, lading], quotationOnly=True)
    said = {
        ("/quotationOnly", "not-supported"),
        ("/invoices/1", "duplicate"),
        ("/invoices/1/requested", "part-missing"),
        ("/tradeDocuments/0", "not-supported"),
    }
    assert problems(raw) == said
    assert problems(raw, otherDocuments="refuse") == said | {("/tradeDocuments/2/kind", "not-supported")}
    assert problems(data(invoices=[])) == {("/invoices", "missing")}
    assert problems(data()) == set()


@pytest.mark.parametrize("institution", ["", "lower", "ZZZZSGS0XX", "00000000-0000-1000-8000-000000000000"])
def test_account_names_its_institution(institution: str) -> None:
    application = Application.model_validate(data())
    with pytest.raises(ValidationError):
        MONETAGO.check(application, {"institution": institution})
    assert [each.code for each in MONETAGO.check(application, {})] == ["account-misconfigured"]


def test_institution_may_be_a_uuid() -> None:
    options = {"institution": "00000000-0000-4000-8000-000000000000"}
    assert MONETAGO.check(Application.model_validate(data()), options) == []


@given(st.decimals(0, 10**12, allow_nan=False, allow_infinity=False, places=4))
def test_amounts_come_back_as_they_went(value: Decimal) -> None:
    text = registration.grouped(value)
    assert all(len(part) == 3 for part in text.split(".")[0].split(",")[1:])
    read = results.money({"currency": "SGD", "amount": text})
    assert read is not None
    assert read.amount == value
    plain = results.money({"currency": "SGD", "amount": text.replace(",", "")})
    assert plain == read


def test_amounts_are_written_as_in_the_samples() -> None:
    sent = registration.amount(Money(amount=Decimal("1850600"), currency="SGD"))
    assert sent == {"currency": "SGD", "amount": "1,850,600.00"}
    assert registration.grouped(Decimal("0.125")) == "0.125"


@pytest.mark.parametrize(
    "text", ["1,85,600.00", "1850,600", ",100", "1,0000", "-1", "1 000", "1.", "", None, True, "NaN"]
)
def test_odd_amounts_are_not_guessed(text: Any) -> None:
    assert results.money({"currency": "SGD", "amount": text}) is None


def test_calls() -> None:
    options = OPTIONS | {"cancellationWrapper": "cancellations", "searchFilter": "data_set"}
    assert mapping.read("a/b?c").path == "/status/a%2Fb%3Fc"
    assert mapping.search("R", OPTIONS).query == (("submitter_data_set_identification", "R"),)
    assert mapping.search("R", options).query == (("data_set", "R"),)
    assert json.loads(mapping.finance(REQUEST_ID, OPTIONS).content) == {
        "submitting_financial_institution_identification": "ZZZZSGS0XXX",
        "financing_batch": [{"request_identification": REQUEST_ID}],
    }
    named = {"request_identification": REQUEST_ID, "cancellation_reason": "NTFD"}
    assert json.loads(mapping.withdraw(REQUEST_ID, "declined", options).content)["cancellations"] == [named]
    assert mapping.document_matches("m", OPTIONS).path == "/document-matches/m"
    assert mapping.status_request(REQUEST_ID, OPTIONS).path == "/status-requests"


def test_reasons_are_of_the_published_list() -> None:
    assert {*profile.CANCELLATION_REASONS.values(), profile.OTHER_REASON} <= set(profile.ALL_REASONS)
    assert len(set(profile.ALL_REASONS)) == 10


def test_only_a_search_allows_a_second_registration_and_nothing_a_second_financing() -> None:
    operations = MONETAGO.operations
    assert operations["create"].capability == Capability.ASYNCHRONOUS
    for name in ("finance", "withdraw"):
        assert (operations[name].capability, operations[name].repeats) == (Capability.SEARCHABLE, 0)
    assert MONETAGO.kind == "registry"
    assert set(MONETAGO.inquiries) < set(operations)
    assert all(operations[name].capability == Capability.HARMLESS for name in MONETAGO.inquiries)


def test_a_match_line_by_line_says_yes_or_no_and_no_word_of_anybody() -> None:
    known = Comparison("00000000-0000-4000-8000-0000000000c1", "EXCT", {"number": True, "amount": False})
    assert results.compared(reply("matches")) == (known,)
    row = RECORDED["matches"]["body"]["document_matches"][0]
    lines = [
        {"field": "Testa Fakely", "matched": True},
        {"field": "buyer", "matched": "Testa Fakely"},
        {"field": "date", "matched": True, "ours": "2030-01-02"},
    ]
    for content in ([row], {"matches": {"of": [row]}}, row | {"document_match_lines": lines}):
        (told,) = results.compared(reply("matches", {"answer": content})) or ()
        assert set(told.fields) in ({"number", "amount"}, {"date"})
    none: Any
    for none in ({}, {"document_matches": []}, row | {"match_identification": None}, row | {"document_match_lines": 1}):
        assert results.compared(reply("matches", none)) is None


def test_header_of_the_token_is_a_setting() -> None:
    given_ = {"scheme": "oauth-client", "tokenUrl": "https://auth.example.test/oauth/token", "clientId": "c"}
    given_ |= {"clientSecret": "s", "audience": "https://audience.example.test"}
    for header in ("Authentication", None):
        wanted = given_ | ({"header": header} if header else {})
        auth = auth_of(MONETAGO, {name: SecretStr(value) for name, value in wanted.items()}, MemoryTokens())
        assert isinstance(auth, OAuth)
        assert auth.as_json
        assert auth.header == (header or "Authorization").lower()
