"""What the tests of this partner's mapping make their requests, replies and applications with."""

from __future__ import annotations

import copy
import datetime as dt
import json
from email import message_from_bytes, policy
from email.message import EmailMessage
from importlib.resources import files
from pathlib import Path
from typing import Any

from lendrail.contracts.application import Application
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import (
    File,
    Request,
)
from lendrail.partners.partner import Order

PARTNER = PARTNERS["email-lender"]
FULL: dict[str, Any] = json.loads((files("lendrail.contracts") / "examples/application.json").read_text())
RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "recorded.json").read_text())
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
