"""What comes from the registry, whatever comes. No I/O."""

import copy
import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.partners.garbled import HOW, JUNK, garbled, paths
from tests.partners.monetago.making import (
    RECORDED,
    REQUEST_ID,
    call,
    fvrs,
    outcome,
    reply,
    report,
)

from lendrail.contracts.terms import Money, Status
from lendrail.partners.exchange import (
    Absent,
    Accepted,
    CredentialRefused,
    Found,
    Outcome,
    Present,
    Rejected,
    Reply,
    RetryLater,
    Unknown,
)
from lendrail.partners.monetago import MONETAGO, profile, results

# ---- from the registry


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("registered", Accepted(REQUEST_ID)),
        ("registered_201", Accepted(REQUEST_ID)),
        ("unauthorised", CredentialRefused()),
        ("forbidden", CredentialRefused()),
        ("too_many", RetryLater(5.0)),
        ("pending", Accepted()),
        ("unique_bare", Accepted()),
        ("finance_taken", Accepted()),
        ("cancel_taken", Accepted()),
        ("status_requested", Accepted(given={"statusRequest": "00000000-0000-4000-8000-0000000000b4"})),
        ("matches", Accepted()),
        ("activity", Accepted()),
        ("not_listed", Accepted()),
    ],
)
def test_recorded_outcome(name: str, expected: Outcome) -> None:
    assert outcome(name) == expected


def test_refusal_leads_back_and_quotes_nothing() -> None:
    refusal = outcome("invalid")
    assert isinstance(refusal, Rejected)
    (problem,) = refusal.problems
    assert (problem.pointer, problem.partner) == ("/invoices/1/number", "monetago")
    assert "MISSING_FIELD" in problem.message
    assert isinstance(outcome("finance_refused"), Rejected)
    assert isinstance(outcome("finance_stranger"), Rejected)
    quoting = {"errors": [{"code": "Testa Fakely", "text": "Testa Fakely owes", "path": "Testa.financing_applicant"}]}
    refusal = MONETAGO.outcome(call("create"), reply("invalid", quoting))
    assert isinstance(refusal, Rejected)
    assert "Testa" not in repr(refusal)
    assert refusal.problems[0].pointer == "/business"
    assert refusal.words is not None
    assert "owes" in refusal.words.reveal()


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        (
            "/batch_collection/0/financing_validation_request_details/7/financing_request_amount",
            "/invoices/7/requested",
        ),
        ("batch_collection[0].financing_validation_request_details[2].referred_documents[0]", "/invoices/2"),
        ("referred_documents.document_summary.buyer_identification.name", "/invoices"),
        ("submitting_financial_institution_identification", ""),
        ("", ""),
    ],
)
def test_path_of_a_refusal(path: str, pointer: str) -> None:
    refusal = MONETAGO.outcome(call("create"), reply("invalid", {"errors": [{"path": path}]}))
    assert isinstance(refusal, Rejected)
    assert refusal.problems[0].pointer == pointer


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b"<html>Welcome</html>"),
        (202, b""),
        (202, b"{}"),
        (202, b'{"request_identification": ""}'),
        (202, b'{"request_identification": null}'),
        (202, b'{"request_identification": true}'),
        (202, b'{"request_identification": "a b"}'),
        (202, b'{"request_identification": "x", "errors": []}'),
        (202, b'{"request_identification": "x", "request_identification": "y"}'),
        (202, b'{"request_identification": "x", "n": NaN}'),
        (202, b'[{"request_identification": "x"}]'),
        (202, b'{"request_identification": "x"'),
        (202, b"\xff\xfe"),
        (202, b'{"request_identification": "x", "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        (202, b'{"request_identification": ' + b"9" * 5000 + b"}"),
        (202, '{"request_identification": "x"}'.encode("utf-16")),
        (400, b""),
        (400, b"{}"),
        (400, b'{"errors": []}'),
        (400, b'{"errors": "wrong"}'),
        (400, b'{"errors": ["wrong"]}'),
        (400, b'{"errors": [{"code": "X"}], "request_identification": "x"}'),
        (404, b'{"errors": [{"code": "NOT_FOUND"}]}'),
        (409, b'{"errors": [{"code": "ILLEGAL_TRANSITION"}]}'),
        (422, b'{"errors": [{"code": "X"}]}'),
        (302, b""),
        (500, b'{"errors": [{"code": "X"}]}'),
        (503, b""),
    ],
)
def test_everything_else_is_unknown(status: int, content: bytes) -> None:
    assert isinstance(MONETAGO.outcome(call("create"), Reply(status, {}, content)), Unknown)


def test_lost_id_has_its_own_code() -> None:
    assert MONETAGO.outcome(call("create"), Reply(202, {}, b"{}")) == Unknown("no-id")


@pytest.mark.parametrize(
    ("name", "status", "flags"),
    [
        ("pending", Status.IN_REVIEW, ()),
        ("unique", Status.APPROVED, ()),
        ("unique_bare", Status.APPROVED, ()),
        ("unique_partial", Status.APPROVED, ("partial-match",)),
        ("three_unique", Status.APPROVED, ()),
        ("duplicate", Status.DUPLICATE, ()),
        ("duplicate_financed", Status.DUPLICATE, ()),
        ("financed", Status.FUNDED, ()),
        ("cancelled", Status.WITHDRAWN, ()),
    ],
)
def test_recorded_report(name: str, status: Status, flags: tuple[str, ...]) -> None:
    told = results.report(reply(name))
    assert (told.status, told.flags) == (status, flags)


def test_match_report() -> None:
    (match,) = results.report(reply("duplicate_financed")).matches
    assert (match.id, match.kind, match.status) == ("00000000-0000-4000-8000-0000000000c1", "EXCT", "FNCD")
    assert match.amount == Money(amount=Decimal("150000.25"), currency="SGD")
    assert match.at == dt.datetime(2030, 1, 2, 3, 4, 5, 6000, tzinfo=dt.UTC)
    assert match.risk == "CRITICAL_RISK"
    (partial,) = results.report(reply("unique_partial")).matches
    assert partial.amount == Money(amount=Decimal("1850600.00"), currency="SGD")


ORDER = ["FNCD", "REGU", "PNDG", "CANC", "REDU"]


@given(st.lists(st.sampled_from(ORDER), min_size=1, max_size=6))
def test_worst_of_several_counts(words: list[str]) -> None:
    worst = max(words, key=ORDER.index)
    assert report(fvrs(*words)).status == profile.STATUSES[worst]
    assert (report(fvrs(*words)).status == Status.APPROVED) is (set(words) <= {"REGU", "FNCD"} and "REGU" in words)
    assert report(fvrs(*words, "Contemplating")).status is None


def test_gate_stays_shut_while_one_is_missing_or_cannot_be_read() -> None:
    whole = RECORDED["three_unique"]["body"]
    for place in (0, 1, 2):
        some = copy.deepcopy(whole)
        del some["financing_validation_requests"][place]
        told = report(some)
        assert (told.status, told.flags) == (Status.IN_REVIEW, ("incomplete-reply",))
    junks: list[Any] = [
        {},
        None,
        "REGU",
        17,
        {"financing_request_status": None},
        {"financing_request_status": ["REGU"]},
    ]
    for junk in junks:
        spoilt = copy.deepcopy(whole)
        spoilt["financing_validation_requests"].append(junk)
        told = report(spoilt)
        assert (told.status, "unknown-stage" in told.flags) == (None, True)
    assert report({"results": [[{"financing_request_status": "REGU"}], [{"financing_request_status": "REDU"}]]}).status


def test_word_nobody_knows_is_held() -> None:
    told = report(fvrs("Contemplating"))
    assert (told.status, told.words, told.flags) == (None, "Contemplating", ("unknown-stage",))
    assert report(fvrs("regu")).status is None
    assert report({"message": "no results"}).status is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (RECORDED["listed"]["body"], Present(REQUEST_ID)),
        (RECORDED["not_listed"]["body"], Absent()),
        ({}, Unknown("unreadable-reply")),
        ([], Unknown("unreadable-reply")),
        ({"errors": [], "financing_validation_requests": []}, Unknown("unreadable-reply")),
        ({"something_else": []}, Unknown("unreadable-reply")),
        ({"financing_validation_requests": None}, Unknown("unreadable-reply")),
        (fvrs("REGU"), Unknown("unexpected-list")),
        (
            {"a": [{"submitter_data_set_identification": "test_set_2", "request_identification": "x"}]},
            Unknown("unexpected-list"),
        ),
        ({"a": [{"submitter_data_set_identification": "test_set_1"}]}, Unknown("no-id")),
        (
            {
                "a": [
                    {"submitter_data_set_identification": "test_set_1", "request_identification": each} for each in "xy"
                ]
            },
            Unknown("registered-twice"),
        ),
        (
            {
                "a": [
                    {"submitter_data_set_identification": each, "request_identification": "x"}
                    for each in ("test_set_1", "test_set_1-2of2")
                ]
            },
            Present("x"),
        ),
    ],
)
def test_search_is_absent_only_where_the_list_says_so(content: Any, expected: Found) -> None:
    assert results.found(call("search"), reply("listed", content)) == expected


def test_search_that_was_refused_tells_nothing() -> None:
    for status in (204, 400, 404, 500):
        answer = Reply(status, {}, b'{"financing_validation_requests": []}')
        assert isinstance(results.found(call("search"), answer), Unknown)


# ---- whatever comes


CASES = [(name, path) for name, recorded in RECORDED.items() if "body" in recorded for path in paths(recorded["body"])]
SURE = {Status.APPROVED, Status.FUNDED}


@settings(max_examples=800, deadline=None)
@given(case=st.sampled_from(CASES), how=HOW, junk=JUNK)
def test_mutated_replies_never_raise_and_never_invent(case: tuple[str, Any], how: str, junk: Any) -> None:
    name, path = case
    recorded = RECORDED[name]
    answer = reply(name, garbled(recorded["body"], path, how, junk))
    request = call(recorded["operation"])
    came, original = MONETAGO.outcome(request, answer), outcome(name)
    if type(came) is not type(original):
        assert isinstance(came, Unknown), "a garbled answer is unknown, never another success"
    if isinstance(came, Accepted) and came.partner_id != getattr(original, "partner_id", None):
        assert (path, how, came.partner_id) == (("request_identification",), "retyped", str(junk))
    told, before = results.report(answer), results.report(reply(name))
    if recorded["operation"] != "read":
        before = told
    if told.status != before.status and told.status in SURE:
        pytest.fail("nothing garbled becomes good")
    if told.status not in (before.status, None):
        assert (before.status, told.status) == (Status.APPROVED, Status.IN_REVIEW)
    if results.found(request, answer) == Absent():
        assert json.loads(answer.content)["financing_validation_requests"] == [], "it says so itself"
    results.page(answer)
    for each in results.compared(answer) or ():
        assert all(isinstance(value, bool) for value in each.fields.values())


@settings(max_examples=200, deadline=None)
@given(
    status=st.sampled_from([200, 201, 202, 400, 401, 403, 404, 409, 429, 500]),
    content=st.binary(max_size=60) | JUNK.map(lambda value: json.dumps(value).encode()),
    operation=st.sampled_from(sorted(MONETAGO.operations)),
)
def test_anything_never_raises(status: int, content: bytes, operation: str) -> None:
    answer = Reply(status, {}, content)
    came = MONETAGO.outcome(call(operation), answer)
    assert not isinstance(came, Accepted) or (operation in ("search", "activity"))
    assert results.report(answer).status is None
    assert not isinstance(results.found(call("search"), answer), Absent | Present)
    assert results.page(answer) is None
    assert results.compared(answer) is None
