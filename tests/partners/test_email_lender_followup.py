"""A later document by mail: in the thread of the application's own mail, and nothing in it that an applicant wrote."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from tests.partners.email_lender.making import LINK, OPTIONS, REFERENCE, application, made

from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Delivery, File, Request
from lendrail.partners.partner import Capability

PARTNER = PARTNERS["email-lender"]
LATER, AT = "99999999-2222-5333-8444-555555555555", dt.datetime(2030, 1, 5, 6, 7, 8, tzinfo=dt.UTC)
LINKED = File(name="statement.pdf", kind="bank-statement", link=LINK)
ATTACHED = File(name="statement.PDF", kind="bank-statement", content=b"%PDF-fake")


def follow(file: File = LINKED, first: Request | None = None, **options: Any) -> Request:
    assert PARTNER.thread
    return PARTNER.thread.document(first or made(application()), file, LATER, OPTIONS | options, AT)


def opened(request: Request) -> EmailMessage:
    return message_from_bytes(request.content, policy=policy.default)


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def test_it_is_an_answer_to_our_own_mail() -> None:
    first = made(application())
    before, mail = opened(first), opened(follow(first=first))
    assert mail["Subject"] == f"Re: {before['Subject']}"
    assert (mail["In-Reply-To"], mail["References"]) == (before["Message-ID"], before["Message-ID"])
    assert (mail["From"], mail["To"]) == (before["From"], before["To"])
    assert mail["Message-ID"] == f"<{LATER}@demo.example.test>"
    assert mail["X-Lendrail-Reference"] == LATER
    assert mail["Date"].datetime == AT
    request = follow(first=first)
    assert (request.operation, request.method, request.query) == ("follow-up", "MAIL", first.query)
    assert request == follow(first=first), "the same at the same time"
    assert PARTNER.operations["follow-up"].capability == Capability.BLIND


@pytest.mark.parametrize("mode", ["test", "live"])
def test_a_test_is_marked_as_one(mode: str) -> None:
    mail = opened(follow(first=made(application(mode=mode))))
    assert ("[TEST]" in mail["Subject"], "*** TEST" in text_of(mail)) == ((mode == "test"),) * 2


def test_a_link_is_for_people_and_for_programs() -> None:
    request = follow()
    mail = opened(request)
    assert LINK in text_of(mail).replace("=\n", "")
    (part,) = mail.iter_attachments()
    assert part.get_filename() == "documents.json"
    told = json.loads(part.get_content())
    assert told["documents"] == [{"name": "bank-statement", "kind": "bank-statement", "link": LINK}]
    assert (told["reference"], told["application"]) == (LATER, REFERENCE)
    (part,) = opened(follow(format="csv")).iter_attachments()
    rows = dict(csv.reader(io.StringIO(part.get_content(), newline="")))
    assert rows["documents.0.link"] == LINK


def test_attached_where_that_was_agreed() -> None:
    assert PARTNER.thread
    assert PARTNER.thread.delivery(OPTIONS) == Delivery("link"), "mail is read on its way"
    assert PARTNER.thread.delivery(OPTIONS | {"lateDocuments": "attached"}) == Delivery("bytes")
    (part,) = opened(follow(ATTACHED)).iter_attachments()
    assert (part.get_filename(), part.get_content_type()) == ("bank-statement.pdf", "application/pdf")
    assert part.get_content() == b"%PDF-fake"


def test_a_name_that_somebody_gave_is_not_in_it() -> None:
    evil = File(name='900-00-0001"\r\nBcc: x@example.test.p df', kind="voided-check", content=b"fake")
    request = follow(evil)
    assert b"Bcc" not in request.content
    assert b"900-00-0001" not in request.content
    (part,) = opened(request).iter_attachments()
    assert (part.get_filename(), part.get_content_type()) == ("voided-check", "application/octet-stream")


def test_one_sent_again_is_marked_and_one_after_a_marked_mail_is_not() -> None:
    assert PARTNER.again
    mail = opened(PARTNER.again(follow()))
    assert mail["X-Lendrail-Possible-Duplicate"] == "yes"
    assert mail["Message-ID"] == opened(follow())["Message-ID"]
    first = PARTNER.again(made(application()))
    assert opened(follow(first=first))["Subject"] == opened(follow())["Subject"]
    assert opened(follow(first=first))["In-Reply-To"] == opened(first)["Message-ID"]


@pytest.mark.parametrize(
    ("file", "first"),
    [
        (File(name="a.pdf", kind="quote"), None),
        (File(name="a.pdf", kind="quote", link="javascript:alert(1)"), None),
        (LINKED, replace(made(application()), content=b"Subject: another\r\n\r\nfake")),
    ],
)
def test_what_cannot_be_followed_or_handed_over_is_not_made(file: File, first: Request | None) -> None:
    with pytest.raises(ValueError, match=r"no reference to follow|neither content nor an address"):
        follow(file, first)
