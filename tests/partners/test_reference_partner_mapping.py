"""The reference partner's translations, both ways, without I/O; and partners that a file declares."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.partners.garbled import HOW, JUNK, garbled, hostile, paths
from tests.partners.rehearsals import FULL

from lendrail.contracts.application import Application
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import Money, Report, Status, Wanted
from lendrail.partners import PARTNERS
from lendrail.partners.declared import BadDeclaration, declare, read
from lendrail.partners.exchange import (
    Absent,
    Accepted,
    CredentialRefused,
    Delivery,
    File,
    Found,
    Hint,
    Known,
    Listing,
    Outcome,
    Present,
    Rejected,
    Reply,
    Request,
    RetryLater,
    Unknown,
)
from lendrail.partners.partner import Capability, Order
from lendrail.partners.reference import profile, reference_partner

PARTNER = PARTNERS["reference-partner"]
FOLDER = Path(__file__).parent / "reference_partner"
RECORDED: dict[str, Any] = json.loads((FOLDER / "recorded.json").read_text())
REFERENCE = "3f2504e0-4f89-51d3-9a0c-0305e82c3301"
APPLICATION_ID = "app_0000000000000001"
EVENTS = ("event",)


def application(**changes: Any) -> Application:
    return Application.model_validate(copy.deepcopy(FULL) | changes)


def order(app: Application) -> Order:
    at = dt.datetime(2030, 1, 2, tzinfo=dt.UTC)
    return Order(application=app, reference=REFERENCE, options={}, planned_at=at)


def created(app: Application) -> Request:
    (request,) = PARTNER.create(order(app))
    return request


def said(name: str) -> bytes:
    recorded = RECORDED[name]
    return recorded["text"].encode() if "text" in recorded else json.dumps(recorded["body"]).encode()


def outcome(name: str, content: bytes | None = None) -> Outcome:
    recorded = RECORDED[name]
    headers = (("idempotency-key", REFERENCE),)
    request = Request(operation=recorded["operation"], method="POST", path="/", headers=headers)
    return PARTNER.outcome(request, Reply(recorded["status"], {}, said(name) if content is None else content))


def listed(content: bytes, status: int = 200) -> Listing | None:
    assert PARTNER.listed
    return PARTNER.listed(Reply(status, {}, content))


def report(name: str, content: bytes | None = None) -> Report:
    assert PARTNER.report
    return PARTNER.report(Reply(200, {}, said(name) if content is None else content))


def proven(content: bytes) -> Report | None:
    assert PARTNER.webhook
    assert PARTNER.webhook.report
    return PARTNER.webhook.report(content)


# ---- to the partner


def test_the_application_goes_as_it_is() -> None:
    request = created(application())
    assert (request.method, request.path) == ("POST", "/applications")
    assert dict(request.headers)["idempotency-key"] == REFERENCE
    body = json.loads(request.content)
    assert body["owners"][0]["ssn"] == "900000001"
    assert body["business"]["legalName"] == "Fake Bakery LLC"
    again = Application.model_validate(body).model_dump(exclude={"target_partners", "consents"})
    assert again == application().model_dump(exclude={"target_partners", "consents"}), "nothing else is left out"


def test_what_concerns_other_partners_stays_here() -> None:
    consent = FULL["consents"][0]
    consents = [
        consent | {"partners": ["reference-partner", "rival-lender"]},
        consent | {"partners": ["rival-lender"], "textVersion": "for-rivals"},
        consent | {"partners": "all"},
    ]
    app = application(targetPartners=["reference-partner", "rival-lender"], consents=consents)
    request = created(app)
    assert b"rival" not in request.content
    assert len(json.loads(request.content)["consents"]) == 2


def test_every_sound_application_is_taken() -> None:
    assert PARTNER.check(application(), {}) == []
    found = PARTNER.check(application(quotationOnly=True), {})
    assert [each.pointer for each in found] == ["/quotationOnly"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"currency": "AUD"}, "currency"),
        ({"minimumAmount": "50000.01"}, "amount-too-low"),
        ({"maximumAmount": "49999"}, "amount-too-high"),
        ({"currency": "USD", "minimumAmount": "50000", "maximumAmount": "50000"}, None),
    ],
)
def test_limits_are_configuration(options: dict[str, Any], code: str | None) -> None:
    assert [each.code for each in PARTNER.check(application(), options)] == ([code] if code else [])


def test_update_replaces_the_whole() -> None:
    assert PARTNER.update
    request = PARTNER.update("a/b", order(application()))
    assert (request.method, request.path) == ("PUT", "/applications/a%2Fb")
    assert request.content == created(application()).content


def test_documents_as_bytes_or_by_link() -> None:
    assert PARTNER.document
    assert PARTNER.delivery
    file = File(name="a b.pdf", kind="bank-statement", content=b"\x00\xff", link="https://gateway.example.test/d")
    by_bytes = json.loads(PARTNER.document("app_1", (file,), {}).content)
    assert base64.b64decode(by_bytes["content"], validate=True) == file.content
    assert by_bytes["sha256"] == hashlib.sha256(file.content).hexdigest()
    by_link = PARTNER.document("app_1", (file,), {"attachments": "link"})
    assert json.loads(by_link.content) == {"name": "a b.pdf", "kind": "bank-statement", "link": file.link}
    assert PARTNER.delivery({"attachments": "link"}) == Delivery("link", 1)
    keys = {
        dict(PARTNER.document(app, (each,), {}).headers)["idempotency-key"]
        for app in ("app_1", "app_2")
        for each in (file, File(name="c.pdf", kind="bank-statement", content=b"x"))
    }
    assert len(keys) == 4
    assert all(len(key) <= 80 for key in keys)
    assert PARTNER.document("app_1", (file,), {}) == PARTNER.document("app_1", (file,), {})


def test_acceptance_names_the_offer_and_has_a_key_of_its_own() -> None:
    assert PARTNER.accept
    request = PARTNER.accept("a/b", "offer-1", "short", {})
    assert (request.method, request.path) == ("POST", "/applications/a%2Fb/accept")
    assert json.loads(request.content) == {"offerId": "offer-1", "variant": "short"}
    assert json.loads(PARTNER.accept("a/b", "offer-1", None, {}).content) == {"offerId": "offer-1"}
    others = [("a/b", "offer-1", None), ("a/b", "offer-2", "short"), ("c", "offer-1", "short")]
    keys = {dict(PARTNER.accept(*each, {}).headers)["idempotency-key"] for each in others}
    assert dict(request.headers)["idempotency-key"] not in keys
    assert PARTNER.accept("a/b", "offer-1", "short", {}) == request
    assert {len(each) for each in keys} == {64}


def test_calls_without_a_body() -> None:
    assert PARTNER.read
    assert PARTNER.index
    assert PARTNER.search
    assert PARTNER.read("../x?").path == "/applications/..%2Fx%3F"
    assert PARTNER.index(None).query == (("pageSize", "100"),)
    assert PARTNER.index("next").query == (("pageSize", "100"), ("pageToken", "next"))
    assert PARTNER.search(REFERENCE, {}).query == (("reference", REFERENCE),)
    changing = {name for name, each in PARTNER.operations.items() if each.capability == Capability.KEYED}
    assert changing == {"create", "update", "document", "accept", "register-webhook"}
    assert all(PARTNER.operations[each].key_life is None for each in changing), "keys are kept for ever"


# ---- from the partner


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("document_taken", Accepted()),
        ("registered", Accepted()),
        ("approved", Accepted()),
        ("page", Accepted()),
        ("key_reused", Unknown("status-409")),
        ("unauthorised", CredentialRefused()),
        ("too_many", RetryLater(5.0)),
    ],
)
def test_recorded_outcome(name: str, expected: Outcome) -> None:
    assert outcome(name) == expected


def test_list_of_all_that_it_has_of_us() -> None:
    entry = RECORDED["page"]["body"]["applications"][0]
    at = dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    ours = Known("app_0000000000000001", entry["reference"], "submitted", Status.SUBMITTED, at)
    assert listed(said("page")) == Listing((ours,), "1")
    odd = [entry | {"status": "pondering", "statusAt": 7}, entry | {"id": None}, "x", {"id": "app_2"}]
    told = listed(json.dumps({"applications": odd}).encode())
    assert told is not None
    assert [(each.partner_id, each.words, each.status) for each in told.entries] == [
        ("app_0000000000000001", "pondering", None),
        ("app_2", "", None),
    ]
    assert (told.unreadable, told.next_token) == (2, None)
    none: Any
    for none in ([], {}, {"applications": {}}):
        assert listed(json.dumps(none).encode()) is None
    assert listed(said("page"), 401) is None


def test_creation_and_update_tell_the_state() -> None:
    came, changed = outcome("created"), outcome("updated")
    assert isinstance(came, Accepted)
    assert came.partner_id == APPLICATION_ID
    assert came.report
    assert came.report.status == Status.SUBMITTED
    assert isinstance(changed, Accepted)
    assert changed.report
    assert changed.report.status == Status.IN_REVIEW
    taken = outcome("accepted")
    assert isinstance(taken, Accepted)
    assert taken.report
    assert taken.report.status == Status.ACCEPTED


def test_the_answer_for_another_application_is_not_ours() -> None:
    body = RECORDED["created"]["body"] | {"reference": "another"}
    assert outcome("created", json.dumps(body).encode()) == Unknown("other-reference")


def test_refusals_lead_to_the_field_and_quote_nothing() -> None:
    refusal = outcome("invalid")
    assert isinstance(refusal, Rejected)
    assert [each.pointer for each in refusal.problems] == ["/business/legalName", "/owners/0/ssn", ""]
    assert "900-00-0001" not in repr(refusal)
    for name in ("unknown_application", "closed", "not_on_offer"):
        assert isinstance(outcome(name), Rejected)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b""),
        (201, b"{}"),
        (201, b'{"id": "", "reference": "x"}'),
        (204, b""),
        (302, b""),
        (400, b'{"code": "malformed"}'),
        (404, b'{"code": "not-found"}'),
        (409, b'{"code": "closed"}'),
        (422, b"{}"),
        (422, b'{"errors": [], "code": "invalid"}'),
        (422, b'{"errors": [{"message": "no pointer"}]}'),
        (422, b'{"errors": [{"pointer": "/mode", "message": "x"}], "id": "app_1"}'),
        (500, b""),
        (503, b'{"code": "invalid", "errors": [{"pointer": "/mode"}]}'),
    ],
)
def test_everything_else_is_unknown(status: int, content: bytes) -> None:
    assert isinstance(PARTNER.outcome(created(application()), Reply(status, {}, content)), Unknown)


def test_approval_one_to_one() -> None:
    told = report("approved")
    assert (told.status, told.words, told.flags) == (Status.APPROVED, "approved", ())
    assert told.partner_time == dt.datetime(2030, 1, 2, 4, tzinfo=dt.UTC)
    (offer,) = told.offers
    assert offer.action_link is not None
    assert offer.action_link.reveal() == "https://offers.example.test/fake"
    assert offer.model_dump(mode="json", by_alias=True, exclude={"action_link"}) == {
        name: value for name, value in RECORDED["approved"]["body"]["offers"][0].items() if name != "actionLink"
    } | {
        "fees": [
            {"name": "origination fee", "percent": "2", "amount": None},
            {"name": "wire", "percent": None, "amount": {"amount": "30", "currency": "USD"}},
        ]
    }
    assert told.contact is not None
    assert told.contact.email is not None
    assert told.contact.email.reveal() == "mocka@partner.example.test"
    assert (told.close_chance, told.closes_on) == (Decimal(75), dt.date(2030, 1, 20))
    assert told.commission == Money(amount=Decimal(800), currency="USD")


def test_decline_and_missing_information() -> None:
    declined, missing = report("declined"), report("info_required")
    assert [(each.code, each.words, each.mapped) for each in declined.decline_reasons] == [
        ("cash-flow", "Average balance too low", True),
        ("other", "hunch", False),
    ]
    assert declined.flags == ("unmapped-reason",)
    assert missing.missing_info is not None
    assert missing.missing_info.reveal() == (
        "We need the latest bank statements.; bank-statement: last two months; quote"
    )
    assert missing.wanted == (
        Wanted(kind="bank-statement", words=SensitiveText("last two months")),
        Wanted(kind="quote"),
    )


def test_a_wanted_thing_of_a_kind_unknown_to_us_is_said_in_words() -> None:
    listed = [{"kind": "crystal-ball", "description": "polished"}, {"description": "a form"}, {"kind": "Ünïcode"}, {}]
    told = report("info_required", json.dumps(RECORDED["info_required"]["body"] | {"documentsWanted": listed}).encode())
    assert told.wanted == tuple(
        Wanted(words=SensitiveText(words)) for words in ("crystal-ball: polished", "a form", "Ünïcode")
    )


@pytest.mark.parametrize("word", ["Approved", "erased", "failed", "outcome-unknown", "contemplating"])
def test_words_outside_the_list_are_held(word: str) -> None:
    told = report("approved", json.dumps(RECORDED["approved"]["body"] | {"status": word}).encode())
    assert (told.status, told.words, told.flags) == (None, word, ("unknown-stage",))


def test_odd_parts_are_left_out_and_flagged() -> None:
    body = copy.deepcopy(RECORDED["approved"]["body"])
    body["offers"][0] |= {"actionLink": "javascript:alert(1)", "term": {"value": 1, "unit": "moons"}, "fees": [1]}
    body |= {"closeChance": "101", "contact": {"email": "nobody"}, "commission": 5, "closesOn": 17}
    told = report("approved", json.dumps(body).encode())
    (offer,) = told.offers
    assert offer.amount == Money(amount=Decimal(40000), currency="USD")
    assert (offer.action_link, offer.term, offer.fees) == (None, None, ())
    assert told.status == Status.APPROVED
    assert set(told.flags) == {
        f"unreadable-{name}"
        for name in ("actionLink", "term", "fees", "closeChance", "contact", "commission", "closesOn")
    }


def test_webhook_says_it_all() -> None:
    assert PARTNER.webhook
    assert PARTNER.webhook.hint(said("event"), None) == Hint(APPLICATION_ID, "status: referred", REFERENCE)
    told = proven(said("event"))
    assert told is not None
    assert told.status == Status.REFERRED
    assert told.partner_time == dt.datetime(2030, 1, 2, 4, tzinfo=dt.UTC)
    event = RECORDED["event"]["body"]
    for changed in ({"value": "approved"}, {"id": "app_2"}, {"event": "note"}, {"application": None}):
        assert proven(json.dumps(event | changed).encode()) is None, "what disagrees with itself is asked for"


def test_search() -> None:
    assert PARTNER.search
    assert PARTNER.found
    request = PARTNER.search(REFERENCE, {})

    def found(status: int, content: bytes) -> Found:
        assert PARTNER.found
        return PARTNER.found(request, Reply(status, {}, content))

    entry = RECORDED["page"]["body"]["applications"][0]
    assert found(200, said("page")) == Present(APPLICATION_ID)
    assert found(200, b'{"applications": []}') == Absent()
    for body in ([entry, entry], [entry | {"reference": "x"}], [entry | {"id": ""}], [1], "none"):
        assert isinstance(found(200, json.dumps({"applications": body}).encode()), Unknown)
    for status, content in ((404, b'{"applications": []}'), (200, b"{}"), (200, b"<html>"), (500, b"")):
        assert isinstance(found(status, content), Unknown)


# ---- whatever a partner sends

BODIES = [name for name, recorded in RECORDED.items() if "body" in recorded]
CASES = [(name, path) for name in BODIES for path in paths(RECORDED[name]["body"])]
WORDS = list(profile.STATUSES)


@settings(max_examples=600, deadline=None)
@given(case=st.sampled_from(CASES), how=HOW, junk=JUNK)
def test_garbled_never_raises_and_never_invents(case: tuple[str, Any], how: str, junk: Any) -> None:
    name, path = case
    content = json.dumps(garbled(RECORDED[name]["body"], path, how, junk)).encode()
    assert PARTNER.webhook
    PARTNER.webhook.hint(content, None)
    told, event = report(name, content), proven(content)
    assert told.status in (None, RECORDED[name]["body"].get("status")) or junk in WORDS
    assert event is None or event.status in (None, RECORDED[name]["body"].get("value")) or junk in WORDS
    if name in EVENTS:
        return
    came, original = outcome(name, content), outcome(name)
    if type(came) is not type(original):
        assert isinstance(came, Unknown | Rejected)
        assert isinstance(came, Unknown) or not isinstance(original, Accepted)


@pytest.mark.parametrize("name", BODIES)
def test_hostile_documents(name: str) -> None:
    for content in hostile(RECORDED[name]["body"]):
        assert report(name, content) == Report(status=None, words="", flags=("unreadable-reply",))
        assert proven(content) is None
        if RECORDED[name]["status"] < 300 and name not in EVENTS:
            assert outcome(name, content) == Unknown("unreadable-reply")


@settings(max_examples=200, deadline=None)
@given(status=st.sampled_from([200, 201, 400, 401, 404, 409, 422, 429, 500]), content=st.binary(max_size=60))
def test_random_bytes_never_raise(status: int, content: bytes) -> None:
    for operation in profile.OPERATIONS:
        request = Request(operation=operation, method="POST", path="/", query=(("reference", "x"),))
        assert not isinstance(PARTNER.outcome(request, Reply(status, {}, content)), Accepted)
        assert PARTNER.found
        assert isinstance(PARTNER.found(request, Reply(status, {}, content)), Unknown)
    assert proven(content) is None


# ---- partners that a file declares


@pytest.fixture(autouse=True)
def _table() -> Iterator[None]:
    before = dict(PARTNERS)
    yield
    PARTNERS.clear()
    PARTNERS.update(before)


def declared(folder: Path, *entries: Any) -> Path:
    path = folder / "partners.json"
    path.write_text(json.dumps({"partners": entries}))
    return path


ACME = {"name": "acme-lending", "title": "Acme Lending"}


def test_declared_partner_is_one_like_any_other(tmp_path: Path) -> None:
    rules = {"countries": ["AU"], "required": ["/business/registrations", "/financials/annualRevenue"]}
    path = declared(tmp_path, ACME | rules, {"name": "second", "title": "Second"})
    declare(path)
    declare(path)
    acme = PARTNERS["acme-lending"]
    assert (acme.name, acme.title, acme.facts.country) == ("acme-lending", "Acme Lending", "AU")
    assert [each.pointer for each in acme.check(application(), {})] == ["/business/country"]
    business = {name: value for name, value in FULL["business"].items() if name != "registrations"}
    found = acme.check(application(business=business | {"country": "AU"}), {})
    assert [(each.pointer, each.code, each.partner) for each in found] == [
        ("/business/registrations", "missing", "acme-lending")
    ]
    assert PARTNERS["second"].check(application(), {}) == []


@pytest.mark.parametrize("pointer", ["/owners/0/ssn", "/financials/annualRevenue", "/business/startDate", "/owners/1"])
def test_required_is_checked(pointer: str) -> None:
    partner = reference_partner("strict", "Strict", required=(pointer,))
    data = copy.deepcopy(FULL)
    assert partner.check(Application.model_validate(data), {}) == []
    *way, last = pointer.split("/")[1:]
    place: Any = data
    for step in way:
        place = place[int(step)] if step.isdecimal() else place[step]
    del place[int(last) if last.isdecimal() else last]
    assert [each.pointer for each in partner.check(Application.model_validate(data), {})] == [pointer]


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([ACME, ACME], "acme-lending is declared twice"),
        ([ACME | {"name": "forward-financing"}], "forward-financing is the name of a partner that Lendrail brings"),
        ([ACME | {"name": "Acme Lending"}], "partners.0.name"),
        ([{"name": "acme"}], "partners.0.title"),
        ([ACME | {"require": ["/owners"]}], "partners.0.require"),
        ([ACME | {"required": ["/owners/ssn"]}], "must be a JSON pointer to a field of the application"),
        ([ACME | {"required": ["owners"]}], "must be a JSON pointer to a field of the application"),
        ([ACME | {"countries": ["Australia"]}], "partners.0.countries.0"),
        ([ACME | {"documents": ["selfie"]}], "partners.0.documents.0"),
    ],
)
def test_bad_declarations_are_told_clearly(tmp_path: Path, entries: list[Any], says: str) -> None:
    path, before = declared(tmp_path, *entries), dict(PARTNERS)
    with pytest.raises(BadDeclaration, match=r"partners\.json") as told:
        declare(path)
    assert says in str(told.value)
    assert before == PARTNERS


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadDeclaration, match="No such file"):
        read(tmp_path / "absent.json")
    for text in ("", "[]", '{"partners": {}}', '{"lenders": []}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(BadDeclaration, match=r"bad\.json"):
            read(tmp_path / "bad.json")


def test_secret_of_a_webhook_is_quiet() -> None:
    assert PARTNER.webhook
    assert PARTNER.webhook.register
    request = PARTNER.webhook.register("https://gateway.example.test/w", SecretStr("whsec_ZmFrZQ=="))
    assert json.loads(request.content)["secret"] == "whsec_ZmFrZQ=="
    assert "ZmFrZQ" not in repr(request)
