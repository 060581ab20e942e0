"""One table says what is sent, what is needed and where a refusal leads; the lists that follow from it are pinned."""

import datetime as dt
from typing import Any

from tests import make

from lendrail.contracts.application_words import RegistrationScheme
from lendrail.contracts.terms import Model, ReasonCode, Status
from lendrail.partners import PARTNERS
from lendrail.partners.answers import decline_reasons, hint_of, reported
from lendrail.partners.business import registered
from lendrail.partners.exchange import Hint
from lendrail.partners.fields import Field, either, months_since, then
from lendrail.partners.forms import APPLICANT, EQUIPMENT, WHOLE, Form, no_quotation, only_for, only_in, somebody
from lendrail.partners.partner import Order
from lendrail.partners.reading import texts
from lendrail.partners.refusals import has_code, has_message
from lendrail.partners.told import Told

FORM = Form(
    "test-lender",
    Model,
    lambda options, today: {
        WHOLE: (
            Field("customers", "financials.customers", required=True),
            Field("since", "business.start_date", months_since(today)),
        ),
        APPLICANT: (Field("mail", "email", required=True),),
        EQUIPMENT: (Field("tool", "category"),),
    },
    (only_in("US", "elsewhere"), somebody("nobody"), no_quotation(), only_for(("overdraft",), "other products")),
)


def test_what_partners_need_follows_from_their_tables() -> None:
    """Were these lists empty, the tests that walk them would say nothing."""
    assert FORM.required == ("/financials", "/financials/customers", "/owners", "/owners/0/email")
    assert PARTNERS["optimum-finance"].facts.required == (
        "/business/industry",
        "/business/registrations",
        "/business/startDate",
        "/financials",
        "/financials/customers",
        "/financials/expectedAnnualRevenue",
        "/owners",
        "/owners/0/email",
        "/owners/0/mobilePhone",
    )
    assert PARTNERS["valiant"].facts.required == ("/owners", "/owners/0/email", "/owners/0/mobilePhone")
    assert PARTNERS["finpace"].facts.required == ("/requestedFinance/purpose", "/requestedFinance/term")


def test_every_name_leads_back() -> None:
    assert FORM.pointers == {
        "customers": "/financials/customers",
        "since": "/business/startDate",
        "mail": "/owners",
        "tool": "/equipment",
    }


def test_rules_and_tables_speak_at_once_and_absent_parts_are_left_out() -> None:
    app = make.application(owners=[], financials=None, quotationOnly=True)
    found = {(each.pointer, each.code) for each in FORM.check(app, {})}
    assert found == {
        ("/financials/customers", "missing"),
        ("/owners", "missing"),
        ("/quotationOnly", "not-supported"),
        ("/requestedFinance/product", "not-supported"),
    }
    order = Order(application=app, reference="R", options={}, planned_at=dt.datetime(2030, 1, 2, tzinfo=dt.UTC))
    assert set(FORM.body(order)) <= {"since", "tool"}


def test_a_status_word_that_nobody_knows_has_no_status() -> None:
    def more(told: Told) -> dict[str, Any]:
        return {"decline_reasons": decline_reasons(told, ["a", "b"], {"a": ReasonCode.POLICY}.get)}

    report = reported(Told({"status": "Odd"}), "status", {"Good": Status.APPROVED}, more)
    assert (report.status, report.words) == (None, "Odd")
    assert report.flags == ("unknown-stage", "unmapped-reason")
    assert [(each.code, each.mapped) for each in report.decline_reasons] == [("policy", True), ("other", False)]
    assert reported(Told({"status": 7}), "status", {}, more).flags == ("unreadable-reply",)


def test_hints() -> None:
    read = hint_of("id", "word", inside="event", otherwise="news", by_address=True)
    assert read(b'{"event": {"id": "7", "word": "done"}}', None) == Hint("7", "done")
    assert read(b"{}", "8") == Hint("8", "news")
    assert read(b'{"event": []}', None) is None
    assert hint_of("id", "word")(b'{"id": "7"}', "8") is None


def test_shapes_of_refusals() -> None:
    code, message = has_code("BAD", names=("code", "errorCode")), has_message("Key")
    assert code({"errorCode": "BAD"})
    assert not code({"code": "OTHER", "errorCode": "BAD"})
    assert not code({"code": "BAD", "id": "7"})
    assert not code(None)
    assert message({"message": "the key is wrong"})
    assert not message({"message": "the key is wrong", "id": "7"})
    assert not message({"message": ["key"]})


def test_small_readers_and_writers() -> None:
    assert texts(["a", " ", "b"]) == ["a", "b"]
    assert texts(["a", 7]) is None
    assert then(lambda value: None, str)("x") is None
    app = make.application()
    assert registered(RegistrationScheme.LEI, RegistrationScheme.EIN)(app) == app.business.registrations[0].number
    assert registered(RegistrationScheme.EIN, country="GB")(app) is None
    assert either("notes", "business.legal_name")(app) == "Call after 2 pm."
