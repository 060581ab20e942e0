"""Forward Financing's calls and what their replies mean. Pure; `lead.py` and `deal.py` know the two long bodies."""

from __future__ import annotations

import base64
from typing import Any

from pydantic import SecretStr

from lendrail.contracts.application import Application
from lendrail.contracts.terms import FieldProblem
from lendrail.partners import calls, partner, reading
from lendrail.partners.exchange import (
    Accepted,
    Delivery,
    File,
    FileResult,
    Outcome,
    PartlyAccepted,
    Reply,
    Request,
    Unknown,
)
from lendrail.partners.forward_financing import profile
from lendrail.partners.forward_financing.lead import POINTERS, build
from lendrail.partners.forward_financing.profile import NAME, Options
from lendrail.partners.forward_financing.vocabularies import ATTACHMENT_TAGS
from lendrail.partners.refusals import refused

BYTES = (("content-type", "application/octet-stream"), *calls.ACCEPT)


def check(application: Application, options: partner.Options) -> list[FieldProblem]:
    return build(application, Options.model_validate(options))[1]


def create(order: partner.Order) -> tuple[Request, ...]:
    lead = build(order.application, Options.model_validate(order.options))[0]
    lead["application_attributes"]["reference_id"] = order.reference
    return (calls.send("create", "/lead", {"lead": lead}),)


def delivery(options: partner.Options) -> Delivery:
    way = Options.model_validate(options).attachments
    return Delivery("link" if way in ("url", "bulk") else "bytes", profile.BULK_FILES if way == "bulk" else 1)


def document(partner_id: str, files: tuple[File, ...], options: partner.Options) -> Request:
    """Hand over one file, or up to 25 in bulk. A body of bytes must not be called JSON, or it is parsed as such."""
    way, file = Options.model_validate(options).attachments, files[0]
    if way == "bulk":
        entries = [{"filename": each.name, "attachment_url": each.link, "tags": _tags(each)} for each in files]
        return calls.send("document", "/attachments", {"lead_id": partner_id, "attachments": entries})
    if way == "url":
        body = {"attachment_url": file.link, "filename": file.name, "lead_id": partner_id}
        return calls.send("document", "/attachment", body)
    query: tuple[tuple[str, str], ...] = (("filename", file.name), ("lead_id", partner_id))
    content = file.content
    if way == "base64":
        query, content = (*query, ("encoded", "true")), base64.b64encode(content)  # strict: without line breaks
    return Request(operation="document", method="POST", path="/attachment", query=query, headers=BYTES, content=content)


def _tags(file: File) -> list[str]:
    return [ATTACHMENT_TAGS[file.kind]] if file.kind in ATTACHMENT_TAGS else []


def read(partner_id: str) -> Request:
    return calls.get("read", "deal_status", partner_id)


def register_webhook(url: str, secret: SecretStr | None) -> Request:
    return calls.send("register-webhook", "/webhook", {"webhook_url": url})


def outcome(request: Request, reply: Reply) -> Outcome:
    operation = request.operation
    if not 200 <= reply.status < 300:
        return refused(operation, reply, profile.REFUSALS, NAME, POINTERS, profile.RETRY_AFTER_SECONDS)
    body = reading.json_object(reply.content)
    if body is not None and "errors" not in body:
        if operation == "create" and (lead_id := reading.foreign_id(body.get("id"))):
            return Accepted(lead_id)
        if operation == "document" and reply.status == 207:
            return _file_results(body.get("results"))
        known = {
            "document": reply.status == 202 and isinstance(body.get("message", ""), str),
            "read": reply.status == 200 and reading.words(body.get("stage")) is not None,
            "register-webhook": body.get("success") is True,
        }
        if known.get(operation):
            return Accepted()
    if operation == "document" and reply.status == 202 and not reply.content:
        return Accepted()
    return Unknown("unreadable-reply")


def _file_results(results: Any) -> Outcome:
    if not isinstance(results, list) or not results:
        return Unknown("unreadable-reply")
    files = []
    for each in results:
        name, status = (each.get("filename"), each.get("status")) if isinstance(each, dict) else (None, None)
        if not isinstance(name, str) or status not in ("accepted", "rejected"):
            return Unknown("unreadable-reply")
        files.append(FileResult(name, status == "accepted", reading.sensitive_words(each.get("error"))))
    return PartlyAccepted(tuple(files))
