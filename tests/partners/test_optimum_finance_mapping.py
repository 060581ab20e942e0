"""Optimum Finance's translations, both ways, without I/O. Recorded replies are those of its public page."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path as File
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.partners.changes import changed
from tests.partners.garbled import HOW, JUNK, Path, garbled, hostile, paths
from tests.partners.optimum_finance.rehearsal import uk_application

from lendrail.contracts.application import Application
from lendrail.contracts.terms import Report, Status
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import (
    Accepted,
    CredentialRefused,
    Hint,
    Outcome,
    Rejected,
    Reply,
    Request,
    RetryLater,
    Unknown,
)
from lendrail.partners.optimum_finance import profile
from lendrail.partners.partner import Order
from lendrail.partners.united_kingdom import same_company

PARTNER = PARTNERS["optimum-finance"]
RECORDED: dict[str, Any] = json.loads((File(__file__).parent / "optimum_finance" / "recorded.json").read_text())
DATA = uk_application("950000.99", "mapping")
NUMBER = DATA["business"]["registrations"][0]["number"]


def application(**changes: Any) -> Application:
    return Application.model_validate(changed(DATA, **changes))


def created(app: Application, options: Any = None, day: str = "2030-01-02") -> Request:
    planned_at = dt.datetime.fromisoformat(day + "T00:00:00+00:00")
    order = Order(application=app, reference="R", options=options or {}, planned_at=planned_at)
    (request,) = PARTNER.create(order)
    return request


def problems(app: Application, options: Any = None) -> set[tuple[str, str]]:
    found = PARTNER.check(app, options or {})
    assert all(each.partner == "optimum-finance" and each.phase == "partner" for each in found)
    return {(each.pointer, each.code) for each in found}


def asked(recorded: Any, name: str = "Fake Wines Limited") -> Request:
    context = (("legalName", name), *((("quotationOnly", "true"),) if recorded.get("quotation") else ()))
    method = "GET" if recorded["operation"] == "read" else "POST"
    return Request(operation=recorded["operation"], method=method, path="/", context=context)  # type: ignore[arg-type]


def reply(recorded: Any, body: Any = ...) -> Reply:
    return Reply(recorded["status"], {}, json.dumps(recorded["body"] if body is ... else body).encode())


def outcome(name: str, body: Any = ..., applicant: str = "Fake Wines Limited") -> Outcome:
    return PARTNER.outcome(asked(RECORDED[name], applicant), reply(RECORDED[name], body))


def decided(name: str, body: Any = ..., applicant: str = "Fake Wines Limited") -> Report:
    came = outcome(name, body, applicant)
    assert isinstance(came, Accepted)
    assert came.report is not None
    return came.report


def report(name: str, body: Any = ...) -> Report:
    assert PARTNER.report
    return PARTNER.report(reply(RECORDED[name], body))


def recorded_body(name: str, **changes: Any) -> Any:
    return changed(RECORDED[name]["body"], **changes)


# ---- to the partner


def test_application_becomes_the_documented_parameters() -> None:
    request = created(application())
    assert (request.operation, request.method, request.path, request.query) == ("create", "POST", "/decide", ())
    assert json.loads(request.content) == {
        "companyNumber": NUMBER,
        "sector": "Beer / Wine Merchant",
        "turnover": 950000,
        "yearsTrading": 15,
        "expectedCustomers": 41,
        "phoenix": False,
        "quotationOnly": False,
        "contactName": "Testa Fakely",
        "contactNumber": "07000000000",
        "contactEmail": "testa@example.test",
    }
    assert request.knows("legalName") == f"Fake Company {NUMBER} Limited"
    assert request == Request.load(request.dump())
    assert created(application()) == request


def test_a_quotation_names_no_person() -> None:
    quotation = created(application(quotationOnly=True))
    body = json.loads(quotation.content)
    assert body["quotationOnly"] is True
    assert not [name for name in body if name.startswith("contact")]
    assert quotation.knows("quotationOnly") == "true"
    assert problems(application(quotationOnly=True, owners=[])) == set()


def test_the_credential_is_in_no_request() -> None:
    assert PARTNER.read
    assert b"introducerId" not in created(application()).content
    assert PARTNER.read("00TEST&ID").query == (("id", "00TEST&ID"),)


@pytest.mark.parametrize(
    ("day", "years"), [("2014-12-31", 0), ("2015-06-01", 0), ("2015-12-31", 0), ("2016-01-01", 1), ("2030-12-31", 15)]
)
def test_years_of_trading(day: str, years: int) -> None:
    assert json.loads(created(application(), day=day).content)["yearsTrading"] == years


def test_what_keeps_an_application_away_comes_at_once() -> None:
    registration = {"scheme": "company-number", "country": "GB", "number": "1234567"}
    app = application(
        business__country="US",
        business__registrations=[registration],
        business__industry={"sic": "62012"},
        financials__expectedAnnualRevenue={"amount": "1", "currency": "USD"},
        requestedFinance__product="vehicle-finance",
        owners__0__email=None,
    )
    assert problems(app) == {
        ("/business/country", "country"),
        ("/business/registrations", "format"),
        ("/business/industry", "not-supported"),
        ("/financials/expectedAnnualRevenue", "currency"),
        ("/requestedFinance/product", "not-supported"),
        ("/owners/0/email", "missing"),
    }
    assert "1234567" not in str(PARTNER.check(app, {}))


@pytest.mark.parametrize(
    ("number", "sent"), [("sc123456", "SC123456"), ("00123456", "00123456"), ("0012 3456", "00123456")]
)
def test_company_numbers_stay_text(number: str, sent: str) -> None:
    foreign = {"scheme": "company-number", "country": "DE", "number": "HRB 1"}
    ours = {"scheme": "company-number", "country": "GB", "number": number}
    request = created(application(business__registrations=[foreign, ours]))
    assert json.loads(request.content)["companyNumber"] == sent


@pytest.mark.parametrize(
    ("industry", "sector"),
    [
        ({"sic": "46342"}, "Beer / Wine Merchant"),
        ({"naics": "424820"}, "Beer / Wine Merchant"),
        ({"description": "beer / wine merchant"}, "Beer / Wine Merchant"),
        ({"description": "Wines, mostly"}, None),
        ({"sic": "46341"}, None),
        ({"naics": "4244"}, None),
    ],
)
def test_sector_comes_from_the_table_or_not_at_all(industry: dict[str, str], sector: str | None) -> None:
    app = application(business__industry=industry)
    if sector:
        assert json.loads(created(app).content)["sector"] == sector
    else:
        assert problems(app) == {("/business/industry", "not-supported")}


def test_a_tenant_maps_sectors() -> None:
    options = {"sectors": json.dumps({"naics:72": "Hospitality", "naics:7225": "Restaurant"})}
    app = application(business__industry={"naics": "722511"})
    assert json.loads(created(app, options).content)["sector"] == "Restaurant"
    assert problems(application(), options) == {("/business/industry", "not-supported")}
    for wrong in ("{", "[]", '{"naics:72": 1}'):
        with pytest.raises(ValueError):
            PARTNER.check(app, {"sectors": wrong})


# ---- from the partner


def test_approval_with_its_offer() -> None:
    came = outcome("approved")
    assert isinstance(came, Accepted)
    assert came.partner_id == "00TESTOPPORTUNTY"
    told = decided("approved")
    assert (told.status, told.words, told.flags) == (Status.APPROVED, "approved", ())
    (offer,) = told.offers
    assert offer.amount is not None
    assert (offer.amount.amount, offer.amount.currency) == (Decimal(745000), "GBP")
    assert {fee.name: fee.percent or fee.amount for fee in offer.fees} == {
        "serviceFee": Decimal("1.14"),
        "discountFee": Decimal("3.35"),
        "badDebtProtection": Decimal("0.85"),
        "annualRenewalFee": offer.fees[-1].amount,
    }
    assert offer.fees[-1].amount is not None
    assert offer.fees[-1].amount.currency == "GBP"
    assert offer.details == {
        "facility": "Factoring",
        "prepayment": "80",
        "trialPeriodMonths": "4",
        "cashAvailableWithinHours": "48",
    }


def test_only_an_approval_that_is_no_quotation_needs_an_id() -> None:
    quotation = outcome("approved_quotation")
    assert isinstance(quotation, Accepted)
    assert quotation.partner_id is None
    assert quotation.report is not None
    assert quotation.report.status == Status.APPROVED
    for name in ("referred", "declined"):
        came = outcome(name)
        assert isinstance(came, Accepted)
        assert came.partner_id is None
        with_id = outcome(name, RECORDED[name]["body"] | {"opportunityId": "00X"})
        assert isinstance(with_id, Accepted)
        assert with_id.partner_id == "00X"
    body = recorded_body("approved", opportunityId=None)
    assert outcome("approved", body) == Unknown("no-id")
    assert outcome("approved", body | {"decision": {"decision": "Contemplating"}}) == Unknown("no-id")
    odd: Any
    for odd in ("", "   ", {}, 1.5, "x y", None):
        assert outcome("approved", body | {"opportunityId": odd}) == Unknown("no-id")


def test_reasons_are_mapped_or_kept_as_they_are() -> None:
    assert [(each.code, each.mapped) for each in decided("declined").decline_reasons] == [("policy", True)]
    assert [(each.code, each.mapped) for each in decided("referred").decline_reasons] == [("policy", True)]
    told = decided("declined", recorded_body("declined", decision__reasons=["Bad hair", 7]))
    assert [(each.code, each.words, each.mapped) for each in told.decline_reasons] == [("other", "Bad hair", False)]
    assert told.flags == ("unreadable-reasons", "unmapped-reason")
    assert told.status == Status.DECLINED


def test_another_companys_name_is_for_a_person_to_look_at() -> None:
    for name in ("approved", "approved_quotation", "referred", "declined"):
        told = decided(name, applicant="Other Wines Limited")
        assert (told.status, told.flags) == (Status.REFERRED, ("review-company-name-mismatch",))
        assert told.words == RECORDED[name]["body"]["decision"]["decision"]
    assert decided("approved", recorded_body("approved", companyName=None)).flags == ("review-company-name-missing",)
    assert decided("approved", recorded_body("approved", companyName=None)).status == Status.REFERRED
    assert decided("declined", recorded_body("declined", companyName=None)).status == Status.DECLINED


def test_the_trading_name_counts_too() -> None:
    context = (("legalName", "Entirely Other Ltd"), ("tradingName", "Fake Wines"))
    request = Request(operation="create", method="POST", path="/", context=context)
    came = PARTNER.outcome(request, reply(RECORDED["approved"]))
    assert isinstance(came, Accepted)
    assert came.report is not None
    assert came.report.status == Status.APPROVED


@pytest.mark.parametrize(
    ("ours", "alike"),
    [
        ("Fake Wines Limited", True),
        ("fake wines ltd.", True),
        ("The FAKE WINES, Ltd", True),
        ("Fake Wines", True),
        ("Fáke  Wines", True),
        ("Fake Wines PLC", False),
        ("Fake Wines (Holdings) Limited", False),
        ("Fake Wine Limited", False),
        ("Limited", False),
        ("Ltd", False),
        ("", False),
    ],
)
def test_company_names(ours: str, alike: bool) -> None:
    assert same_company("FAKE WINES LTD", ours) is alike


def test_company_name_with_an_ampersand() -> None:
    assert same_company("SMITH & JONES PUBLIC LIMITED COMPANY", "Smith and Jones plc")
    assert not same_company("...", "???")


@given(st.text(max_size=20), st.text(max_size=20))
def test_company_names_are_compared_both_ways_alike(one: str, other: str) -> None:
    assert same_company(one, other) == same_company(other, one)


def test_report_of_a_new_opportunity() -> None:
    told = report("update_unassigned")
    assert (told.status, told.words, told.flags) == (Status.APPROVED, "Indicative Offer Sent", ())
    assert (told.offers, told.contact, told.commission) == ((), None, None)
    assert (told.close_chance, told.closes_on) == (Decimal(0), dt.date(2030, 3, 31))


def test_the_decision_stays_the_offer_until_there_is_a_later_one() -> None:
    """A look shows all that holds: an offer that it left out would be taken back. Both are forms of one offer."""
    decision = RECORDED["approved"]["body"]["decision"]
    held = report("update_unassigned", recorded_body("update_unassigned", originalDecision=decision)).offers
    assert held == decided("approved").offers
    later = report("update_won", recorded_body("update_won", originalDecision=decision)).offers
    assert (later[0].id, later[0].amount == held[0].amount) == (held[0].id, False)


def test_report_of_a_closed_sale() -> None:
    told = report("update_won")
    assert (told.status, told.flags) == (Status.FUNDED, ())
    assert told.contact is not None
    assert told.contact.phone is not None
    assert told.contact.phone.reveal() == "07000000001"
    assert told.commission is not None
    assert (told.commission.amount, told.commission.currency) == (Decimal(250), "GBP")
    (offer,) = told.offers
    assert offer.amount is not None
    assert (offer.id, offer.amount.amount, offer.details["prepayment"]) == ("offer", Decimal(700000), "85")


def test_unknown_words_are_held_and_odd_parts_left_out() -> None:
    told = report("update_won", recorded_body("update_won", status="closed won", owner="Sally", closeDate="2030-02-30"))
    assert (told.status, told.words) == (None, "closed won")
    assert told.flags == ("unknown-stage", "unreadable-owner", "unreadable-closeDate")
    body = recorded_body("approved", decision__decision="Contemplating")
    assert decided("approved", body).status is None
    assert decided("approved", body).flags == ("unknown-decision",)
    assert decided("approved", body, applicant="Other").status is None


def test_facility_may_be_a_number_as_its_page_says() -> None:
    told = report("update_won", recorded_body("update_won", latestOffer__facility=3))
    assert told.offers[0].details["facility"] == "3"


def test_refusals() -> None:
    refusal = outcome("refused")
    assert isinstance(refusal, Rejected)
    (problem,) = refusal.problems
    assert (problem.pointer, problem.message) == ("/business/registrations", "companyNumber: is required")
    assert outcome("refused_introducer") == CredentialRefused()
    other = outcome("refused", {"message": "no such thing as Testa Fakely"})
    assert isinstance(other, Rejected)
    assert [each.pointer for each in other.problems] == [""]
    assert "Testa" not in str(other.problems)
    two = outcome("refused", {"message": "turnover and yearsTrading must be numbers, not 'Testa'"})
    assert isinstance(two, Rejected)
    assert {p.pointer for p in two.problems} == {"/financials/expectedAnnualRevenue", "/business/startDate"}
    assert "Testa" not in str(two.problems)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (401, {}, CredentialRefused()),
        (403, {}, CredentialRefused()),
        (429, {}, RetryLater(profile.RETRY_AFTER_SECONDS)),
        (429, {"retry-after": "9"}, RetryLater(9.0)),
        (400, {}, Unknown("status-400")),
        (404, {}, Unknown("status-404")),
        (500, {}, Unknown("status-500")),
        (302, {}, Unknown("status-302")),
    ],
)
def test_other_answers(status: int, headers: dict[str, str], expected: Outcome) -> None:
    for operation in profile.OPERATIONS:
        came = PARTNER.outcome(Request(operation=operation, method="POST", path="/"), Reply(status, headers, b""))
        assert came == expected


def test_hint() -> None:
    assert PARTNER.webhook
    hint = PARTNER.webhook.hint
    body = {"id": "00TESTOPPORTUNTY", "status": "Closed Won", "closeChance": 100, "closeDate": "2030-03-31"}
    assert hint(json.dumps(body).encode(), None) == Hint("00TESTOPPORTUNTY", "Closed Won")
    assert hint(b'{"status": "Closed Won"}', "00PATH") == Hint("00PATH", "Closed Won")
    assert hint(b"{}", "00PATH") == Hint("00PATH", "update")
    assert hint(b'{"status": "Closed Won"}', None) is None
    assert hint(b'{"id": "a b"}', None) is None
    assert PARTNER.webhook.proof is None
    assert PARTNER.webhook.register is None


# ---- whatever a partner sends


CASES = [(name, path) for name, each in RECORDED.items() for path in paths(each["body"])]


@settings(max_examples=600, deadline=None)
@given(case=st.sampled_from(CASES), how=HOW, junk=JUNK)
def test_garbled_replies_never_raise_and_never_invent(case: tuple[str, Path], how: str, junk: Any) -> None:
    name, path = case
    recorded = RECORDED[name]
    answer = reply(recorded, garbled(recorded["body"], path, how, junk))
    came, original = PARTNER.outcome(asked(recorded), answer), outcome(name)
    if type(came) is not type(original):
        assert isinstance(came, Unknown) or not isinstance(original, Accepted)
    if isinstance(came, Accepted) and came.report and isinstance(original, Accepted) and original.report:
        lessened = (original.report.status, Status.REFERRED, None)
        assert came.report.status in lessened or junk in list(profile.DECISIONS)
    if recorded["operation"] == "read" and PARTNER.report:
        told = PARTNER.report(answer)
        assert told.status in (None, report(name).status) or junk in list(profile.STAGES)


@pytest.mark.parametrize("name", RECORDED)
def test_hostile_documents_are_no_answer(name: str) -> None:
    recorded = RECORDED[name]
    for content in hostile(recorded["body"]):
        for status in (200, 201, recorded["status"]):
            answer = Reply(status, {}, content)
            assert not isinstance(PARTNER.outcome(asked(recorded), answer), Accepted)
            assert PARTNER.report
            assert PARTNER.report(answer).status is None
        assert PARTNER.webhook
        assert PARTNER.webhook.hint(content, None) is None


@settings(max_examples=300, deadline=None)
@given(
    status=st.sampled_from([200, 201, 204, 400, 401, 404, 422, 429, 500]),
    content=st.binary(max_size=60) | JUNK.map(lambda data: json.dumps(data).encode()),
    operation=st.sampled_from(sorted(profile.OPERATIONS)),
)
def test_odd_bytes_never_raise(status: int, content: bytes, operation: str) -> None:
    request = Request(operation=operation, method="POST", path="/")
    assert not isinstance(PARTNER.outcome(request, Reply(status, {}, content)), Accepted)
    assert PARTNER.report
    assert PARTNER.report(Reply(status, {}, content)).status is None
    assert PARTNER.webhook
    PARTNER.webhook.hint(content, None)
