"""A lender's mail, made and opened again with Python's own parser; and what an account allows. No I/O."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re

import pytest
from tests.partners.email_lender.making import (
    DOCUMENT,
    FULL,
    HEADERS,
    LINK,
    OPTIONS,
    PARTNER,
    PARTS,
    PLANNED_AT,
    REFERENCE,
    application,
    attached,
    everything,
    facts,
    made,
    opened,
    text_of,
)

from lendrail.contracts.application import Application
from lendrail.partners.email_lender import mapping, profile
from lendrail.partners.exchange import (
    Delivery,
    File,
    Request,
)
from lendrail.partners.partner import Capability, Order

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
