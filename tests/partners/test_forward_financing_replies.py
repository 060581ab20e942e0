"""What comes from Forward Financing, whatever it sends. No I/O."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.partners.forward_financing.making import PARTNER, RECORDED, call, outcome, reply, report
from tests.partners.garbled import HOW, JUNK, garbled, paths

from lendrail.contracts.terms import Status
from lendrail.partners.exchange import (
    Accepted,
    CredentialRefused,
    Duplicate,
    FileResult,
    Hint,
    Outcome,
    PartlyAccepted,
    Rejected,
    Reply,
    RetryLater,
    Unknown,
)
from lendrail.partners.forward_financing import profile

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
