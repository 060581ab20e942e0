"""MonetaGo's calls and what their replies mean. Pure; `registration.py` and `results.py` know the two long bodies."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lendrail.contracts.application import Application
from lendrail.contracts.terms import FieldProblem
from lendrail.partners import calls, partner, reading
from lendrail.partners.exchange import GIVEN, Accepted, Outcome, Rejected, Reply, Request, Unknown
from lendrail.partners.fields import problem
from lendrail.partners.monetago import profile, registration, results
from lendrail.partners.monetago.profile import NAME, Options
from lendrail.partners.refusals import refused

STATUS_REQUEST = "statusRequest"
"""Under which the answer to a status request gives the id of its results."""


def check(application: Application, options: partner.Options) -> list[FieldProblem]:
    return list(registration.problems(application, Options.model_validate(options)))


def create(order: partner.Order) -> tuple[Request, ...]:
    body = registration.body(order.application, Options.model_validate(order.options), order.reference)
    return (calls.send("create", "/registrations", body),)


def search(reference: str, options: partner.Options) -> Request:
    """For the first FVR of a registration, which carries our reference."""
    query = ((Options.model_validate(options).search_filter, reference),)
    return calls.get("search", "financing-validation-requests", query=query, context=(("reference", reference),))


def read(partner_id: str) -> Request:
    return calls.get("read", "status", partner_id)


def finance(partner_id: str, options: partner.Options) -> Request:
    """Say that the money flowed, for all FVRs of the registration. What it became is read from their status."""
    return calls.send("finance", "/financings", _naming(partner_id, options, "financing_batch", {}))


def withdraw(partner_id: str, ended: str, options: partner.Options) -> Request:
    """Give up the claim on the documents; `ended`: one of our statuses, which chooses the reason."""
    own, reason = Options.model_validate(options), profile.CANCELLATION_REASONS.get(ended, profile.OTHER_REASON)
    body = _naming(partner_id, options, own.cancellation_wrapper, {own.cancellation_reason: reason})
    return calls.send("withdraw", "/cancellations", body)


def status_request(partner_id: str, options: partner.Options) -> Request:
    """Ask for the results to be put together anew; the answer has the id under which `read` finds them."""
    wrapper = Options.model_validate(options).status_request_wrapper
    return calls.send("status-request", "/status-requests", _naming(partner_id, options, wrapper, {}))


def document_matches(match_id: str, options: partner.Options) -> Request:
    """One match of a report, line by line."""
    return calls.get("document-matches", "document-matches", match_id)


def _naming(partner_id: str, options: partner.Options, wrapper: str, more: Mapping[str, str]) -> dict[str, Any]:
    institution = Options.model_validate(options).institution
    named = {"request_identification": partner_id, **more}
    return {"submitting_financial_institution_identification": institution, wrapper: [named]}


def activity(cursor: str | None, now: dt.datetime) -> Request:
    """`before` stays out, as the partner asks. A cursor that no clock of the partner's bears out may be of an event
    with a wrong time, and must not hide what happens until then: more is read again, and what was seen is known.
    """
    after, _, limit = (cursor or "").partition(" ")
    since = results.moment(after)
    if since is not None and not limit:
        since = min(since, now - dt.timedelta(seconds=profile.LOOK_BACK_SECONDS))
    query = (("after", results.stamp(since)),) if since else ()
    return calls.get("activity", "activity", query=(*query, ("limit", limit or str(profile.PAGE)), ("offset", "0")))


def outcome(request: Request, reply: Reply) -> Outcome:
    operation = request.operation
    if not 200 <= reply.status < 300:
        came = refused(operation, reply, profile.REFUSALS, NAME, {}, profile.RETRY_AFTER_SECONDS)
        return replace(came, problems=_problems(reply)) if isinstance(came, Rejected) else came
    body = reading.json_object(reply.content)
    if body is None or "errors" in body:
        return Unknown("unreadable-reply")
    if operation in ("create", "finance", "withdraw", "status-request"):
        return _taken(operation, body)
    if operation == "read":
        return Accepted() if results.findings(reply) else Unknown("unreadable-reply")
    if operation == "document-matches":
        return Unknown("unreadable-reply") if results.compared(reply) is None else Accepted()
    return Accepted() if reply.status == 200 else Unknown("unreadable-reply")


def _taken(operation: str, body: Mapping[str, Any]) -> Outcome:
    """Only a registration's id is the opportunity's: a financing has one of its own, by which nothing is ever read."""
    names = ("cancellation_id", "cancellation_identification") if operation == "withdraw" else _REQUEST_ID
    given = next((found for name in names if (found := reading.foreign_id(body.get(name)))), None)
    if given is None:
        return Unknown("no-id")
    if operation == "status-request" and GIVEN.fullmatch(given):
        return Accepted(given={STATUS_REQUEST: given})
    return Accepted(given) if operation == "create" else Accepted()


_REQUEST_ID = ("request_identification",)
_FIELDS = {
    "invoice_number": "/invoices/{}/number",
    "issue_date": "/invoices/{}/issuedOn",
    "seller_identification": "/invoices/{}/issuer",
    "buyer_identification": "/invoices/{}/debtor",
    "total_invoice_amount": "/invoices/{}/amount",
    "financing_request_amount": "/invoices/{}/requested",
    "referred_documents": "/invoices/{}",
    "financing_applicant": "/business",
}
"""From the partner's path to ours; the number is that of the FVR, which is that of the invoice."""


def _problems(reply: Reply) -> tuple[FieldProblem, ...]:
    """Of `errors: [{code, text, path}]`. The text may quote what was sent, so only a plain code is repeated."""
    errors = (reading.json_object(reply.content) or {}).get("errors") or ()
    return tuple(_problem(each) for each in errors if isinstance(each, dict))[:100]


def _problem(error: Mapping[str, Any]) -> FieldProblem:
    code, path = error.get("code"), error.get("path")
    said = f" ({code})" if isinstance(code, str) and re.fullmatch(r"[A-Z][A-Z_]{1,39}", code) else ""
    message = f"was refused by the registry{said}, in words that are kept with the attempt"
    return problem(NAME, _pointer(path) if isinstance(path, str) else "", "refused", message)


def _pointer(path: str) -> str:
    """Of the deepest step that we know; of the whole application where none is."""
    steps = re.findall(r"[a-z_]{1,80}|[0-9]{1,4}", path[:1000])
    place = re.search(r"financing_validation_request_details\W{1,3}([0-9]{1,4})", path[:1000])
    known = next((_FIELDS[step] for step in reversed(steps) if step in _FIELDS), "")
    if "{}" not in known:
        return known
    return known.format(int(place[1])) if place else "/invoices"
