"""Finpace's translations, both ways, without I/O. Recorded replies follow the samples of its public reference."""

from __future__ import annotations

import copy
import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from tests.partners.finpace.rehearsal import application
from tests.partners.garbled import HOW, JUNK, garbled, hostile, paths

from lendrail.contracts.application import Application
from lendrail.contracts.terms import Money, Report, Status
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
from lendrail.partners.finpace import profile
from lendrail.partners.partner import Capability, Order

PARTNER = PARTNERS["finpace"]
RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "finpace" / "recorded.json").read_text())
APPLICATION_ID = "smeapp_00000000000000000000000001"
REFERENCE = "3f2504e0-4f89-51d3-9a0c-0305e82c3301"
WISHES = "requestedFinance"


def sound(**wish: Any) -> Application:
    """The rehearsal's application with fields of `requestedFinance` replaced; None removes."""
    data = copy.deepcopy(application("25000", "x"))
    data[WISHES] = {name: value for name, value in (data[WISHES] | wish).items() if value is not None}
    return Application.model_validate(data)


def calls(app: Application, **options: Any) -> tuple[Request, ...]:
    at = dt.datetime(2030, 1, 2, tzinfo=dt.UTC)
    return PARTNER.create(Order(application=app, reference=REFERENCE, options=options, planned_at=at))


def said(name: str, body: Any = ...) -> bytes:
    recorded = RECORDED[name]
    return (
        recorded["text"].encode()
        if "text" in recorded
        else json.dumps(recorded["body"] if body is ... else body).encode()
    )


def outcome(name: str, content: bytes | None = None) -> Outcome:
    request = Request(operation=RECORDED[name]["operation"], method="POST", path="/")
    return PARTNER.outcome(request, Reply(RECORDED[name]["status"], {}, said(name) if content is None else content))


def report(name: str, content: bytes | None = None) -> Report | None:
    assert PARTNER.webhook
    assert PARTNER.webhook.report
    return PARTNER.webhook.report(said(name) if content is None else content)


# ---- to the partner


def test_party_draft_and_submission() -> None:
    assert PARTNER.check(sound(), {}) == []
    party, draft, submit = calls(sound())
    assert [each.path for each in (party, draft, submit)] == [
        "/parties",
        "/sme-loan-applications",
        f"/sme-loan-applications/{{{{application:{REFERENCE}}}}}/submit",
    ]
    body = json.loads(party.content)
    assert body["addresses"][1] == {"line1": "3 Nowhere Rd", "city": "Faketown", "region": "MA", "country": "US"}
    assert {name: value for name, value in body.items() if name not in ("addresses", "contacts")} == {
        "partyType": "organization",
        "segment": "sme",
        "displayName": "Fake Bakery",
        "legalName": "Fake Bakery LLC",
        "countryOfIncorporation": "US",
        "taxNumber": "99-0000001",
    }
    assert body["contacts"] == [
        {"type": "email", "value": "shop@bakery.example.test"},
        {"type": "phone", "value": "6175550101"},
    ]
    assert json.loads(draft.content) == {
        "partyId": f"{{{{party:{REFERENCE}}}}}",
        "facilityType": "working-capital",
        "requestedAmount": {"amount": "25000", "currency": "EUR"},
        "requestedTenorMonths": 12,
        "purpose": "A second oven.",
    }
    assert json.loads(submit.content) == {}
    filled = submit.filled({"application": APPLICATION_ID}, REFERENCE)
    assert filled.path == f"/sme-loan-applications/{APPLICATION_ID}/submit"


def test_each_step_has_a_key_of_its_own_that_a_repeat_keeps() -> None:
    keys = [dict(each.headers)["idempotency-key"] for each in calls(sound())]
    assert len(set(keys)) == 3
    assert all(key.startswith(REFERENCE) and len(key) <= 80 for key in keys)
    assert {dict(each.headers)["x-correlation-id"] for each in calls(sound())} == {REFERENCE}
    assert calls(sound()) == calls(sound())
    assert {each.capability for each in PARTNER.operations.values()} == {Capability.KEYED}
    assert all(each.key_life and each.repeats for each in PARTNER.operations.values())


def test_the_persons_behind_the_business_are_not_told() -> None:
    sent = b"".join(each.content for each in calls(sound()))
    for secret in (b"900-00-0001", b"900000001", b"1980-01-01", b"Testa"):
        assert secret not in sent


@pytest.mark.parametrize(
    ("wish", "facility"),
    [
        ({"product": "term-loan", "purpose": "payroll"}, "working-capital"),
        ({"product": None, "purpose": "working-capital"}, "working-capital"),
        ({"product": "term-loan", "purpose": "property-purchase"}, None),
        ({"product": "equipment-loan", "purpose": "working-capital"}, None),
        ({"product": "other", "purpose": "working-capital"}, None),
    ],
)
def test_facility_is_never_invented(wish: dict[str, Any], facility: str | None) -> None:
    found = PARTNER.check(sound(**wish), {})
    if facility:
        assert found == []
        assert json.loads(calls(sound(**wish))[1].content)["facilityType"] == facility
    else:
        assert [each.code for each in found] == ["not-supported"]


def test_what_a_tenant_agreed_with_the_partner() -> None:
    options = {
        "facilityOfProduct": '{"equipment-loan": "asset-finance"}',
        "facilityOfPurpose": '{"renovation": "capex"}',
        "submitPath": "/sme-loan-applications/{applicationId}/decision-requests",
        "decisionMode": "hybrid",
    }
    wish = sound(product="equipment-loan", purpose="equipment-purchase")
    assert PARTNER.check(wish, options) == []
    _, draft, submit = calls(wish, **options)
    assert json.loads(draft.content)["facilityType"] == "asset-finance"
    assert json.loads(draft.content)["decisionMode"] == "hybrid"
    assert submit.path == f"/sme-loan-applications/{{{{application:{REFERENCE}}}}}/decision-requests"
    assert [each.code for each in PARTNER.check(sound(), options)] == ["not-supported"], "the table is the tenant's"
    for wrong in ({"facilityOfProduct": '{"loan": "x"}'}, {"facilityOfProduct": "{"}, {"submitPath": "//evil.example"}):
        with pytest.raises(ValidationError):
            profile.Options.model_validate(wrong)


@pytest.mark.parametrize(("value", "unit", "months"), [(2, "years", 24), (7, "months", 7), (30, "weeks", None)])
def test_tenor_is_in_months(value: int, unit: str, months: int | None) -> None:
    wish = sound(term={"value": value, "unit": unit})
    if months is None:
        assert [each.pointer for each in PARTNER.check(wish, {})] == ["/requestedFinance/term"]
    else:
        assert json.loads(calls(wish)[1].content)["requestedTenorMonths"] == months


def test_quotation_alone_is_not_taken() -> None:
    data = application("25000", "x") | {"quotationOnly": True}
    assert [each.pointer for each in PARTNER.check(Application.model_validate(data), {})] == ["/quotationOnly"]


def test_subscription() -> None:
    assert PARTNER.webhook
    register = PARTNER.webhook.register
    assert register
    url = "https://gateway.example.test/w"
    request = register(url, SecretStr("fake-secret"))
    assert json.loads(request.content) == {
        "eventTypes": ["credit.decision.completed"],
        "targetUrl": url,
        "secret": "fake-secret",
    }
    assert "fake-secret" not in repr(request.headers)
    keys = {
        dict(each.headers)["idempotency-key"]
        for each in (request, register(url, SecretStr("next")), register(url, None))
    }
    assert len(keys) == 3, "another secret is another request"
    assert all(len(key) <= 80 for key in keys)


# ---- from the partner


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("party_created", Accepted(given={"party": "pty_00000000000000000000000001"})),
        ("draft_created", Accepted(APPLICATION_ID, given={"application": APPLICATION_ID})),
        ("submitted", Accepted(APPLICATION_ID, Report(status=Status.IN_REVIEW, words="in-underwriting"))),
        ("declined_at_once", Accepted(APPLICATION_ID, Report(status=Status.DECLINED, words="declined"))),
        ("subscribed", Accepted()),
        ("subscription_paused", Unknown("subscription-not-active")),
        ("unauthorised", CredentialRefused()),
        ("too_many", RetryLater(5.0)),
        ("key_conflict", Unknown("status-409")),
    ],
)
def test_recorded_outcome(name: str, expected: Outcome) -> None:
    assert outcome(name) == expected


def test_refusals_of_both_generations() -> None:
    invalid, limit = outcome("invalid"), outcome("limit_breach")
    assert isinstance(invalid, Rejected)
    assert [each.pointer for each in invalid.problems] == ["/requestedFinance/amount"]
    assert isinstance(limit, Rejected)
    assert limit.words is not None
    assert "LIMIT_BREACH" in limit.words.reveal()


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b"{}"),
        (202, b'{"applicationId": ""}'),
        (202, b'{"applicationId": "a b"}'),
        (202, b'{"applicationId": null}'),
        (202, b'{"applicationId": "a/../b"}'),
        (204, b""),
        (302, b""),
        (400, b""),
        (404, b'{"code": "NOT_FOUND"}'),
        (409, b""),
        (422, b""),
        (422, b'{"errors": []}'),
        (422, b'{"errors": [{"message": "x"}]}'),
        (422, b'{"applicationId": "x", "code": "VALIDATION_FAILED"}'),
        (500, b'{"code": "INTERNAL"}'),
        (503, b""),
    ],
)
def test_everything_else_is_unknown(status: int, content: bytes) -> None:
    request = Request(operation="create", method="POST", path="/")
    assert isinstance(PARTNER.outcome(request, Reply(status, {}, content)), Unknown)


def test_decision_with_the_submission() -> None:
    came = outcome("approved_at_once")
    assert isinstance(came, Accepted)
    assert came.report == report("webhook_approve")


def test_a_decision_that_contradicts_its_application_is_held() -> None:
    body = copy.deepcopy(RECORDED["approved_at_once"]["body"]) | {"status": "declined"}
    came = outcome("approved_at_once", json.dumps(body).encode())
    assert isinstance(came, Accepted)
    assert came.report == Report(status=None, words="declined", flags=("conflicting-decision",))


def test_webhook_of_an_approval() -> None:
    told = report("webhook_approve")
    assert told is not None
    assert (told.status, told.words, told.flags) == (Status.APPROVED, "approve", ())
    assert told.partner_time == dt.datetime(2030, 1, 2, 3, 59, 58, tzinfo=dt.UTC)
    (offer,) = told.offers
    assert (offer.id, offer.amount) == ("dec_00000000000000000000000001", Money(amount=Decimal(20000), currency="EUR"))
    assert offer.term is not None
    assert (offer.term.value, offer.term.unit) == (18, "months")
    assert offer.details == {"pricingReference": "TEST-BAND-01", "reasonCodes": "cashflow.coverage.acceptable"}


def test_webhook_of_a_decline_and_of_a_referral() -> None:
    declined, referred = report("webhook_decline"), report("webhook_refer")
    assert declined is not None
    assert [(each.code, each.mapped) for each in declined.decline_reasons] == [("cash-flow", True), ("other", False)]
    assert declined.flags == ("unmapped-reason",)
    assert referred is not None
    assert referred.status == Status.REFERRED
    assert referred.notes is not None
    assert referred.notes.reveal() == "manual.review.required"


def test_unknown_outcome_and_other_events() -> None:
    body = copy.deepcopy(RECORDED["webhook_approve"]["body"])
    body["decision"]["outcome"] = "approve-with-conditions"
    told = report("webhook_approve", json.dumps(body).encode())
    assert told == Report(
        status=None,
        words="approve-with-conditions",
        partner_time=dt.datetime(2030, 1, 2, 3, 59, 58, tzinfo=dt.UTC),
        flags=("unknown-stage",),
    )
    body["eventType"] = "document.lifecycle.changed"
    assert report("webhook_approve", json.dumps(body).encode()) is None


def test_hint_names_the_application() -> None:
    assert PARTNER.webhook
    assert PARTNER.webhook.hint(said("webhook_approve"), None) == Hint(APPLICATION_ID, "approve")
    assert PARTNER.webhook.hint(b'{"eventType": "task.changed"}', None) is None


# ---- whatever a partner sends

BODIES = [name for name, recorded in RECORDED.items() if "body" in recorded]
CASES = [(name, path) for name in BODIES for path in paths(RECORDED[name]["body"])]
WORDS = [*profile.STATUSES, *profile.OUTCOMES]


def statuses_of(came: Outcome) -> Status | None:
    return came.report.status if isinstance(came, Accepted) and came.report else None


@settings(max_examples=500, deadline=None)
@given(case=st.sampled_from(CASES), how=HOW, junk=JUNK)
def test_garbled_never_raises_and_never_invents(case: tuple[str, Any], how: str, junk: Any) -> None:
    name, path = case
    content = json.dumps(garbled(RECORDED[name]["body"], path, how, junk)).encode()
    assert PARTNER.webhook
    PARTNER.webhook.hint(content, None)
    if RECORDED[name]["operation"] == "webhook":
        told, before = report(name, content), report(name)
        assert told is None or before is None or told.status in (None, before.status) or junk in WORDS
        return
    came, original = outcome(name, content), outcome(name)
    if type(came) is not type(original):
        assert isinstance(came, Unknown | Rejected)
        assert isinstance(came, Unknown) or not isinstance(original, Accepted)
    assert statuses_of(came) in (None, statuses_of(original)) or junk in WORDS


@pytest.mark.parametrize("name", BODIES)
def test_hostile_documents(name: str) -> None:
    for content in hostile(RECORDED[name]["body"]):
        if RECORDED[name]["operation"] == "webhook":
            assert report(name, content) is None
        elif RECORDED[name]["status"] < 300:
            assert outcome(name, content) == Unknown("unreadable-reply")
        else:
            assert not isinstance(outcome(name, content), Accepted)


@settings(max_examples=200, deadline=None)
@given(status=st.sampled_from([200, 201, 202, 400, 401, 409, 422, 429, 500]), content=st.binary(max_size=60))
def test_random_bytes_never_raise(status: int, content: bytes) -> None:
    for operation in profile.OPERATIONS:
        request = Request(operation=operation, method="POST", path="/")
        assert not isinstance(PARTNER.outcome(request, Reply(status, {}, content)), Accepted)
    assert report("webhook_approve", content) is None
