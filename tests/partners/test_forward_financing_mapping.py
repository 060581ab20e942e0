"""What goes to Forward Financing. No I/O."""

import base64
import json

import pytest
from tests.partners.forward_financing.making import (
    CURRENT,
    FULL,
    PARTNER,
    application,
    created,
    lead,
)

from lendrail.partners.exchange import (
    Delivery,
    File,
)
from lendrail.partners.forward_financing import vocabularies
from lendrail.partners.partner import Capability


def test_full_application_becomes_the_documented_lead() -> None:
    assert PARTNER.check(application(), CURRENT) == []
    assert lead(application()) == {
        "contacts_attributes": [
            {
                "first_name": "Testa",
                "last_name": "Fakely",
                "email": "testa@example.test",
                "title": "Owner",
                "born_on": "1980-01-01",
                "home_phone": "6175550102",
                "cell_phone": "6175550100",
                "ssn": "900000001",
                "ownership_date": "2015-01-01",
                "current_address_attributes": {
                    "street1": "1 Nowhere Rd",
                    "city": "Faketown",
                    "state": "MA",
                    "zip": "00000",
                },
            },
            {
                "first_name": "Mocka",
                "last_name": "Samplesson",
                "born_on": "1979-12-31",
                "ssn": "900000002",
                "current_address_attributes": {
                    "street1": "4 Nowhere Rd",
                    "city": "Faketown",
                    "state": "MA",
                    "zip": "00000",
                },
            },
        ],
        "account_attributes": {
            "entity_type": "LLC",
            "name": "Fake Bakery",
            "legal_name": "Fake Bakery LLC",
            "started_on": "2015-01-01",
            "phone": "6175550101",
            "email": "shop@bakery.example.test",
            "website": "https://bakery.example.test/",
            "fein": "990000001",
            "monthly_revenue": "$20,000-$50,000",
            "industry_name": "Restaurants & Bars",
            "current_address_attributes": {
                "street1": "2 Nowhere Rd",
                "street2": "Second Floor",
                "city": "Faketown",
                "state": "MA",
                "zip": "00000",
            },
        },
        "loan_attributes": {"company_name": "Fake Lender", "daily_payment_amount": 25, "balance": 15000.23},
        "application_attributes": {
            "has_current_loan": True,
            "applicant_is_owner": True,
            "loan_use": "Equipment Purchase",
            "capital_needed": "50000",
            "owner_1_percent_ownership": 60,
            "owner_2_percent_ownership": 40,
            "reference_id": "TEST-REF-0001",
            "notes": "Call after 2 pm.",
        },
    }


def test_repeat_is_byte_identical() -> None:
    assert created(application(), "R", {}) == created(application(), "R", {})


def test_classic_vocabulary() -> None:
    account = lead(application(), {"revision": "classic"})["account_attributes"]
    assert account["entity_type"] == "Limited Liability Company (LLC)"
    assert account["industry_name"] == "Bakery with a small cafe"
    assert lead(application(), {"vocabulary": "current"})["account_attributes"]["entity_type"] == "LLC"


@pytest.mark.parametrize(
    ("payment", "frequency", "daily"),
    [("25", "business-daily", 25), ("250", "weekly", 50), ("1000", "monthly", 50), ("100", "other", None)],
)
def test_daily_payment(payment: str, frequency: str, daily: float | None) -> None:
    app = application(existingLoans__0__payment__amount=payment, existingLoans__0__paymentFrequency=frequency)
    assert lead(app)["loan_attributes"].get("daily_payment_amount") == daily


@pytest.mark.parametrize(
    ("monthly", "band"),
    [
        ("0", "Less than $5,000"),
        ("4999.99", "Less than $5,000"),
        ("5000", "$5,000-$10,000"),
        ("99999", "$50,000-$100,000"),
        ("100000", "Greater than $100,000"),
    ],
)
def test_revenue_band(monthly: str, band: str) -> None:
    app = application(financials__monthlyRevenue__amount=monthly)
    assert lead(app)["account_attributes"]["monthly_revenue"] == band


def test_revenue_band_of_the_year() -> None:
    app = application(financials__monthlyRevenue=None)
    assert lead(app)["account_attributes"]["monthly_revenue"] == "$20,000-$50,000"
    assert "monthly_revenue" not in lead(application(financials=None))["account_attributes"]


@pytest.mark.parametrize(
    ("naics", "industry"),
    [
        ("722515", "Restaurants & Bars"),
        ("44", "Retail"),
        ("441110", "Automotive"),
        ("445320", "Wine & Liquor"),
        ("238220", "Electricians/Plumbing/HVAC"),
        ("238910", "Subcontractor"),
        ("621610", "Home Healthcare"),
        ("621111", "Medical"),
        ("33", "Manufacturing"),
        ("484121", "Trucking & Transportation"),
        ("812112", "Salons & Spas"),
        ("72", None),
        ("921110", None),
        ("000000", None),
    ],
)
def test_industry_comes_from_the_table_or_not_at_all(naics: str, industry: str | None) -> None:
    app = application(business__industry={"naics": naics})
    if industry:
        assert lead(app)["account_attributes"]["industry_name"] == industry
    else:
        assert {(p.pointer, p.code) for p in PARTNER.check(app, CURRENT)} == {
            ("/business/industry/naics", "not-supported")
        }


def test_missing_industry_says_what_to_add() -> None:
    (problem,) = PARTNER.check(application(business__industry=None), CURRENT)
    assert (problem.pointer, problem.phase, problem.partner) == (
        "/business/industry/naics",
        "partner",
        "forward-financing",
    )
    assert "NAICS" in problem.message
    own = application(business__industry={"description": "Jewelry"})
    assert PARTNER.check(own, CURRENT) == []
    assert PARTNER.check(application(business__industry={"description": "Gems, mostly"}), CURRENT) != []


def test_every_industry_is_reachable_and_every_prefix_is_unique() -> None:
    assert set(vocabularies.INDUSTRY_OF_NAICS.values()) == vocabularies.INDUSTRIES
    assert len(vocabularies.INDUSTRIES) == 35
    assert all(prefix.isdigit() and 2 <= len(prefix) <= 6 for prefix in vocabularies.INDUSTRY_OF_NAICS)


def test_all_problems_at_once_with_pointers_and_without_values() -> None:
    app = application(
        business__country="AU",
        business__entityType="trust",
        business__phone="+61 400 000 000",
        business__startDate=None,
        business__registrations__0__number="99-CANARY",
        business__addresses__0__region="Massachusetts",
        owners__0__ssn=None,
        owners__0__address__postalCode="0000",
        requestedFinance__amount={"amount": "1", "currency": "AUD"},
        existingLoans__0__balance={"amount": "1", "currency": "EUR"},
        quotationOnly=True,
    )
    problems = PARTNER.check(app, CURRENT | {"minimum_amount": "5000", "maximumAmount": "500000"})
    assert {(each.pointer, each.code) for each in problems} == {
        ("/business/country", "country"),
        ("/business/entityType", "not-supported"),
        ("/business/phone", "format"),
        ("/business/startDate", "missing"),
        ("/business/registrations", "format"),
        ("/business/addresses/0/region", "format"),
        ("/owners/0/ssn", "missing"),
        ("/owners/0/address/postalCode", "format"),
        ("/requestedFinance/amount", "currency"),
        ("/requestedFinance/amount/amount", "amount-too-low"),
        ("/existingLoans/0/balance", "currency"),
        ("/quotationOnly", "not-supported"),
    }
    assert all(each.phase == "partner" and each.partner == "forward-financing" for each in problems)
    assert "CANARY" not in str(problems)
    assert "Massachusetts" not in str(problems)


def test_amount_limits_and_owners() -> None:
    assert [p.code for p in PARTNER.check(application(), {"maximumAmount": "49999.99"})] == ["amount-too-high"]
    assert [p.pointer for p in PARTNER.check(application(owners=[]), {})] == ["/owners"]


def test_directors_without_a_share_are_no_contacts_and_pointers_keep_their_place() -> None:
    owner = FULL["owners"][0]
    director = owner | {"roles": ["director"], "applicant": False}
    app = application(owners=[director, owner | {"ssn": "900-00-0002"}])
    assert [contact["ssn"] for contact in lead(app)["contacts_attributes"]] == ["900000002"]
    broken = application(owners=[director, {key: owner[key] for key in owner if key != "ssn"}])
    assert [p.pointer for p in PARTNER.check(broken, {})] == ["/owners/1/ssn"]


def test_documents_each_way() -> None:
    assert PARTNER.document
    assert PARTNER.delivery
    file = File(
        name="bank statement.pdf", kind="bank-statement", content=b"%PDF-\xff\n", link="https://files.example.test/d/t"
    )
    other = File(name="x.xlsx", kind="summary", link="https://files.example.test/d/u")

    raw = PARTNER.document("L.1", (file,), {})
    assert (raw.path, raw.query) == ("/attachment", (("filename", "bank statement.pdf"), ("lead_id", "L.1")))
    assert raw.content == file.content
    assert "json" not in dict(raw.headers)["content-type"]

    encoded = PARTNER.document("L.1", (file,), {"attachments": "base64"})
    assert encoded.query[-1] == ("encoded", "true")
    assert base64.b64decode(encoded.content, validate=True) == file.content
    assert (
        b"\n"
        not in PARTNER.document("L", (File(name="a", kind="b", content=bytes(500)),), {"attachments": "base64"}).content
    )

    url = PARTNER.document("L.1", (file,), {"attachments": "url"})
    assert json.loads(url.content) == {"attachment_url": file.link, "filename": file.name, "lead_id": "L.1"}
    assert PARTNER.delivery({"attachments": "url"}) == Delivery("link", 1)

    bulk = PARTNER.document("L.1", (file, other), {"attachments": "bulk"})
    assert bulk.path == "/attachments"
    assert json.loads(bulk.content) == {
        "lead_id": "L.1",
        "attachments": [
            {"filename": file.name, "attachment_url": file.link, "tags": ["bank_statement"]},
            {"filename": "x.xlsx", "attachment_url": other.link, "tags": []},
        ],
    }
    assert PARTNER.delivery({"attachments": "bulk"}) == Delivery("link", 25)
    assert PARTNER.delivery({}) == Delivery("bytes", 1)


def test_opaque_id_is_encoded_in_the_path() -> None:
    assert PARTNER.read
    assert PARTNER.read("A.b_-/../?x=%").path == "/deal_status/A.b_-%2F..%2F%3Fx%3D%25"


def test_only_documents_and_webhooks_are_blind_and_repeat_at_most_once() -> None:
    assert PARTNER.operations["create"].capability == Capability.UNIQUE_REFERENCE
    assert PARTNER.operations["document"].repeats == 1
    assert all(each.deadline == 60 for each in PARTNER.operations.values())
