"""The lender's calls and what its answers mean. Pure; `application.py` and `state.py` know the two long elements."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from lendrail.contracts.application import Application
from lendrail.contracts.terms import FieldProblem
from lendrail.partners import partner, reading
from lendrail.partners.channels.soap import SoapBody, SoapFault, SoapService
from lendrail.partners.exchange import (
    Absent,
    Accepted,
    CredentialRefused,
    Delivery,
    Duplicate,
    File,
    Found,
    Hint,
    Known,
    Listing,
    Outcome,
    Page,
    Present,
    Rejected,
    Reply,
    Request,
    RetryLater,
    Unknown,
)
from lendrail.partners.fields import problem
from lendrail.partners.refusals import refused
from lendrail.partners.soap_lender import profile
from lendrail.partners.soap_lender.application import build, pointer_of
from lendrail.partners.soap_lender.profile import NAME, Options

SERVICE = SoapService(files(__package__) / "service.wsdl", tolerant=True)
"""Tolerant: it adds elements without notice and leaves out empty ones that it promised."""
_ID = "CustomersRequestMessageId"


def check(application: Application, options: partner.Options) -> list[FieldProblem]:
    return build(application, Options.model_validate(options))[1]


def create(order: partner.Order) -> tuple[Request, ...]:
    body = build(order.application, Options.model_validate(order.options))[0]
    return (_call("create", order.reference, Application=body),)


def _call(operation: str, message_id: str, **arguments: Any) -> Request:
    wsdl_operation, context = profile.WSDL_OPERATIONS[operation], (("message-id", message_id),)
    return SERVICE.request(
        wsdl_operation, {_ID: message_id} | arguments, name=operation, version="1.2", context=context
    )


def _derived(*parts: str | bytes) -> str:
    """The id of a message that changes something: the same for a repeat, another for anything else."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()[:40]


def delivery(options: partner.Options) -> Delivery:
    return Delivery("bytes")


def document(partner_id: str, files: tuple[File, ...], options: partner.Options) -> Request:
    file = files[0]
    message_id = _derived("document", partner_id, file.name, file.content)
    kind = profile.DOCUMENT_TYPES.get(file.kind, "Other")
    content = base64.b64encode(file.content).decode()
    return _call(
        "document", message_id, ApplicationId=partner_id, FileName=file.name, DocumentType=kind, Content=content
    )


def update(partner_id: str, order: partner.Order) -> Request:
    """Each order has a message id of its own, so that going back to an older wording is no repeat."""
    body = build(order.application, Options.model_validate(order.options))[0]
    message_id = _derived("update", partner_id, order.reference, order.planned_at.isoformat(), repr(body))
    return _call("update", message_id, ApplicationId=partner_id, Application=body)


def withdraw(partner_id: str, status: str, options: partner.Options) -> Request:
    reason = profile.WITHDRAWAL_REASONS.get(status, "Withdrawn")
    return _call("withdraw", _derived("withdraw", partner_id), ApplicationId=partner_id, WithdrawalReason=reason)


def read(partner_id: str) -> Request:
    return _call("read", "read", ApplicationId=partner_id)


def search(reference: str, options: partner.Options) -> Request:
    return _call("search", "search", OriginalCustomersRequestMessageId=reference)


def index(token: str | None) -> Request:
    return _call("index", "index", AfterApplicationId=token, MaximumCount=profile.PAGE)


def feed(cursor: str | None, now: dt.datetime) -> Request:
    return _call("feed", "feed", AfterMessageNumber=cursor, MaximumCount=profile.PAGE)


def acknowledge(entries: tuple[str, ...]) -> Request:
    numbers = {"MessageNumber": list(entries)}
    return _call("acknowledge", _derived("acknowledge", *entries), MessageNumbers=numbers)


def outcome(request: Request, reply: Reply) -> Outcome:
    """What stands before the service answers without SOAP; all else is a fault or the answer to this very message."""
    operation = request.operation
    if reply.status in {each.status for each in profile.REFUSALS}:
        return refused(operation, reply, profile.REFUSALS, NAME, {}, profile.RETRY_SECONDS)
    said = _said(operation, reply)
    if said is None:
        return Unknown("unreadable-reply" if 200 <= reply.status < 300 else f"status-{reply.status}")
    if isinstance(said, SoapFault):
        return _fault(said)
    if said.value.get(_ID) != request.knows("message-id"):
        return Unknown("foreign-reply")
    given = reading.foreign_id(said.value.get({"document": "DocumentId"}.get(operation, "ApplicationId")))
    if operation == "create":
        return Accepted(given) if given else Unknown("no-id")
    if operation in ("document", "update", "withdraw"):
        return Accepted() if given else Unknown("no-id")
    if operation == "read" and (said.value.get("Application") or {}).get("Status") is None:
        return Unknown("unreadable-reply")
    return Accepted()


def said(operation: str, reply: Reply) -> Mapping[str, Any]:
    """The answer to one of our operations; empty for faults and what cannot be read."""
    read = _said(operation, reply)
    return read.value if isinstance(read, SoapBody) else {}


def _said(operation: str, reply: Reply) -> SoapBody | SoapFault | None:
    try:
        return SERVICE.read(profile.WSDL_OPERATIONS[operation], reply)
    except reading.Unreadable:
        return None


def _fault(fault: SoapFault) -> Outcome:
    """An environment that is not the credential's pauses it like a wrong password: every call of it would go wrong the
    same way, and somebody who mixed up test and live must look before anything else is sent.
    """
    codes, detail = {fault.code, fault.subcode}, fault.detail
    if fault.name in ("UnauthorisedFault", "IncorrectEnvironmentFault") or codes & profile.SECURITY_FAULTS:
        return CredentialRefused()
    if "VersionMismatch" in codes:  # the credential's address is the other version's
        return CredentialRefused()
    if codes & profile.CLOCK_FAULTS:
        return RetryLater(profile.RETRY_SECONDS)
    if fault.name == "StringLengthExceededFault":
        return Rejected((_problem(detail.get("ElementPath"), "too-long", detail.get("MaximumLength")),))
    errors = tuple(_errors(detail)) if fault.name == "ValidationFault" else ()
    if errors:
        if any(path == f"Request/{_ID}" for path, _ in errors):  # used before, for another message
            return Duplicate()
        told = "; ".join(text for _, text in errors)
        return Rejected(tuple(_problem(path, "refused") for path, _ in errors), reading.sensitive_words(told))
    if fault.name == "ServerFault" and detail.get("NotProcessed") is True:
        return RetryLater(profile.RETRY_SECONDS)
    return Unknown("server-fault" if fault.name == "ServerFault" else "fault")


def _errors(detail: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Element path, from the top, and text of each error."""
    for group in listed(detail, "ValidationErrorGroups", "ValidationErrorGroup"):
        element, number = group.get("Element") or "", group.get("SequenceNumber")
        at = f"{element}[{number}]/" if element.endswith(("/Person", "/ExistingLoan")) else f"{element}/"
        for each in listed(group, "ValidationErrors", "ValidationError"):
            yield (at + (each.get("ElementPath") or "")).strip("/"), each.get("ErrorMessage") or ""


def _problem(path: Any, code: str, longest: Any = None) -> FieldProblem:
    known = path if isinstance(path, str) else ""
    pointer = pointer_of(known) if known.startswith("Application/") else ""
    text = "was refused by the partner, in words that are kept with the attempt"
    if isinstance(longest, int):
        text = f"must have at most {longest} characters for this partner"
    return problem(NAME, pointer, code, text)


def listed(value: Mapping[str, Any], name: str, inner: str) -> list[Any]:
    """The entries of a list element that may be absent."""
    return [each for each in (value.get(name) or {}).get(inner) or () if each]


def found(request: Request, reply: Reply) -> Found:
    """Absent only where the partner counts none: an empty list and one that is left out read the same."""
    answer = said("search", reply)
    if answer.get(_ID) != request.knows("message-id"):
        return Unknown("unreadable-reply")
    known = listed(answer, "ApplicationSummaries", "ApplicationSummary")
    first = reading.foreign_id(known[0].get("ApplicationId")) if known else None
    if first is not None:
        return Present(first)
    return Absent() if not known and answer.get("ApplicationCount") == 0 else Unknown("no-id")


def listing(reply: Reply) -> Listing | None:
    """A page of the list; the next one begins after its last entry."""
    answer = said("index", reply)
    if answer.get("ApplicationSummaries") is None and "ApplicationCount" not in answer:
        return None
    entries = listed(answer, "ApplicationSummaries", "ApplicationSummary")
    known = tuple(each for entry in entries if (each := _known(entry)))
    more = answer.get("MoreAvailable") is True and bool(known)
    return Listing(known, known[-1].partner_id if more else None, len(entries) - len(known))


def _known(entry: Mapping[str, Any]) -> Known | None:
    foreign, at = reading.foreign_id(entry.get("ApplicationId")), entry.get("StatusChangedDateTime")
    words, reference = reading.words(entry.get("Status"), 60) or "", reading.words(entry.get(f"Original{_ID}"))
    status = profile.STATUSES.get(words)
    return Known(foreign, reference, words, status, at if isinstance(at, dt.datetime) else None) if foreign else None


def page(reply: Reply) -> Page | None:
    answer = said("feed", reply)
    if answer.get("Messages") is None and "MoreAvailable" not in answer:
        return None
    messages = [each for each in listed(answer, "Messages", "Message") if isinstance(each.get("MessageNumber"), int)]
    hints = (
        Hint(each["ApplicationId"], reading.words(each.get("Status"), 60) or "", each.get(f"Original{_ID}"))
        for each in messages
        if reading.foreign_id(each.get("ApplicationId"))
    )
    numbers = tuple(str(each["MessageNumber"]) for each in messages)
    more = answer.get("MoreAvailable") is True and bool(numbers)
    return Page(tuple(hints), numbers[-1] if numbers else None, more, numbers)
