"""An application as one mail: text, HTML, a part for programs, links to its documents; and what a server's reply means.

The same order always makes the same bytes, and the bytes that are stored before they are sent are the archive of the
message. Whoever can write into an application can write into this mail, so no text of his stands in a header but one
tidy line in the subject, and every part is encoded so that no boundary can be written into it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, cast

from lendrail.contracts.application import Application
from lendrail.contracts.terms import FieldProblem
from lendrail.partners import partner
from lendrail.partners.email_lender.body import as_csv, as_json, render, said, sections
from lendrail.partners.email_lender.content import Broom, content, line
from lendrail.partners.email_lender.profile import (
    CREDENTIAL_REFUSALS,
    MOST_DOCUMENTS,
    NAME,
    RETRY_AFTER_SECONDS,
    MailAddress,
    Options,
)
from lendrail.partners.exchange import (
    Accepted,
    CredentialRefused,
    Delivery,
    File,
    Outcome,
    Rejected,
    Reply,
    Request,
    RetryLater,
    Unknown,
)
from lendrail.partners.fields import problem
from lendrail.partners.forms import amount_limits
from lendrail.partners.reading import sensitive_words

SEVEN_BIT = policy.SMTP.clone(cte_type="7bit")
"""Every server carries it as it is, also one without 8BITMIME."""
REFERENCE, POSSIBLE_DUPLICATE = "X-Lendrail-Reference", "X-Lendrail-Possible-Duplicate"
DUPLICATE_MARK = "[Possible duplicate]"
_LONGEST_NAME = 80
"""Characters of the business's name in the subject, so that the reference behind it is seen."""


def check(application: Application, options: partner.Options) -> list[FieldProblem]:
    return list(_problems(application, Options.model_validate(options)))


def _problems(application: Application, options: Options) -> Iterator[FieldProblem]:
    if options.to is None or options.sender is None:
        yield problem(
            NAME, "/targetPartners", "account-misconfigured", "the account lacks the addresses `from` and `to`"
        )
    if options.country is not None and application.business.country != options.country:
        yield problem(
            NAME, "/business/country", "country", f"this partner finances businesses of {options.country} only"
        )
    yield from amount_limits(NAME, application, options.minimum_amount, options.maximum_amount)


def delivery(options: partner.Options) -> Delivery:
    return Delivery("link", MOST_DOCUMENTS)


def create(order: partner.Order) -> tuple[Request, ...]:
    """Raises ValueError for an account without addresses and for a reference that could not stand in a header."""
    options = Options.model_validate(order.options)
    if options.to is None or options.sender is None:
        raise ValueError("the account lacks the addresses `from` and `to`")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", order.reference):
        raise ValueError("the reference cannot stand in a header")
    message = _message(order, options, options.sender, options.to)
    envelope = (("from", options.sender), ("to", options.to))
    return (Request(operation="create", method="MAIL", path="", query=envelope, content=message.as_bytes()),)


def _message(order: partner.Order, options: Options, sender: MailAddress, to: MailAddress) -> EmailMessage:
    facts = _facts(order, options)
    about = _about(order, options, facts)
    mail = EmailMessage(policy=SEVEN_BIT)
    test = "[TEST] " if about["test"] else ""
    mail["Subject"] = header(f"{test}{about['headline']} (ref {order.reference})")
    mail["From"], mail["To"] = sender, to
    if options.reply_to is not None:
        mail["Reply-To"] = options.reply_to
    mail["Date"] = format_datetime(order.planned_at.astimezone(dt.UTC))
    mail["Message-ID"] = f"<{order.reference}@{sender.rpartition('@')[2]}>"
    mail[REFERENCE] = order.reference
    # Quoted-printable writes `=` as `=3D` and Base64 has no `_`: a boundary with `=_` cannot occur in any part.
    mail.set_content(render("mail.txt", about), cte="quoted-printable")
    mail.add_alternative(render("mail.html", about), subtype="html", cte="quoted-printable")
    maintype, write = ("text", as_csv) if options.format == "csv" else ("application", as_json)
    mail.add_attachment(write(facts), maintype, options.format, filename=f"application.{options.format}")
    mark = hashlib.sha256(order.reference.encode()).hexdigest()[:32]
    mail.set_boundary(f"=_{mark}_mixed")
    cast(EmailMessage, next(mail.iter_parts())).set_boundary(f"=_{mark}_alternative")
    return mail


def _facts(order: partner.Order, options: Options) -> dict[str, Any]:
    """What the part for programs says."""
    facts: dict[str, Any] = {
        "format": "lendrail-application",
        "version": 1,
        "reference": order.reference,
        "purpose": options.purpose,
        "mode": order.application.mode,
        "preparedAt": order.planned_at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if options.purpose == "supplement":
        named = {"partner": options.partner, "partnerId": options.partner_id}
        facts["supplements"] = {name: value for name, value in named.items() if value is not None}
    facts["application"] = content(order.application)
    if order.documents:
        broom = Broom(order.application)
        facts["documents"] = [_document(each, broom) for each in order.documents]
    return facts


def _document(file: File, broom: Broom) -> dict[str, str]:
    told = {"name": broom.text(line(file.name)), "kind": line(file.kind)}
    if (link := web_link(file.link)) is not None:
        told["link"] = link
    return told


def web_link(link: str | None) -> str | None:
    """The address, where it is one that a mail may show."""
    return link if link is not None and re.fullmatch(r"https?://[!-~]{1,2000}", link) else None


def _about(order: partner.Order, options: Options, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the templates ask for."""
    application = facts["application"]
    wish, business = application["requestedFinance"], application["business"]
    what = "Request for a quotation" if order.application.quotation_only else "Application for finance"
    if options.purpose == "supplement":
        what = "For your records: application for finance"
    name = business.get("tradingName") or business["legalName"]
    glance = [("Reference", order.reference), ("Business", business["legalName"])]
    glance += [
        (part.capitalize(), said(wish[part])) for part in ("amount", "term", "product", "purpose") if part in wish
    ]
    glance += [("Prepared", order.planned_at.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"))]
    return {
        "test": order.application.mode == "test",
        "headline": f"{what}: {name[:_LONGEST_NAME]}, {said(wish['amount'])}",
        "intro": tuple(_intro(order, options)),
        "glance": glance,
        "documents": [{"link": None} | each for each in facts.get("documents", ())],
        "sections": sections(application),
        "footer": _FOOTER.format(reference=order.reference),
    }


_FOOTER = (
    "Please keep the reference {reference} in the subject of your reply, so that it finds its way. "
    "Social security, tax, identity and account numbers and birth dates are never sent by mail."
)


def _intro(order: partner.Order, options: Options) -> Iterator[str]:
    if options.lender_name is not None:
        yield f"For {line(options.lender_name)}"
    if options.purpose == "supplement":
        where = f" ({options.partner})" if options.partner else ""
        known = f"is {options.partner_id}" if options.partner_id else "was not known yet when this was written"
        yield f"This application goes to you through your API{where}; its id there {known}."
        yield "This mail adds what the API does not take and is for your records. Please do not open it a second time."
    elif order.application.quotation_only:
        yield "Our client asks for a price only. Please begin neither a credit check nor a sale."
    else:
        yield "Our client asks for business finance. Please tell us your decision by replying to this mail."
    more = " The documents are behind the links below." if order.documents else ""
    yield f"The same facts are attached as application.{options.format} for automatic reading.{more}"


def header(text: str) -> str:
    """As text in a header: one tidy line in which nothing looks like an encoded word."""
    return line(text).replace("=?", "= ?")


def again(request: Request, at: dt.datetime | None = None) -> Request:
    """The same message, Message-ID included, sent once more `at` a time (none: now, when a person asks for it): the
    subject and a header say that it may be a duplicate, and the Resent fields of RFC 5322, 3.6.6, stand before it.
    """
    at, envelope = (at or dt.datetime.now(dt.UTC)).astimezone(dt.UTC), dict(request.query)
    head, gap, body = request.content.partition(b"\r\n\r\n")
    domain = envelope["from"].rpartition("@")[2]
    mark = hashlib.sha256(f"{at.isoformat()} {hashlib.sha256(request.content).hexdigest()}".encode()).hexdigest()[:32]
    resent = {
        "Resent-Date": format_datetime(at),
        "Resent-From": envelope["from"],
        "Resent-To": envelope["to"],
        "Resent-Message-ID": f"<{mark}@{domain}>",
    }
    block = "".join(f"{name}: {value}\r\n" for name, value in resent.items()).encode("ascii")
    if not re.search(rb"(?m)^" + POSSIBLE_DUPLICATE.encode() + rb":", head):
        head = re.sub(rb"(?m)^Subject:", f"Subject: {DUPLICATE_MARK}".encode(), head, count=1)
        block += f"{POSSIBLE_DUPLICATE}: yes\r\n".encode()
    return replace(request, content=block + head + gap + body)


def outcome(request: Request, reply: Reply) -> Outcome:
    """RFC 5321, 4.2.1: the first digit decides. 250 alone takes a mail, and names no id of the lender."""
    if reply.status == 250:
        return Accepted()
    if reply.status in CREDENTIAL_REFUSALS:
        return CredentialRefused()
    if 400 <= reply.status < 500:
        return RetryLater(RETRY_AFTER_SECONDS)
    if 500 <= reply.status < 600:
        refused = problem(
            NAME, "", "refused", "was refused by the lender's mail server, in words kept with the attempt"
        )
        return Rejected((refused,), sensitive_words(reply.content.decode("utf-8", "replace")))
    return Unknown(f"status-{reply.status}")
