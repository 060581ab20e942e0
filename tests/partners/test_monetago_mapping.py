"""MonetaGo's translations, both ways, without I/O. What its pages show is recorded; the wrapping is a proposal."""

import copy
import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from tests.partners.garbled import HOW, JUNK, garbled, paths
from tests.partners.rehearsals import FULL, PLANNED_AT

from lendrail.contracts.application import Application
from lendrail.contracts.terms import Money, Report, Status
from lendrail.partners.channels.access import auth_of
from lendrail.partners.channels.auth import MemoryTokens, OAuth
from lendrail.partners.exchange import (
    Absent,
    Accepted,
    Comparison,
    CredentialRefused,
    Found,
    Hint,
    Outcome,
    Page,
    Present,
    Rejected,
    Reply,
    Request,
    RetryLater,
    Unknown,
)
from lendrail.partners.monetago import MONETAGO, mapping, profile, registration, results
from lendrail.partners.partner import Capability, Order

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "monetago" / "recorded.json").read_text())
OPTIONS = {"institution": "ZZZZSGS0XXX"}
NOW = dt.datetime(2030, 1, 2, 3, 30, tzinfo=dt.UTC)
REQUEST_ID = "00000000-0000-4000-8000-0000000000b1"


def data(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(FULL) | changes


def invoice(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = copy.deepcopy(FULL["invoices"][0])
    return {name: value for name, value in (made | changes).items() if value is not None}


def problems(raw: dict[str, Any], **more: str) -> set[tuple[str, str]]:
    return {(each.pointer, each.code) for each in MONETAGO.check(Application.model_validate(raw), OPTIONS | more)}


def body(raw: dict[str, Any], reference: str = "TEST-REF-0001") -> dict[str, Any]:
    application = Application.model_validate(raw)
    assert MONETAGO.check(application, OPTIONS) == []
    order = Order(application=application, reference=reference, options=OPTIONS, planned_at=PLANNED_AT)
    (request,) = MONETAGO.create(order)
    assert (request.method, request.path, request.query) == ("POST", "/registrations", ())
    assert MONETAGO.create(order) == (request,), "a repeat is the same to the byte"
    read: dict[str, Any] = json.loads(request.content)
    return read


def requests(raw: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body(raw)["batch_collection"][0]["financing_validation_request_details"]
    return found


def reply(name: str, content: Any = ...) -> Reply:
    recorded = RECORDED[name]
    text = recorded.get("text", "") if "body" not in recorded else json.dumps(recorded["body"])
    return Reply(recorded["status"], {}, (text if content is ... else json.dumps(content)).encode())


def call(operation: str) -> Request:
    return Request(operation=operation, method="POST", path="/", context=(("reference", "test_set_1"),))


def outcome(name: str) -> Outcome:
    return MONETAGO.outcome(call(RECORDED[name]["operation"]), reply(name))


def report(content: Any) -> Report:
    return results.report(reply("unique", content))


def fvrs(*statuses: Any) -> dict[str, Any]:
    return {"financing_validation_requests": [{"financing_request_status": each} for each in statuses]}


# ---- to the registry


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
    for body in ([row], {"matches": {"of": [row]}}, row | {"document_match_lines": lines}):
        (told,) = results.compared(reply("matches", {"answer": body})) or ()
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


# ---- the feed


def test_activity_calls() -> None:
    first = mapping.activity(None, NOW)
    assert first.query == (("limit", "1000"), ("offset", "0"))
    later = mapping.activity("2030-01-02T03:04:05.006Z", NOW)
    assert later.query == (("after", "2030-01-02T03:04:05.006Z"), *first.query)
    assert mapping.activity("2030-01-02T03:04:05.006Z 2000", NOW).query[1] == ("limit", "2000")
    future = mapping.activity("2099-01-01T00:00:00.000Z", NOW)
    assert future.query[0] == ("after", "2030-01-02T03:30:00.000Z")
    assert all(name != "before" for name, _ in later.query)


def test_activity_page() -> None:
    page = results.page(reply("activity"))
    assert page == Page(
        (
            Hint(REQUEST_ID, "STATUS_CHANGED REDU 2030-01-02T03:05:00.000Z", "test_set_1"),
            Hint("", "STATUS_CHANGED REGU 2030-01-02T03:05:00.001Z", "test_set_2"),
        ),
        "2030-01-02T03:04:55.001Z",
    )
    assert results.page(reply("activity", {"activity": []})) == Page((), None)
    junks: list[Any] = [{}, [], {"activity": None}, {"activity": {}}, {"events": []}]
    assert [results.page(reply("activity", each)) for each in junks] == [None] * len(junks)
    assert results.page(Reply(500, {}, b'{"activity": []}')) is None


def test_full_page_that_gives_no_order_is_not_believed() -> None:
    def event(time: Any) -> dict[str, Any]:
        return {"event_time": time, "request_identification": "x"}

    times = ["2030-01-02T03:05:00.001Z", "2030-01-02T03:05:00.000Z"]
    with patch.object(profile, "PAGE", 2):
        assert results.page(reply("activity", {"activity": [event(each) for each in times]})) is None
        assert results.page(reply("activity", {"activity": [event(times[1]), event("soon")]})) is None
        assert results.page(reply("activity", {"activity": [event(each) for each in reversed(times)]})) is not None


def served(events: list[tuple[int, str]], inclusive: bool) -> Callable[[Request], Reply]:
    """A partner with these events (milliseconds, id), whose `after` includes its own moment or does not."""

    def serve(request: Request) -> Reply:
        query = dict(request.query)
        after = query.get("after", "")
        told = [
            {"event_time": results.stamp(NOW - dt.timedelta(hours=1) + dt.timedelta(milliseconds=at)), "id": name}
            for at, name in sorted(events)
        ]
        fits = [each for each in told if each["event_time"] > after or (inclusive and each["event_time"] == after)]
        start = int(query["offset"])
        shown = [each | {"request_identification": each.pop("id")} for each in fits[start:][: int(query["limit"])]]
        return Reply(200, {}, json.dumps({"activity": shown}).encode())

    return serve


@settings(max_examples=200, deadline=None)
@given(
    times=st.lists(st.integers(0, 8).map(lambda n: n * n * 700), max_size=25),
    known=st.integers(0, 25),
    size=st.integers(1, 6),
    inclusive=st.booleans(),
)
def test_feed_loses_no_event_however_pages_fall(times: list[int], known: int, size: int, inclusive: bool) -> None:
    """Some events are there at the first look, the rest come before the second: several share one moment, and a page
    may end among them.
    """
    events = [(at, f"e{place}") for place, at in enumerate(sorted(times))]
    seen, cursor = set[str](), None
    with patch.object(profile, "PAGE", size):
        for visible in (events[:known], events):
            serve = served(visible, inclusive)
            for _ in range(len(events) + 2):  # looks that are a while apart
                more = True
                while more:
                    page = results.page(serve(mapping.activity(cursor, NOW)))
                    assert page is not None
                    assert not page.more or page.cursor != cursor, "another page is another one"
                    seen |= {each.partner_id for each in page.hints}
                    cursor, more = page.cursor or cursor, page.more
    assert seen == {name for _, name in events}


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
