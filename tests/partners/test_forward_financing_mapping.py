"""Forward Financing's translations, both ways, without I/O. Recorded replies are those of its public pages."""

import base64
import copy
import datetime as dt
import json
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.partners.garbled import HOW, JUNK, garbled, paths

from lendrail.contracts.application import Application
from lendrail.contracts.terms import Report, Status
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import (
    Accepted,
    CredentialRefused,
    Delivery,
    Duplicate,
    File,
    FileResult,
    Hint,
    Outcome,
    PartlyAccepted,
    Rejected,
    Reply,
    Request,
    RetryLater,
    Unknown,
)
from lendrail.partners.forward_financing import profile, vocabularies
from lendrail.partners.partner import Capability, Order

PARTNER = PARTNERS["forward-financing"]
FULL: dict[str, Any] = json.loads((files("lendrail.contracts") / "examples/application.json").read_text())
RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "forward_financing" / "recorded.json").read_text())
CURRENT = {"revision": "current"}
PLANNED_AT = dt.datetime(2030, 1, 2, tzinfo=dt.UTC)


def application(**changes: Any) -> Application:
    """The full example with values at pointers (`__` for `/`) replaced; None removes."""
    data = copy.deepcopy(FULL)
    for path, value in changes.items():
        *way, last = [int(step) if step.isdigit() else step for step in path.split("__")]
        place: Any = data
        for step in way:
            place = place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return Application.model_validate(data)


def reply(recorded: Any, body: Any = ...) -> Reply:
    content = recorded.get("text", "").encode() if "body" not in recorded else json.dumps(recorded["body"]).encode()
    return Reply(recorded["status"], {}, content if body is ... else json.dumps(body).encode())


def call(operation: str) -> Request:
    return Request(operation=operation, method="POST", path="/")


def created(app: Application, reference: str, options: Any) -> Request:
    order = Order(application=app, reference=reference, options=options, planned_at=PLANNED_AT)
    (request,) = PARTNER.create(order)
    return request


def outcome(name: str) -> Outcome:
    return PARTNER.outcome(call(RECORDED[name]["operation"]), reply(RECORDED[name]))


def report(name: str, body: Any = ...) -> Report:
    assert PARTNER.report
    return PARTNER.report(reply(RECORDED[name], body))


def lead(app: Application, options: Any = CURRENT) -> Any:
    request = created(app, "TEST-REF-0001", options)
    assert (request.method, request.path, request.query) == ("POST", "/lead", ())
    return json.loads(request.content)["lead"]


# ---- to the partner


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


# ---- from the partner


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lead_created", Accepted("FAKE.abc_DEF-123.lead")),
        ("lead_duplicate", Duplicate()),
        ("unauthorised", CredentialRefused()),
        ("plain_http", CredentialRefused()),
        ("too_many", RetryLater(2.0)),
        ("attachment_received", Accepted()),
        ("attachment_received_empty", Accepted()),
        ("status_working", Accepted()),
        ("webhook_registered", Accepted()),
    ],
)
def test_recorded_outcome(name: str, expected: Outcome) -> None:
    assert outcome(name) == expected


@pytest.mark.parametrize(
    ("name", "problems"),
    [
        ("lead_invalid", [("/owners", "contacts_attributes: Must provide address")]),
        ("lead_invalid_field", [("/owners", "ssn: is invalid")]),
        ("webhook_register_bad", [("", "is not a valid URL")]),
        ("attachment_bad", [("", "was refused by the partner")]),
    ],
)
def test_recorded_refusal(name: str, problems: list[tuple[str, str]]) -> None:
    refusal = outcome(name)
    assert isinstance(refusal, Rejected)
    assert [(each.pointer, each.message) for each in refusal.problems] == problems


def test_refusal_that_quotes_the_applicant_is_not_repeated() -> None:
    body = {"errors": {"ssn": ["900000001 is used by Testa Fakely"], "capital_needed": ["is not a number"]}}
    refusal = PARTNER.outcome(call("create"), Reply(422, {}, json.dumps(body).encode()))
    assert isinstance(refusal, Rejected)
    assert "900000001" not in repr(refusal)
    assert refusal.problems[1].pointer == "/requestedFinance/amount"
    assert refusal.words is not None
    assert "Testa" in refusal.words.reveal()


def test_bulk_results() -> None:
    mixed = outcome("attachments_mixed")
    assert isinstance(mixed, PartlyAccepted)
    assert mixed.files[0] == FileResult("a.pdf", True)
    assert mixed.files[1].accepted is False


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b"<html>Welcome</html>"),
        (201, b""),
        (201, b'{"message": "ok"}'),
        (201, b'{"message": "ok", "id": ""}'),
        (201, b'{"message": "ok", "id": null}'),
        (201, b'{"message": "ok", "id": true}'),
        (201, b'{"message": "ok", "id": 1.5}'),
        (201, b'{"message": "ok", "id": "a b"}'),
        (201, b'{"message": "ok", "id": ".."}'),
        (201, b'{"message": "ok", "id": "x"'),
        (201, b'{"id": "x", "id": "y"}'),
        (201, b'{"id": "x", "n": NaN}'),
        (201, b'{"id": "x", "errors": {"ssn": ["is invalid"]}}'),
        (201, b'[{"id": "x"}]'),
        (201, b"\xff\xfe"),
        (201, b'{"id": "x", "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        (201, b'{"id": ' + b"9" * 5000 + b"}"),
        (422, b""),
        (422, b"{}"),
        (422, b'{"errors": {}}'),
        (422, b'{"errors": "wrong"}'),
        (422, b'{"errors": {"ssn": "is invalid"}}'),
        (422, b'{"errors": {"reference_id": ["has already been taken"]}}'),
        (422, b'{"errors": {"ssn": ["is invalid"]}, "message": "Reference ID is not unique."}'),
        (422, b'{"message": "something else"}'),
        (400, b""),
        (404, b""),
        (409, b""),
        (302, b""),
        (500, b""),
        (503, b'{"message": "Reference ID is not unique."}'),
        (504, b""),
    ],
)
def test_everything_else_is_unknown(status: int, content: bytes) -> None:
    assert isinstance(PARTNER.outcome(call("create"), Reply(status, {}, content)), Unknown)


def test_number_as_id_and_retry_after() -> None:
    assert PARTNER.outcome(call("create"), Reply(201, {}, b'{"id": 17}')) == Accepted("17")
    assert PARTNER.outcome(call("create"), Reply(429, {"retry-after": "30"}, b"")) == RetryLater(30.0)
    assert PARTNER.outcome(
        call("create"), Reply(429, {"retry-after": "Sun, 06 Nov 2033 08:49:37 GMT"}, b"")
    ) == RetryLater(2.0)
    assert PARTNER.outcome(call("create"), Reply(429, {"retry-after": "999999"}, b"")) == RetryLater(3600.0)


def test_report_of_an_approval() -> None:
    told = report("status_approved")
    assert (told.status, told.words, told.flags) == (Status.APPROVED, "Approval Sent", ())
    (offer,) = told.offers
    assert offer.amount is not None
    assert (offer.amount.amount, offer.amount.currency) == (Decimal(30000), "USD")
    assert offer.term is not None
    assert (offer.term.value, offer.term.unit) == (140, "days")
    assert offer.conditions == ("Voided Check",)
    assert offer.action_link is not None
    assert offer.action_link.reveal() == "https://offers.example.test/fake"


def test_report_of_variants() -> None:
    (offer,) = report("status_approved_variants").offers
    assert (offer.id, offer.variant, offer.factor_rate) == ("base-1", "base", Decimal("1.34"))
    assert offer.net_funded is not None
    assert offer.net_funded.amount == 28500
    assert offer.term is not None
    assert (offer.term.value, offer.term.unit) == (7, "months")


def test_report_of_a_decline() -> None:
    told = report("status_declined")
    assert told.status == Status.DECLINED
    assert [(each.code, each.words) for each in told.decline_reasons] == [
        ("default-history", "Default history"),
        ("deposits", "Volatile deposits"),
    ]
    assert told.decline_notes is not None
    as_list = report("status_declined", {"stage": "Declined", "decline_drivers": ["Default history", "Bad hair"]})
    assert [(each.code, each.mapped) for each in as_list.decline_reasons] == [
        ("default-history", True),
        ("other", False),
    ]
    assert as_list.flags == ("unmapped-decline-driver",)


def test_report_of_missing_information() -> None:
    for stage in ("File Missing Info", "Waiting on ISO"):
        told = report("status_missing", {"stage": stage, "missing_info": "two more statements"})
        assert told.status == Status.INFO_REQUIRED
        assert told.missing_info is not None
        assert told.missing_info.reveal() == "two more statements"


def test_unknown_stage_is_held_and_shown() -> None:
    told = report("status_working", {"stage": "Funded?"})
    assert (told.status, told.words, told.flags) == (None, "Funded?", ("unknown-stage",))
    assert report("status_working", {"stage": "approval sent"}).status is None


def test_link_that_is_no_link_is_left_out() -> None:
    body = {"stage": "Approval Sent", "max_approval": 1, "offer_link": "javascript:alert(1)"}
    told = report("status_approved", body)
    assert told.offers[0].action_link is None
    assert told.flags == ("unreadable-offer_link",)
    assert report("status_approved", body | {"offer_link": "offer.com"}).offers[0].action_link is not None


def test_hint() -> None:
    assert PARTNER.webhook
    hint = PARTNER.webhook.hint
    assert hint(b'{"lead_id": "FAKE.abc", "event_type": "Approved"}', None) == Hint("FAKE.abc", "Approved")
    assert hint(b'{"lead_id": 17, "event_type": "Waiting on ISO", "more": 1}', None) == Hint("17", "Waiting on ISO")
    for body in (b"", b"{lead_id: 1}", b"[]", b'{"lead_id": "x"}', b'{"lead_id": true, "event_type": "x"}'):
        assert hint(body, None) is None
    assert PARTNER.webhook.proof is None
    assert PARTNER.webhook.register
    assert json.loads(PARTNER.webhook.register("https://x.example.test/w", None).content) == {
        "webhook_url": "https://x.example.test/w"
    }


# ---- whatever a partner sends

CASES = [
    (name, path)
    for name, recorded in RECORDED.items()
    if isinstance(recorded.get("body"), dict)
    for path in paths(recorded["body"])
]


@settings(max_examples=600, deadline=None)
@given(case=st.sampled_from(CASES), how=HOW, junk=JUNK)
def test_mutated_replies_never_raise_and_never_invent(case: tuple[str, Any], how: str, junk: Any) -> None:
    name, path = case
    recorded = RECORDED[name]
    answer = reply(recorded, garbled(recorded["body"], path, how, junk))
    came = PARTNER.outcome(call(recorded["operation"]), answer)
    original = outcome(name)
    lead_id = getattr(original, "partner_id", None)
    if isinstance(came, Accepted) and lead_id and path == ("id",) and how == "retyped":
        assert came.partner_id == str(junk)
    elif type(came) is not type(original):
        assert isinstance(came, Unknown | Rejected), "a garbled answer is unknown, never another success"
        assert isinstance(came, Unknown) or isinstance(original, Rejected)
    assert PARTNER.report
    told = PARTNER.report(answer)
    expected = recorded["body"].get("stage")
    assert told.status in (None, profile.STAGES.get(expected)) or junk in list(profile.STAGES)
    if how == "extended" and expected:
        assert told.status == profile.STAGES[expected]
        assert told.words == expected


@settings(max_examples=300, deadline=None)
@given(
    status=st.sampled_from([200, 201, 202, 207, 400, 401, 403, 404, 422, 429, 500]),
    content=st.binary(max_size=60),
    operation=st.sampled_from(sorted(profile.OPERATIONS)),
)
def test_random_bytes_never_raise(status: int, content: bytes, operation: str) -> None:
    came = PARTNER.outcome(call(operation), Reply(status, {}, content))
    assert not isinstance(came, Accepted) or content == b""
    assert PARTNER.report
    assert PARTNER.report(Reply(status, {}, content)).status is None
    assert PARTNER.webhook
    assert PARTNER.webhook.hint(content, None) is None


@settings(max_examples=200, deadline=None)
@given(JUNK)
def test_random_json_never_raises(data: Any) -> None:
    content = json.dumps(data).encode()
    assert PARTNER.report
    assert PARTNER.report(Reply(200, {}, content)).status is None
    for operation in profile.OPERATIONS:
        PARTNER.outcome(call(operation), Reply(207, {}, content))
