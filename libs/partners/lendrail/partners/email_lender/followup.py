"""A later document: an answer to our own mail of the application, so that it stands in the same thread.

No text of an applicant stands in it but the subject that the first mail had; the file is called by its kind.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from lendrail.partners import partner
from lendrail.partners.email_lender.body import as_csv, as_json, render
from lendrail.partners.email_lender.mapping import DUPLICATE_MARK, REFERENCE, SEVEN_BIT, header, web_link
from lendrail.partners.email_lender.profile import Options
from lendrail.partners.exchange import Delivery, File, Request

OPERATION = "follow-up"
TYPES = {"pdf": "application/pdf", "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg"}
"""By the end of a name; of others a mail program needs no more than the end."""


def delivery(options: partner.Options) -> Delivery:
    return Delivery("bytes" if Options.model_validate(options).late_documents == "attached" else "link")


def document(first: Request, file: File, reference: str, options: partner.Options, at: dt.datetime) -> Request:
    """Through the first mail's envelope. Raises ValueError for a first mail that is none, and for a file without
    content or address.
    """
    before = message_from_bytes(first.content, policy=policy.SMTP)
    application, message_id = str(before[REFERENCE] or ""), str(before["Message-ID"] or "")
    if not application or not re.fullmatch(r"<[!-;=?-~]+>", message_id):
        raise ValueError("the first mail has no reference to follow")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", reference):
        raise ValueError("the reference cannot stand in a header")
    link = web_link(file.link)
    if link is None and not file.content:
        raise ValueError("the document has neither content nor an address")
    subject = str(before["Subject"]).removeprefix(DUPLICATE_MARK).strip()
    mail = EmailMessage(policy=SEVEN_BIT)
    mail["Subject"] = header(f"Re: {subject}")
    for name in ("From", "To", "Reply-To"):
        if before[name] is not None:
            mail[name] = str(before[name])
    mail["Date"] = format_datetime(at.astimezone(dt.UTC))
    mail["Message-ID"] = f"<{reference}@{dict(first.query)['from'].rpartition('@')[2]}>"
    mail["In-Reply-To"] = mail["References"] = message_id
    mail[REFERENCE] = reference
    about = {"test": subject.startswith("[TEST]"), "application": application, "kind": _kind(file), "link": link}
    mail.set_content(render("document.txt", about), cte="quoted-printable")
    if link is None:
        _attach(mail, file)
    else:
        _for_programs(mail, about, reference, Options.model_validate(options).format)
    mail.set_boundary(f"=_{hashlib.sha256(reference.encode()).hexdigest()[:32]}_mixed")
    return Request(operation=OPERATION, method="MAIL", path="", query=first.query, content=mail.as_bytes())


def _kind(file: File) -> str:
    return file.kind if re.fullmatch(r"[a-z][a-z-]{0,40}", file.kind) else "document"


def _attach(mail: EmailMessage, file: File) -> None:
    """Under a name of ours."""
    end = file.name.rpartition(".")[2].lower()
    maintype, _, subtype = TYPES.get(end, "application/octet-stream").partition("/")
    name = _kind(file) + (f".{end}" if re.fullmatch(r"[a-z0-9]{1,5}", end) else "")
    mail.add_attachment(file.content, maintype, subtype, filename=name)


def _for_programs(mail: EmailMessage, about: dict[str, Any], reference: str, form: str) -> None:
    """Where the document is, for a program that fetches it."""
    listed = [{"name": about["kind"], "kind": about["kind"], "link": about["link"]}]
    facts = {"format": "lendrail-documents", "version": 1, "reference": reference}
    facts |= {"application": about["application"], "documents": listed}
    maintype, write = ("text", as_csv) if form == "csv" else ("application", as_json)
    mail.add_attachment(write(facts), maintype, form, filename=f"documents.{form}")
