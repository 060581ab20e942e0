"""Whoever writes into an application writes no header, recipient or part of a lender's mail."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.partners.email_lender.making import (
    DOCUMENT,
    HEADERS,
    LINK,
    OPTIONS,
    PARTNER,
    PARTS,
    PLANNED_AT,
    REFERENCE,
    application,
    attached,
    made,
    opened,
    text_of,
)

from lendrail.contracts.application import Application
from lendrail.partners.email_lender import body, mapping
from lendrail.partners.email_lender.content import content
from lendrail.partners.exchange import (
    Request,
)
from lendrail.partners.partner import Order

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
