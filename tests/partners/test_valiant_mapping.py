"""Valiant's translations, both ways, without I/O. Recorded replies are those of its public pages."""

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
from tests.partners.valiant.rehearsal import LISTS, OPTIONS, WORDS, au_application

from lendrail.contracts.application import Application
from lendrail.contracts.terms import Report, Status
from lendrail.partners import PARTNERS, choices
from lendrail.partners.exchange import (
    Accepted,
    CredentialRefused,
    Outcome,
    Rejected,
    Reply,
    Request,
    RetryLater,
    Unknown,
)
from lendrail.partners.partner import Order
from lendrail.partners.valiant import mapping, profile

PARTNER = PARTNERS["valiant"]
RECORDED: dict[str, Any] = json.loads((File(__file__).parent / "valiant" / "recorded.json").read_text())
DATA = au_application("75000", "mapping")


def application(**changes: Any) -> Application:
    return Application.model_validate(changed(DATA, **changes))


def created(app: Application, options: Any = None, day: str = "2030-01-02") -> Request:
    planned_at = dt.datetime.fromisoformat(day + "T00:00:00+00:00")
    order = Order(application=app, reference="REF-1", options=OPTIONS | (options or {}), planned_at=planned_at)
    (request,) = PARTNER.create(order)
    return request


def lead(app: Application, options: Any = None, day: str = "2030-01-02") -> Any:
    return json.loads(created(app, options, day).content)


def problems(app: Application, options: Any = None) -> set[tuple[str, str]]:
    found = PARTNER.check(app, OPTIONS | (options or {}))
    assert all(each.partner == "valiant" and each.phase == "partner" for each in found)
    return {(each.pointer, each.code) for each in found}


def call(operation: str) -> Request:
    return Request(operation=operation, method="GET", path="/")


def reply(recorded: Any, body: Any = ...) -> Reply:
    return Reply(recorded["status"], {}, json.dumps(recorded["body"] if body is ... else body).encode())


def outcome(name: str, body: Any = ...) -> Outcome:
    return PARTNER.outcome(call(RECORDED[name]["operation"]), reply(RECORDED[name], body))


def report(name: str, body: Any = ...) -> Report:
    assert PARTNER.report
    return PARTNER.report(reply(RECORDED[name], body))


# ---- to the partner


def test_application_becomes_one_flat_object() -> None:
    request = created(application())
    assert (request.operation, request.method, request.path) == ("create", "POST", "/leads")
    assert dict(request.headers)["content-type"] == "application/vnd.api+json"
    assert json.loads(request.content) == {
        "first_name": "Testa",
        "last_name": "Fakely",
        "phone": "0400000000",
        "email": "testa@example.test",
        "state": "NSW",
        "postal_code": 2999,
        "credit_status": "good",
        "abn": "89000000019",
        "company": "Fake Bakery Pty Ltd",
        "entity_type": "PRV",
        "months_trading": 180,
        "average_monthly_sales_amount": "35000.50",
        "industry": "hospitality",
        "invoice_sales": True,
        "merchant_sales": True,
        "franchise": True,
        "cloud_accounting": True,
        "accounting_software": "xero",
        "tax_up_to_date": True,
        "ato_payment_arrangement": False,
        "previous_default": False,
        "legal_action": False,
        "director_guarantee_available": True,
        "requested_amount": 75000,
        "loan_purpose": "equipment",
        "equipment_class": "catering",
        "new_equipment": True,
        "prefers_speed_over_rate": True,
        "lead_description": "Call after 2 pm.",
        "utm_content": "REF-1",
    }
    assert created(application()) == request == Request.load(request.dump())


def test_the_reference_travels_where_the_tenant_wants_it() -> None:
    assert lead(application(), {"reference_in": "utm_term"})["utm_term"] == "REF-1"
    assert "REF-1" not in lead(application(), {"referenceIn": ""}).values()


def test_optional_parts_are_left_out() -> None:
    app = application(financials=None, equipment=None, notes=None, business__addresses=[], business__industry=None)
    sent = lead(app)
    assert problems(app) == set()
    assert not {"state", "postal_code", "industry", "equipment_class", "average_monthly_sales_amount"} & sent.keys()


@pytest.mark.parametrize(
    ("phone", "good"),
    [
        ("0400 000 000", True),
        ("+61 400 000 000", True),
        ("61 2 5550 0000", True),
        ("(02) 5550-0000", True),
        ("1300 000 000", True),
        ("1800 000 000", True),
        ("0500 000 000", False),
        ("400 000 000", False),
        ("0400 000 00", False),
        ("+1 617 555 0100", False),
        ("1400 000 000", False),
    ],
)
def test_australian_phones(phone: str, good: bool) -> None:
    expected = set() if good else {("/owners/0/mobilePhone", "format")}
    assert problems(application(owners__0__mobilePhone=phone)) == expected


@pytest.mark.parametrize(("code", "sent"), [("2999", 2999), ("0800", "0800"), (" 3000 ", 3000)])
def test_postcodes_keep_their_zero(code: str, sent: Any) -> None:
    assert lead(application(business__addresses__0__postalCode=code))["postal_code"] == sent


def test_what_keeps_an_application_away_comes_at_once() -> None:
    app = application(
        business__country="NZ",
        business__addresses__0__region="Canterbury",
        business__addresses__0__postalCode="80111",
        business__registrations__0__number="89 000 000 0",
        business__industry={"anzsic": "L6711"},
        business__entityType="trust",
        financials__monthlyRevenue__currency="NZD",
        requestedFinance__amount__currency="NZD",
        requestedFinance__purpose="taxes",
        quotationOnly=True,
    )
    assert problems(app) == {
        ("/business/country", "country"),
        ("/business/addresses/0/region", "not-supported"),
        ("/business/addresses/0/postalCode", "format"),
        ("/business/registrations", "format"),
        ("/business/industry", "not-supported"),
        ("/business/entityType", "not-supported"),
        ("/financials/monthlyRevenue", "currency"),
        ("/requestedFinance/amount", "currency"),
        ("/requestedFinance/purpose", "not-supported"),
        ("/quotationOnly", "not-supported"),
    }
    assert "Canterbury" not in str(PARTNER.check(app, OPTIONS))


@pytest.mark.parametrize(
    ("day", "months"), [("2015-01-01", None), ("2015-01-31", None), ("2015-02-01", 1), ("2014-01-01", None)]
)
def test_months_of_trading(day: str, months: int | None) -> None:
    assert lead(application(), day=day).get("months_trading") == months


def test_amounts_are_text_above_zero() -> None:
    app = application(
        financials__monthlyRevenue=None,
        financials__taxesOutstanding__amount="12.5",
        requestedFinance__amount__amount="75000.99",
    )
    sent = lead(app)
    assert (sent["average_monthly_sales_amount"], sent["tax_outstanding_amount"]) == ("35000", "12.50")
    assert sent["requested_amount"] == 75000
    assert problems(application(requestedFinance__amount__amount="0.4")) == {
        ("/requestedFinance/amount", "amount-too-low")
    }


# ---- words of their lists


@pytest.mark.parametrize(
    ("industry", "word"),
    [
        ({"anzsic": "H4511"}, "hospitality"),
        ({"anzsic": "L1"}, None),
        ({"anzsic": "E3011"}, "construction"),
        ({"description": "Construction"}, "construction"),
        ({"description": "HOSPITALITY"}, "hospitality"),
        ({"description": "Bread and cakes"}, None),
        ({"naics": "722515"}, None),
    ],
)
def test_industry_is_one_of_theirs_or_reported(industry: dict[str, str], word: str | None) -> None:
    app = application(business__industry=industry)
    assert problems(app) == (set() if word else {("/business/industry", "not-supported")})
    if word:
        assert lead(app)["industry"] == word


def test_without_lists_nothing_is_refused_and_no_word_is_invented() -> None:
    assert PARTNER.check(application(), {}) == []
    request = Order(
        application=application(), reference="R", options={}, planned_at=dt.datetime(2030, 1, 2, tzinfo=dt.UTC)
    )
    sent = json.loads(PARTNER.create(request)[0].content)
    of_lists = {"state" if name == "australian_state" else name for name in profile.OPTION_NAMES}
    assert not of_lists & sent.keys(), "lists that nobody has seen"
    assert {"first_name", "last_name", "phone", "email", "company"} <= sent.keys()


def test_a_word_that_a_newer_list_lacks_is_reported_even_where_it_is_mapped() -> None:
    newer = LISTS | {"entity_type": [{"label": "Company", "value": "COY"}]}
    assert problems(application(), {"lists": json.dumps(newer)}) == {("/business/entityType", "not-supported")}
    words = WORDS | {"entity_type": {"private-company": "COY"}}
    options = {"lists": json.dumps(newer), "words": json.dumps(words)}
    assert problems(application(), options) == set()
    assert lead(application(), options)["entity_type"] == "COY"


@pytest.mark.parametrize("wrong", ["{", "[]", '{"industry": [{"label": 1}]}', '{"industry": {"a": "b"}}'])
def test_lists_that_are_none_are_an_error_of_the_account(wrong: str) -> None:
    with pytest.raises(ValueError):
        PARTNER.check(application(), {"lists": wrong})


def test_lists_are_fetched_and_used_as_they_came() -> None:
    request = mapping.options("australian_state")
    assert (request.operation, request.method, request.path) == ("options", "GET", "/options/australian_state")
    assert dict(request.headers)["content-type"] == "application/vnd.api+json"
    assert request.operation in PARTNER.operations
    fetched = choices.read_list(reply(RECORDED["states"]))
    assert fetched is not None
    assert [each.value for each in fetched] == ["NSW", "VIC"]
    assert PARTNER.lists
    given = PARTNER.lists.into({"lists": json.dumps(LISTS)}, {"australian_state": fetched})
    assert lead(application(), given)["state"] == "NSW"
    assert lead(application(business__addresses__0__region="victoria"), given)["state"] == "VIC"
    assert problems(application(business__addresses__0__region="NT"), given) == {
        ("/business/addresses/0/region", "not-supported")
    }


@given(JUNK, st.sampled_from([200, 204, 401, 500]))
def test_a_list_that_is_none_is_not_taken(junk: Any, status: int) -> None:
    fetched = choices.read_list(Reply(status, {}, json.dumps(junk).encode()))
    assert fetched is None or all(each.label is not None for each in fetched)
    body: Any
    usual = {"label": "x", "value": "y"}
    for body in (
        [],
        {},
        [{"label": "x"}],
        [{"label": "x", "value": 1}],
        [["x", "y"]],
        [usual, {"label": "x", "value": ""}],
        [usual, {"label": "x", "value": "\ud800"}],
        [usual, {"label": "x", "value": "y" * 256}],
        [usual] * (choices.MOST + 1),
    ):
        assert choices.read_list(Reply(200, {}, json.dumps(body).encode())) is None


# ---- from the partner


def test_created() -> None:
    assert outcome("created") == Accepted("00000000-0000-4000-8000-0000000000aa")
    for name, value in (("id", None), ("id", "a b"), ("id", True)):
        body = changed(RECORDED["created"]["body"], **{f"data__{name}": value})
        assert outcome("created", body) == Unknown("no-id")
    other = changed(RECORDED["created"]["body"], data__type="application")
    assert outcome("created", other) == Unknown("unreadable-reply")


def test_refusals_lead_back_to_the_field() -> None:
    invalid = outcome("invalid")
    assert isinstance(invalid, Rejected)
    assert [(each.pointer, each.message) for each in invalid.problems] == [("/owners", "email: is required")]
    failed = outcome("failed")
    assert isinstance(failed, Rejected)
    assert [each.pointer for each in failed.problems] == [""]
    empty = PARTNER.outcome(call("create"), Reply(400, {}, b""))
    assert isinstance(empty, Rejected)
    detail = {"errors": [{"detail": "Testa is no name", "source": {"pointer": "/data/attributes/first_name"}}]}
    quoting = outcome("invalid", detail)
    assert "Testa" not in str(quoting)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (401, {}, CredentialRefused()),
        (403, {}, CredentialRefused()),
        (429, {}, RetryLater(profile.RETRY_AFTER_SECONDS)),
        (429, {"retry-after": "9"}, RetryLater(9.0)),
        (404, {}, Unknown("status-404")),
        (422, {}, Unknown("status-422")),
        (500, {}, Unknown("status-500")),
        (302, {}, Unknown("status-302")),
    ],
)
def test_other_answers(status: int, headers: dict[str, str], expected: Outcome) -> None:
    for operation in profile.OPERATIONS:
        assert PARTNER.outcome(call(operation), Reply(status, headers, b"")) == expected


def test_report_of_a_lead_that_is_there() -> None:
    told = report("received")
    assert (told.status, told.words, told.flags) == (Status.SUBMITTED, "Received", ())
    assert told.partner_time == dt.datetime(2030, 1, 3, 3, 4, 5, tzinfo=dt.UTC)
    assert (told.offers, told.decline_reasons, told.commission) == ((), (), None)


def test_report_of_a_lead_that_is_not_qualified() -> None:
    told = report("unqualified")
    assert (told.status, told.flags) == (Status.DECLINED, ("unmapped-reason",))
    assert [(each.code, each.words, each.mapped) for each in told.decline_reasons] == [("other", "Fake reason", False)]


def test_unknown_words_are_held() -> None:
    body = changed(RECORDED["unqualified"]["body"], data__attributes__status="Unqualified")
    told = report("unqualified", body)
    assert (told.status, told.words) == (None, "Unqualified")
    assert told.flags == ("unknown-status", "unmapped-reason")
    assert report("received", changed(RECORDED["received"]["body"], data__attributes__status="received")).status is None


def test_report_of_what_was_settled() -> None:
    told = report("settled")
    (offer,) = told.offers
    assert offer.amount is not None
    assert (offer.amount.amount, offer.amount.currency) == (Decimal(75000), "AUD")
    assert offer.term is not None
    assert (offer.term.value, offer.term.unit) == (24, "months")
    assert [(fee.name, fee.percent) for fee in offer.fees] == [("annual_interest_rate", Decimal("12.5"))]
    assert offer.details == {"initial_settlement_date": "2030-01-09"}
    assert told.commission is not None
    assert told.commission.amount == 750
    assert told.status == Status.SUBMITTED, "no published word says that money flowed"


def test_odd_parts_are_left_out_and_flagged() -> None:
    body = changed(
        RECORDED["settled"]["body"],
        data__attributes__term_months="soon",
        data__attributes__updated_at="2030-13-09 03:04:05 UTC",
        data__attributes__unqualified_reason={"a": 1},
    )
    told = report("settled", body)
    assert set(told.flags) == {"unreadable-term_months", "unreadable-updated_at", "unreadable-unqualified_reason"}
    assert told.status == Status.SUBMITTED


# ---- whatever a partner sends

CASES = [(name, path) for name, each in RECORDED.items() for path in paths(each["body"])]


@settings(max_examples=600, deadline=None)
@given(case=st.sampled_from(CASES), how=HOW, junk=JUNK)
def test_garbled_replies_never_raise_and_never_invent(case: tuple[str, Path], how: str, junk: Any) -> None:
    name, path = case
    recorded = RECORDED[name]
    answer = reply(recorded, garbled(recorded["body"], path, how, junk))
    came, original = PARTNER.outcome(call(recorded["operation"]), answer), outcome(name)
    if type(came) is not type(original):
        assert isinstance(came, Unknown)
    if recorded["operation"] == "read" and PARTNER.report:
        told = PARTNER.report(answer)
        reason = (Status.DECLINED, Status.SUBMITTED) if path[-1] == "unqualified_reason" else ()
        assert told.status in (None, report(name).status, *reason)


@pytest.mark.parametrize("name", RECORDED)
def test_hostile_documents_are_no_answer(name: str) -> None:
    recorded = RECORDED[name]
    for content in hostile(recorded["body"]):
        for status in (200, 201, recorded["status"]):
            answer = Reply(status, {}, content)
            assert not isinstance(PARTNER.outcome(call(recorded["operation"]), answer), Accepted)
            assert PARTNER.report
            assert PARTNER.report(answer).status is None
            assert choices.read_list(answer) is None


@settings(max_examples=300, deadline=None)
@given(
    status=st.sampled_from([200, 201, 204, 400, 401, 402, 404, 422, 429, 500]),
    content=st.binary(max_size=60) | JUNK.map(lambda data: json.dumps(data).encode()),
    operation=st.sampled_from(sorted(profile.OPERATIONS)),
)
def test_odd_bytes_never_raise(status: int, content: bytes, operation: str) -> None:
    assert not isinstance(PARTNER.outcome(call(operation), Reply(status, {}, content)), Accepted)
    assert PARTNER.report
    assert PARTNER.report(Reply(status, {}, content)).status is None
