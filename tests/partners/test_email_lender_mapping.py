"""A lender's mail, made and opened again with Python's own parser; and what a mail server's replies mean. No I/O."""

from __future__ import annotations

import copy
import csv
import datetime as dt
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from lendrail.contracts.application import Application
from lendrail.contracts.application_fields import AccountNumber, IdentityNumber
from lendrail.contracts.sensitive import Sensitive, SensitiveDate, Ssn
from lendrail.partners import PARTNERS
from lendrail.partners.email_lender import body, mapping, profile
from lendrail.partners.email_lender.content import WITHHELD, content
from lendrail.partners.exchange import (
    Accepted,
    CredentialRefused,
    Delivery,
    File,
    Rejected,
    Reply,
    Request,
    RetryLater,
    Unknown,
)
from lendrail.partners.partner import Capability, Order

PARTNER = PARTNERS["email-lender"]
FULL: dict[str, Any] = json.loads((files("lendrail.contracts") / "examples/application.json").read_text())
RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "email_lender" / "recorded.json").read_text())
REFERENCE = "11111111-2222-5333-8444-555555555555"
PLANNED_AT = dt.datetime(2030, 1, 2, 5, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=2)))
OPTIONS = {"to": "applications@lender.example.test", "from": "broker@demo.example.test", "lenderName": "Fake Lender"}
LINK = "https://api.example.test/documents/fake-token?a=1&b=2"
DOCUMENT = File(name="statement.pdf", kind="bank-statement", link=LINK)
HEADERS = ["Subject", "From", "To", "Date", "Message-ID", "X-Lendrail-Reference", "MIME-Version", "Content-Type"]
PARTS = ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "application/json"]


def application(**changes: Any) -> Application:
    """The full example with values at places (`__` between steps) replaced; None removes."""
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


def made(app: Application | None = None, *documents: File, **options: Any) -> Request:
    order = Order(
        application=app or application(),
        reference=REFERENCE,
        options=OPTIONS | options,
        planned_at=PLANNED_AT,
        documents=documents,
    )
    (request,) = PARTNER.create(order)
    return request


def opened(request: Request) -> EmailMessage:
    mail = message_from_bytes(request.content, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def attached(mail: EmailMessage) -> bytes:
    (part,) = mail.iter_attachments()
    found = part.get_payload(decode=True)
    assert isinstance(found, bytes)
    return found


def facts(request: Request) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(attached(opened(request)))
    return read


def everything(request: Request) -> str:
    """All that can be read in the mail, decoded."""
    mail = opened(request)
    headers = "\n".join(f"{name}: {value}" for name, value in mail.items())
    return "\n".join((headers, text_of(mail), text_of(mail, "html"), attached(mail).decode()))


# ---- the message


def test_the_message_is_as_agreed() -> None:
    request = made(application(), DOCUMENT)
    assert (request.method, request.operation, request.path) == ("MAIL", "create", "")
    assert request.query == (("from", OPTIONS["from"]), ("to", OPTIONS["to"]))
    mail = opened(request)
    assert mail.keys() == HEADERS
    assert mail["Subject"] == f"[TEST] Application for finance: Fake Bakery, 50,000 USD (ref {REFERENCE})"
    assert mail["Date"].datetime == PLANNED_AT
    assert mail["Message-ID"] == f"<{REFERENCE}@demo.example.test>"
    assert mail["X-Lendrail-Reference"] == REFERENCE
    assert [part.get_content_type() for part in mail.walk()] == PARTS
    assert [part.get_filename() for part in mail.iter_attachments()] == ["application.json"]
    assert all(part.defects == [] for part in mail.walk())


def test_people_read_what_matters_in_both_forms() -> None:
    mail = opened(made(application(), DOCUMENT))
    text, html = text_of(mail), text_of(mail, "html")
    for words in (
        REFERENCE, "For Fake Lender", "Fake Bakery LLC", "50,000 USD", "12 months", "Testa Q Fakely", "6175550100",
        "35,000.50 USD", "business address exists", "passed, score 0.97, by demo-checks", "The address was found.",
        "crm.owner", "Sally Sales", "demo-crm deal", "DEAL-0001", "Call after 2 pm.", "statement.pdf", "TEST",
    ):  # fmt: skip
        assert words in text, words
        assert words in html, words
    assert LINK in text
    assert 'href="https://api.example.test/documents/fake-token?a=1&amp;b=2"' in html


def test_programs_read_the_same_as_json_or_csv() -> None:
    told = facts(made(application(), DOCUMENT))
    assert told["format"], told["version"] == ("lendrail-application", 1)
    assert (told["reference"], told["purpose"], told["mode"]) == (REFERENCE, "application", "test")
    assert told["preparedAt"] == "2030-01-02T03:04:05Z"
    assert told["application"]["requestedFinance"]["amount"] == {"amount": "50000", "currency": "USD"}
    assert told["application"]["riskAssessments"][0]["result"] == "passed"
    assert told["application"]["metadata"] == FULL["metadata"]
    assert told["documents"] == [{"name": "statement.pdf", "kind": "bank-statement", "link": LINK}]
    mail = opened(made(application(), DOCUMENT, format="csv"))
    (part,) = mail.iter_attachments()
    assert (part.get_content_type(), part.get_filename()) == ("text/csv", "application.csv")
    rows = dict(csv.reader(io.StringIO(attached(mail).decode(), newline="")))
    assert rows["field"] == "value"
    assert rows["reference"] == REFERENCE
    assert rows["application.financials.monthlyCashFlow.amount"] == "-1200", "a number stays one"
    assert rows["documents.0.link"] == LINK


def test_the_same_order_makes_the_same_bytes_and_another_other_ones() -> None:
    assert made() == made()
    assert made() != made(application(notes="Something else."))
    assert Request.load(made().dump()) == made()


def test_bytes_travel_as_they_are() -> None:
    """Seven bits, CR LF, short lines, an end of line at the end: no server or library has a reason to change them."""
    for app in (application(), application(business__legalName="Piekarnia Żółw ąę 面包店", notes="x" * 3000)):
        sent = made(app, DOCUMENT).content
        assert sent.isascii()
        assert sent.endswith(b"\r\n")
        assert b"\n" not in sent.replace(b"\r\n", b"")
        assert b"\r" not in sent.replace(b"\r\n", b"")
        assert max(map(len, sent.split(b"\r\n"))) <= 100
        encodings = [str(part["Content-Transfer-Encoding"]) for part in opened(made(app)).walk()]
        assert encodings == ["None", "None", "quoted-printable", "quoted-printable", "base64"], "no boundary fits in"


def test_sparse_application_is_taken_too() -> None:
    data = {name: FULL[name] for name in ("mode",)}
    data["business"] = {"legalName": "Fake Bakery LLC", "country": "US"}
    data["requestedFinance"] = {"amount": FULL["requestedFinance"]["amount"]}
    app = Application.model_validate(data)
    assert PARTNER.check(app, OPTIONS) == []
    told = facts(made(app))
    assert set(told["application"]) == {"business", "requestedFinance"}
    assert "Product" not in text_of(opened(made(app)))


def test_live_application_and_quotation_and_reply_address() -> None:
    live = opened(made(application(mode="live", quotationOnly=True), replyTo="desk@demo.example.test"))
    assert live["Subject"].startswith("Request for a quotation: Fake Bakery")
    assert live["Reply-To"] == "desk@demo.example.test"
    assert "TEST" not in text_of(live)
    assert "a price only" in text_of(live)


@pytest.mark.parametrize(("given", "says"), [(None, "was not known yet"), ("FAKE-77", "is FAKE-77")])
def test_supplement_says_that_the_application_went_by_api(given: str | None, says: str) -> None:
    options = {"purpose": "supplement", "partner": "finpace"} | ({"partnerId": given} if given else {})
    request = made(application(), DOCUMENT, **options)
    mail = opened(request)
    assert "For your records" in mail["Subject"]
    for text in (text_of(mail), text_of(mail, "html")):
        assert "through your API (finpace)" in re.sub(r"\s+", " ", text)
        assert says in re.sub(r"\s+", " ", text)
        assert "replying" not in text
    assert facts(request)["supplements"] == {"partner": "finpace"} | ({"partnerId": given} if given else {})
    assert facts(request)["application"]["riskAssessments"]


def test_documents_travel_as_links_and_only_as_web_links() -> None:
    assert PARTNER.document is None
    assert PARTNER.delivery is not None
    assert PARTNER.delivery(OPTIONS) == Delivery("link", profile.MOST_DOCUMENTS)
    evil = File(name='"><script>x</script>\r\nBcc: x@example.test', kind="invoice", link="javascript:alert(1)")
    request = made(application(), evil, File(name="unlinked.pdf", kind="invoice"))
    assert [each.keys() for each in facts(request)["documents"]] == [{"name", "kind"}] * 2
    assert "javascript:" not in everything(request)
    assert "<script" not in text_of(opened(request), "html")
    assert opened(request).keys() == HEADERS


# ---- what is never mailed


def values(part: Any, *kinds: type[Sensitive]) -> Iterator[Sensitive]:
    if isinstance(part, kinds):
        yield part
    elif isinstance(part, BaseModel):
        for _, value in part:
            yield from values(value, *kinds)
    elif isinstance(part, tuple | list):
        for value in part:
            yield from values(value, *kinds)


def secrets() -> list[str]:
    """Every social security, identity and account number and birth date of the full example, as it is written there."""
    app = application()
    found = [each.reveal() for each in values(app, Ssn, AccountNumber, IdentityNumber)]
    found += [each.birth_date.reveal() for each in app.owners if each.birth_date]
    found += [
        day.reveal() for owner in app.owners for each in owner.identity_documents for day in values(each, SensitiveDate)
    ]
    assert len(found) >= 14, "the example holds one of each kind"
    return found


def squeezed(text: str) -> str:
    return re.sub(r"[\s./_-]", "", text)


@pytest.mark.parametrize("form", ["json", "csv"])
def test_no_identity_or_account_number_and_no_birth_date_is_mailed(form: str) -> None:
    found = everything(made(application(), DOCUMENT, format=form))
    for secret in secrets():
        assert secret not in found
        assert squeezed(secret) not in found


def test_home_addresses_and_numbers_of_others_stay_here() -> None:
    found = everything(made())
    for words in ("1 Nowhere Rd", "9 Elsewhere St", "4 Nowhere Rd", "6175550102", "S00000000", "OVEN-0000", "@imports"):
        assert words not in found


PLACES = (
    "notes", "business__description", "business__industry__description", "requestedFinance__purposeDescription",
    "riskAssessments__0__details", "metadata__note", "equipment__0__description", "business__legalName",
    "externalReferences__0__value", "riskAssessments__0__kind",
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_numbers_written_into_text_are_swept_out(place: str) -> None:
    for secret in [*secrets(), "900-12-3456"]:
        request = made(application(**{place: f"his number is {secret}, ok"}), DOCUMENT)
        assert secret not in everything(request)
        assert f"his number is {WITHHELD}, ok" in attached(opened(request)).decode()


@pytest.mark.parametrize(
    "written",
    ["900 00 0001", "900.00.0001", "SSN:900000001", "01/01/1980", "1.1.1980", "January 1, 1980", "1st of Jan 1980",
     "0000-0000-0000", "loan 0000", "LOAN/0000", "s-0000-0000", "99 0000001"],
)  # fmt: skip
def test_other_ways_of_writing_them_are_known(written: str) -> None:
    told = facts(made(application(notes=f"It is {written}; call me", metadata={"a": written})))
    assert re.fullmatch(rf"It is (SSN:|loan )?{re.escape(WITHHELD)}; call me", told["application"]["notes"])
    assert WITHHELD in told["application"]["metadata"]["a"]


def test_other_numbers_stay_readable() -> None:
    text = "Order 4711-0815, 3 January 2020, call 617-555-0101, 9000000012 pieces, 12 % of 900"
    assert facts(made(application(notes=text)))["application"]["notes"] == text


def test_names_of_documents_and_keys_are_swept_too() -> None:
    request = made(
        application(metadata={"ssn.900-00-0001": "x"}), File(name="ssn 900-00-0001.pdf", kind="invoice", link=LINK)
    )
    assert "900-00-0001" not in everything(request)


# ---- nobody writes headers, recipients or parts

MARK = hashlib.sha256(REFERENCE.encode()).hexdigest()[:32]
"""Of the boundaries: whoever guesses the reference knows them."""
NASTY = [
    "Fake\r\nBcc: evil@example.test",
    "Fake\nBcc: evil@example.test\n\nbody",
    "Fake\rBcc: evil@example.test",
    "Fake\u2028Bcc: evil@example.test\u2029X-Evil: 1\x85Cc: evil@example.test",
    "=?utf-8?q?=0D=0ABcc:_evil=40example.test?=",
    "=?utf-8?b?DQpCY2M6IGV2aWxAZXhhbXBsZS50ZXN0?=",
    "Bcc: evil@example.test",
    "X-Lendrail-Possible-Duplicate: yes",
    "Subject: mine",
    "evil@example.test, other@example.test",
    '"a" <evil@example.test>',
    "\u202egnp.exe\u202c\u2066x\u2069",
    "a" * 190,
    "ż" * 190,
    " ".join("ab" for _ in range(60)),
    f"x\n--=_{MARK}_alternative\nContent-Type: text/html\n\n<b>evil</b>\n--=_{MARK}_mixed--\n",
    "\r\n.\r\nMAIL FROM:<evil@example.test>\r\n",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "{{ 7 * 7 }}{% include 'x' %}{{ ''.__class__ }}",
    "=HYPERLINK(1)",
    "\ud800 lone",
]
TEXTS = (
    "business__legalName", "business__tradingName", "business__description", "business__website",
    "business__industry__description", "business__franchise__brand", "business__addresses__0__line1",
    "business__addresses__0__city", "owners__0__firstName", "owners__0__lastName", "owners__0__title",
    "existingLoans__0__lender", "requestedFinance__purposeDescription", "requestedFinance__security__0__description",
    "invoices__0__debtor__name", "equipment__0__description", "equipment__0__make", "equipment__0__supplier__name",
    "riskAssessments__0__kind", "riskAssessments__0__provider", "riskAssessments__0__details", "metadata__campaign",
    "externalReferences__0__value", "externalReferences__0__kind", "financials__accountingSoftware", "notes",
)  # fmt: skip
LABELS = {"make", "kind", "provider", "accountingSoftware", "value"}
"""Fields of a plain type: short, and no lone surrogates."""


def poisoned(text: str) -> Application:
    """The text in every field that takes free text, as far as the field takes it."""
    sound = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", " ", text).strip()[:190] or "x"
    label = re.sub("[\x00-\x1f\x7f\ud800-\udfff]", " ", sound).strip()[:75] or "x"
    return application(**{place: label if place.rpartition("__")[2] in LABELS else sound for place in TEXTS})


def unharmed(request: Request, **options: Any) -> EmailMessage:
    """The mail, with exactly the headers, recipients and parts that it must have."""
    mail, raw = opened(request), request.content
    head = raw.partition(b"\r\n\r\n")[0]
    assert [line.split(b":")[0].decode() for line in head.split(b"\r\n") if not line.startswith(b" ")] == HEADERS
    assert mail.keys() == HEADERS
    assert message_from_bytes(raw, policy=policy.compat32).keys() == HEADERS
    assert [each.addr_spec for each in mail["To"].addresses] == [OPTIONS["to"]]
    assert [each.addr_spec for each in mail["From"].addresses] == [OPTIONS["from"]]
    assert dict(request.query) == {"from": OPTIONS["from"], "to": OPTIONS["to"]}
    assert "\n" not in mail["Subject"]
    assert mail["Subject"].endswith(f"(ref {REFERENCE})")
    assert mail["Message-ID"] == f"<{REFERENCE}@demo.example.test>"
    last = "text/csv" if options.get("format") == "csv" else PARTS[-1]
    assert [part.get_content_type() for part in mail.walk()] == [*PARTS[:-1], last]
    assert all(part.defects == [] for part in mail.walk())
    assert len(re.findall(rb"(?m)^--=_", raw)) == 6
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) < 200
    return mail


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.links: list[str | None] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name in ("href", "src")]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.text(max_size=200), st.sampled_from(NASTY), st.builds(lambda *a: "".join(a), *[st.sampled_from(NASTY)] * 2)
    )
)
def test_no_text_makes_a_header_a_recipient_or_a_part(text: str) -> None:
    mail = unharmed(made(poisoned(text), DOCUMENT))
    usual = Tags(text_of(opened(made(application(), DOCUMENT)), "html"))
    tags = Tags(text_of(mail, "html"))
    assert tags.found.keys() == usual.found.keys()
    assert tags.attributes == usual.attributes
    assert tags.links == [LINK]
    for kind in ("plain", "html"):
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u2028\u2029\x00-\x09\x0b-\x1f]", text_of(mail, kind))


@pytest.mark.parametrize("text", NASTY)
def test_each_nasty_text_by_itself(text: str) -> None:
    app = poisoned(text)
    unharmed(made(app, DOCUMENT, format="csv"), format="csv")
    rows = list(csv.reader(io.StringIO(attached(opened(made(app, format="csv"))).decode(), newline="")))
    assert all(len(row) == 2 for row in rows)
    for _, cell in rows:
        assert not re.match(r"[=+@\t\r]|-(?![0-9.]+$)", cell)
    again = made(app)
    assert PARTNER.again
    assert message_from_bytes(PARTNER.again(again).content, policy=policy.default).keys()[5:] == HEADERS


@given(st.text(st.characters(exclude_categories=[]), max_size=300))
@example("a\x00b\x1b[31m\x7f\x9b")
@settings(max_examples=200, deadline=None)
def test_header_text_is_one_tidy_line(text: str) -> None:
    tidy = mapping.header(text)
    assert tidy.isprintable() or not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", tidy)
    assert "=?" not in tidy
    tidy.encode()


@pytest.mark.parametrize("name", ["to", "from", "replyTo"])
@pytest.mark.parametrize(
    "address",
    ["a@example.test\r\nBcc: b@example.test", "a@example.test, b@example.test", "A <a@example.test>", "a@example",
     "a b@example.test", '"a"@example.test', "a@example.test\n", "=?utf-8?q?a?=@example.test", "ä@example.test", "",
     "a@exa_mple.test>", "(x)a@example.test", "a" * 65 + "@example.test", "a\u202e@example.test"],
)  # fmt: skip
def test_account_with_an_address_that_could_be_two_is_refused(name: str, address: str) -> None:
    with pytest.raises(ValidationError):
        PARTNER.check(application(), OPTIONS | {name: address})


@pytest.mark.parametrize("reference", ["", "a b", "x\r\nBcc: y", "x>", "ü", "x" * 101])
def test_reference_that_cannot_stand_in_a_header_is_refused(reference: str) -> None:
    order = Order(application=application(), reference=reference, options=OPTIONS, planned_at=PLANNED_AT)
    with pytest.raises(ValueError, match="reference"):
        PARTNER.create(order)


@pytest.mark.parametrize("text", NASTY)
def test_lender_name_is_text_only(text: str) -> None:
    try:
        request = made(application(), DOCUMENT, lenderName=text[:120])
    except ValidationError:
        return
    unharmed(request)


def test_templates_are_sandboxed_and_complete() -> None:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    for name, escaped in (("mail.html", True), ("mail.txt", False)):
        environment = body._template(name).environment
        assert isinstance(environment, ImmutableSandboxedEnvironment)
        assert environment.undefined is StrictUndefined
        assert callable(environment.autoescape)
        assert environment.autoescape(name) is escaped


def test_content_never_mentions_what_it_hides() -> None:
    """A new field of the canonical application does not slip into the mail by itself."""
    hidden = {"ssn", "birthDate", "taxNumber", "number", "routing", "accountNumber", "serialNumber", "registrations"}
    hidden |= {"identityDocuments", "bankAccounts", "ownerSince", "homePhone", "previousAddresses", "sha256", "uploads"}
    found: set[str] = set()

    def names(value: Any) -> None:
        if isinstance(value, dict):
            found.update(value)
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            names(each)

    names(content(application()))
    assert not found & hidden


# ---- again


def test_second_sending_is_marked_and_keeps_the_message_id() -> None:
    assert PARTNER.again
    first = made(application(), DOCUMENT)
    second = mapping.again(first, dt.datetime(2030, 1, 5, 12, 0, tzinfo=dt.UTC))
    mail = opened(second)
    resent = ["Resent-Date", "Resent-From", "Resent-To", "Resent-Message-ID"]
    assert mail.keys() == [*resent, "X-Lendrail-Possible-Duplicate", *HEADERS], "the block stands before all others"
    assert mail["Subject"] == f"[Possible duplicate] {opened(first)['Subject']}"
    assert mail["Message-ID"] == opened(first)["Message-ID"] != mail["Resent-Message-ID"]
    assert mail["Resent-Date"] == "Sat, 05 Jan 2030 12:00:00 +0000"
    assert (mail["Resent-From"], mail["Resent-To"]) == (OPTIONS["from"], OPTIONS["to"])
    assert second.query == first.query
    assert second.content.partition(b"\r\n\r\n")[2] == first.content.partition(b"\r\n\r\n")[2], "the text is the same"
    third = opened(mapping.again(second, dt.datetime(2030, 1, 6, tzinfo=dt.UTC)))
    assert third["Subject"] == mail["Subject"], "marked once"
    assert third.keys()[:8] == [*resent, *resent]
    assert third["Resent-Message-ID"] != mail["Resent-Message-ID"]


def test_second_sending_of_a_folded_foreign_subject() -> None:
    first = made(application(business__tradingName="面包店" * 20))
    mail = opened(mapping.again(first, PLANNED_AT))
    assert mail["Subject"] == f"[Possible duplicate] {opened(first)['Subject']}"
    assert PARTNER.again
    assert (dt.datetime.now(dt.UTC) - opened(PARTNER.again(first))["Resent-Date"].datetime) < dt.timedelta(minutes=1)


# ---- replies


def reply(name: str) -> Reply:
    return Reply(RECORDED[name]["status"], {}, RECORDED[name]["text"].encode())


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_replies(name: str) -> None:
    came, status = PARTNER.outcome(made(), reply(name)), RECORDED[name]["status"]
    if status == 250:
        assert came == Accepted(), "there is no id to look up"
    elif status < 500:
        assert came == RetryLater(profile.RETRY_AFTER_SECONDS)
    elif status in (530, 534, 535, 538):
        assert came == CredentialRefused()
    else:
        assert isinstance(came, Rejected)
        ((pointer, code),) = [(each.pointer, each.code) for each in came.problems]
        assert (pointer, code) == ("", "refused")
        assert came.words is not None
        assert came.words.reveal() == RECORDED[name]["text"]
        assert "nobody@" not in came.problems[0].message


HOSTILE = [
    b"",
    b"<html>",
    b"\xff\xfe\x00",
    b"x" * 100_000,
    b"[" * 10_000,
    b"NaN",
    b"\x00\r\n250 ok",
    "ł".encode("utf-16"),
]


@settings(max_examples=200, deadline=None)
@given(st.integers(-1, 999), st.one_of(st.sampled_from(HOSTILE), st.binary(max_size=300)))
def test_only_250_takes_a_mail_whatever_is_said_with_it(status: int, words: bytes) -> None:
    came = PARTNER.outcome(made_once(), Reply(status, {}, words))
    assert isinstance(came, Accepted) == (status == 250)
    assert isinstance(came, Unknown) == (status != 250 and not 400 <= status < 600)


_ONCE: list[Request] = []


def made_once() -> Request:
    if not _ONCE:
        _ONCE.append(made())
    return _ONCE[0]


# ---- what the account allows


def test_an_account_without_addresses_takes_nothing() -> None:
    (problem,) = PARTNER.check(application(), {})
    assert (problem.pointer, problem.code) == ("/targetPartners", "account-misconfigured")
    with pytest.raises(ValueError, match="addresses"):
        PARTNER.create(Order(application=application(), reference="x", options={}, planned_at=PLANNED_AT))


def test_agreed_limits() -> None:
    def codes(**options: str) -> list[tuple[str, str]]:
        return [(each.pointer, each.code) for each in PARTNER.check(application(), OPTIONS | options)]

    at = "/requestedFinance/amount/amount"
    assert codes() == codes(country="US", minimumAmount="50000", maximumAmount="50000") == []
    assert codes(country="AU") == [("/business/country", "country")]
    assert codes(minimumAmount="50000.01") == [(at, "amount-too-low")]
    assert codes(maximumAmount="49999.99") == [(at, "amount-too-high")]


def test_facts() -> None:
    assert PARTNER.operations["create"].capability == Capability.BLIND
    assert PARTNER.operations["create"].repeats == 0
    assert (PARTNER.read, PARTNER.webhook, PARTNER.search, PARTNER.withdraw) == (None, None, None, None)
    assert PARTNER.facts.required == ()
