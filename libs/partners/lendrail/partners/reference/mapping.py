"""The reference partner's calls and what their replies mean: one set of translations for every partner that follows
the published interface. Pure; `report.py` reads the long bodies.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from pydantic import SecretStr

from lendrail.contracts.application import Application
from lendrail.contracts.terms import FieldProblem
from lendrail.partners import calls, partner, reading
from lendrail.partners.answers import readable
from lendrail.partners.exchange import (
    Absent,
    Accepted,
    Delivery,
    File,
    Found,
    Outcome,
    Present,
    Reply,
    Request,
    Unknown,
)
from lendrail.partners.fields import problem
from lendrail.partners.forms import amount_limits
from lendrail.partners.reference import profile
from lendrail.partners.reference.profile import Options
from lendrail.partners.reference.report import report
from lendrail.partners.reference.schema import known, told
from lendrail.partners.refusals import refused
from lendrail.partners.told import Told


@dataclass(frozen=True)
class Translations:
    """Of the partner called `name`, which takes businesses of `countries` (all where empty) that fill `required`."""

    name: str
    countries: Sequence[str] = ()
    required: Sequence[str] = ()

    def check(self, application: Application, options: partner.Options) -> list[FieldProblem]:
        body = told(application, self.name) if self.required else {}
        missing = [
            problem(self.name, pointer, "missing", "is required by this partner")
            for pointer in self.required
            if _at(body, pointer) in (None, "", [], {})
        ]
        return [*missing, *self._limits(application, Options.model_validate(options))]

    def _limits(self, application: Application, options: Options) -> Iterator[FieldProblem]:
        currency, at = application.requested_finance.amount.currency, "/requestedFinance/amount/currency"
        if self.countries and application.business.country not in self.countries:
            yield problem(self.name, "/business/country", "country", "this partner takes no business of this country")
        if application.quotation_only:
            yield problem(self.name, "/quotationOnly", "not-supported", "this partner has no quotation alone")
        if options.currency is not None and currency != options.currency:
            yield problem(self.name, at, "currency", f"must be in {options.currency} for this partner")
        yield from amount_limits(self.name, application, options.minimum_amount, options.maximum_amount)

    def create(self, order: partner.Order) -> tuple[Request, ...]:
        body = told(order.application, self.name)
        return (_send("create", "POST", "/applications", body, order.reference),)

    def update(self, partner_id: str, order: partner.Order) -> Request:
        return _send("update", "PUT", _application(partner_id), told(order.application, self.name))

    def outcome(self, request: Request, reply: Reply) -> Outcome:
        body = reading.json_object(reply.content)
        if reply.status not in (200, 201):
            pointers = {each: each for each in _named(body)}
            pause = profile.RETRY_AFTER_SECONDS
            return refused(request.operation, reply, profile.REFUSALS, self.name, pointers, pause)
        if body is None:
            return Unknown("unreadable-reply")
        if request.operation in ("index", "search"):
            return Accepted() if isinstance(body.get("applications"), list) else Unknown("unreadable-reply")
        if (foreign := reading.foreign_id(body.get("id"))) is None:
            return Unknown("no-id")
        match request.operation:
            case "create":
                if body.get("reference") != dict(request.headers).get("idempotency-key"):
                    return Unknown("other-reference")
                return Accepted(foreign, report(reply))
            case "update" | "accept":
                return Accepted(report=report(reply))
            case "read":
                return readable(Told(body), "status")
        return Accepted()


def _at(body: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        if isinstance(body, list):
            body = body[int(step)] if step.isdecimal() and int(step) < len(body) else None
        else:
            body = body.get(step) if isinstance(body, dict) else None
    return body


def _named(body: Mapping[str, Any] | None) -> Iterator[str]:
    """The pointers of a refusal that lead to a field of ours."""
    errors = (body or {}).get("errors")
    for each in errors if isinstance(errors, list) else ():
        pointer = each.get("pointer") if isinstance(each, dict) else None
        if isinstance(pointer, str) and known(pointer):
            yield pointer


def _application(partner_id: str) -> str:
    return f"/applications/{quote(partner_id, safe='')}"


def _send(operation: str, method: Literal["POST", "PUT"], path: str, body: Any, key: str | None = None) -> Request:
    headers = (*calls.ACCEPT, ("content-type", "application/json"), *((("idempotency-key", key),) if key else ()))
    return calls.send(operation, path, body, method=method, headers=headers)


def delivery(options: partner.Options) -> Delivery:
    return Delivery(Options.model_validate(options).attachments)


def document(partner_id: str, files: tuple[File, ...], options: partner.Options) -> Request:
    """One file. Its key is made of what it is, so that a second try is known as such."""
    file = files[0]
    body = {"name": file.name, "kind": file.kind}
    if file.link is not None and delivery(options).by == "link":
        body |= {"link": file.link}
    else:
        body |= {"sha256": hashlib.sha256(file.content).hexdigest()}
        body |= {"content": base64.b64encode(file.content).decode()}
    known_by = "\n".join([partner_id, file.name, file.kind, body.get("sha256") or body["link"]])
    key = hashlib.sha256(known_by.encode()).hexdigest()
    return _send("document", "POST", f"{_application(partner_id)}/documents", body, key)


def accept(partner_id: str, offer_id: str, variant: str | None, options: partner.Options) -> Request:
    """Its key names the offer, so that a second try is known as such and another offer is not."""
    body = {"offerId": offer_id} | ({"variant": variant} if variant else {})
    known_by = "\n".join([partner_id, offer_id, variant or ""])
    key = hashlib.sha256(known_by.encode()).hexdigest()
    return _send("accept", "POST", f"{_application(partner_id)}/accept", body, key)


def read(partner_id: str) -> Request:
    return calls.get("read", "applications", partner_id)


def index(token: str | None) -> Request:
    query = (("pageSize", str(profile.PAGE_SIZE)), *((("pageToken", token),) if token else ()))
    return calls.get("index", "applications", query=query)


def search(reference: str, options: partner.Options) -> Request:
    return calls.get("search", "applications", query=(("reference", reference),))


def found(request: Request, reply: Reply) -> Found:
    entries = (reading.json_object(reply.content) or {}).get("applications") if reply.status == 200 else None
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        return Unknown("unreadable-reply")
    if not entries:
        return Absent()
    ours, foreign = dict(request.query)["reference"], reading.foreign_id(entries[0].get("id"))
    if len(entries) > 1 or entries[0].get("reference") != ours or foreign is None:
        return Unknown("unreadable-reply")
    return Present(foreign)


def register_webhook(url: str, secret: SecretStr | None) -> Request:
    body = {"url": url} | ({"secret": secret.get_secret_value()} if secret else {})
    return _send("register-webhook", "POST", "/webhooks", body)
