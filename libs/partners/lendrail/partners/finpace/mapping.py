"""Finpace's calls and what its replies and webhooks mean. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from lendrail.contracts.application import Application
from lendrail.contracts.application_words import RegistrationScheme
from lendrail.contracts.terms import DeclineReason, FieldProblem, Offer, ReasonCode, Report, Status, Term
from lendrail.partners import partner, reading
from lendrail.partners.exchange import GIVEN, Accepted, Hint, Outcome, Reply, Request, Unknown
from lendrail.partners.fields import Field, Unfit, pointers, problem, translate
from lendrail.partners.finpace import profile
from lendrail.partners.finpace.profile import NAME, OUTCOMES, STATUSES, Options
from lendrail.partners.refusals import refused
from lendrail.partners.told import Told

_IDS = {"party": "partyId", "draft": "applicationId", "create": "applicationId", "register-webhook": "subscriptionId"}
_REGISTERS = (RegistrationScheme.COMPANY_NUMBER, RegistrationScheme.ACN, RegistrationScheme.LEI)
_TAXES = (RegistrationScheme.VAT, RegistrationScheme.EIN, RegistrationScheme.ABN)


def _number(*schemes: RegistrationScheme) -> Any:
    def get(application: Application) -> Any:
        found = (application.business.registration(scheme) for scheme in schemes)
        return next((each.number for each in found if each), None)

    return get


def _months(term: Any) -> int:
    if term.unit not in ("months", "years"):
        raise Unfit("not-supported", "must be in months or years for this partner")
    return int(term.value) * (12 if term.unit == "years" else 1)


ADDRESS = (
    Field("line1", "line1"),
    Field("line2", "line2"),
    Field("city", "city"),
    Field("region", "region"),
    Field("postalCode", "postal_code"),
    Field("country", "country"),
)
PARTY = (
    Field("displayName", "business.trading_name", get=lambda it: it.business.trading_name or it.business.legal_name),
    Field("legalName", "business.legal_name"),
    Field("registrationNumber", "business.registrations", get=_number(*_REGISTERS)),
    Field("countryOfIncorporation", "business.country"),
    Field("taxNumber", "business.registrations", get=_number(*_TAXES)),
)
WISH = (
    Field("requestedAmount", "requested_finance.amount", lambda it: it.model_dump(mode="json")),
    Field("requestedTenorMonths", "requested_finance.term", _months, required=True),
    Field(
        "purpose",
        "requested_finance.purpose_description",
        get=lambda it: it.requested_finance.purpose_description or it.requested_finance.purpose,
    ),
)
POINTERS = pointers(PARTY) | pointers(WISH) | {"facilityType": "/requestedFinance/product"}
POINTERS |= {"addresses": "/business/addresses", "contacts": "/business", "amount": "/requestedFinance/amount"}
POINTERS |= {"currency": "/requestedFinance/amount", "registrationNumber": "/business/registrations"}


def check(application: Application, options: partner.Options) -> list[FieldProblem]:
    problems = translate(PARTY, application, NAME)[1] + translate(WISH, application, NAME)[1]
    if application.quotation_only:
        problems.append(problem(NAME, "/quotationOnly", "not-supported", "this partner has no quotation alone"))
    try:
        _facility(application, Options.model_validate(options))
    except Unfit as unfit:
        problems.append(problem(NAME, "/requestedFinance/purpose", unfit.code, unfit.message))
    return problems


def _facility(application: Application, options: Options) -> str:
    wish = application.requested_finance
    if wish.product in options.facility_of_product:
        return options.facility_of_product[wish.product]
    if wish.product not in profile.OPEN_PRODUCTS:
        raise Unfit("not-supported", "no facility type is agreed with this partner for this product")
    if wish.purpose is None:
        raise Unfit("missing", "is required by this partner")
    if wish.purpose not in options.facility_of_purpose:
        raise Unfit("not-supported", "no facility type is agreed with this partner for this purpose")
    return options.facility_of_purpose[wish.purpose]


def create(order: partner.Order) -> tuple[Request, ...]:
    """The party, a draft for it, and the draft's submission for a decision."""
    options, application = Options.model_validate(order.options), order.application
    party = {"partyType": "organization", "segment": "sme"} | translate(PARTY, application, NAME)[0]
    party |= {"addresses": _addresses(application), "contacts": _contacts(application)}
    wish = {"partyId": "{{party}}", "facilityType": _facility(application, options)}
    wish |= translate(WISH, application, NAME)[0]
    wish |= {"decisionMode": options.decision_mode} if options.decision_mode else {}
    submit = options.submit_path.replace("{applicationId}", "{{application}}")
    return (
        _post("party", "/parties", party, order.reference),
        _post("draft", "/sme-loan-applications", wish, order.reference),
        _post("create", submit, {}, order.reference),
    )


def _addresses(application: Application) -> list[dict[str, Any]]:
    return [translate(ADDRESS, each, NAME)[0] for each in application.business.addresses]


def _contacts(application: Application) -> list[dict[str, Any]]:
    ways = {"email": application.business.email, "phone": application.business.phone}
    return [{"type": kind, "value": value.reveal()} for kind, value in ways.items() if value]


def _post(operation: str, path: str, body: Mapping[str, Any], reference: str) -> Request:
    """A key of its own for each step; the last one says by itself to which application all belong."""
    key = f"{reference}-{operation}"
    headers = (
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("idempotency-key", key),
        ("x-request-id", key),
        ("x-correlation-id", reference),
    )
    content = json.dumps(body, separators=(",", ":")).encode()
    return Request(operation=operation, method="POST", path=path, headers=headers, content=content)


def register_webhook(url: str, secret: SecretStr | None) -> Request:
    """The key tells neither address nor secret, and another one of either is another key."""
    known = secret.get_secret_value() if secret else ""
    reference = hmac.new(known.encode(), url.encode(), hashlib.sha256).hexdigest()[:40]
    body = {"eventTypes": [profile.DECISION_MADE], "targetUrl": url} | ({"secret": known} if known else {})
    return _post("register-webhook", "/webhook-subscriptions", body, reference)


def outcome(request: Request, reply: Reply) -> Outcome:
    if reply.status not in (200, 201, 202):
        return refused(request.operation, reply, profile.REFUSALS, NAME, POINTERS, profile.RETRY_AFTER_SECONDS)
    body = reading.json_object(reply.content)
    if body is None:
        return Unknown("unreadable-reply")
    told = reading.foreign_id(body.get(_IDS[request.operation]))
    if told is None or not GIVEN.fullmatch(told):
        return Unknown("no-id")
    match request.operation:
        case "party":
            return Accepted(given={"party": told})
        case "draft":
            return Accepted(told, given={"application": told})
        case "create":
            return Accepted(told, _submitted(body))
    return Accepted() if body.get("status") == "active" else Unknown("subscription-not-active")


def _submitted(body: Mapping[str, Any]) -> Report:
    """What the application says of itself; a decision in it has the last word unless the two disagree."""
    word = reading.words(body.get("status")) or ""
    status = STATUSES.get(word)
    if not isinstance(body.get("decision"), dict):
        return Report(status=status, words=word, flags=() if status else ("unknown-stage",))
    decided = _decided(Told(body["decision"]))
    if status in (Status.APPROVED, Status.DECLINED) and decided.status != status:
        return Report(status=None, words=word, flags=("conflicting-decision",))
    if status is None:
        return decided.model_copy(update={"status": None, "words": word, "flags": ("unknown-stage",)})
    return decided


def hint(body: bytes, path_id: str | None) -> Hint | None:
    decision = (reading.json_object(body) or {}).get("decision")
    told = decision if isinstance(decision, dict) else {}
    application, word = reading.foreign_id(told.get("applicationId")), reading.words(told.get("outcome"))
    return Hint(application, word) if application and word else None


def report(body: bytes) -> Report | None:
    """A proven webhook is the truth, since nothing can be asked; other events say nothing of an application."""
    event = reading.json_object(body) or {}
    if event.get("eventType") != profile.DECISION_MADE or not isinstance(event.get("decision"), dict):
        return None
    return _decided(Told(event["decision"]))


def _decided(told: Told) -> Report:
    word = told.read("outcome", reading.words)
    status = OUTCOMES.get(word or "")
    codes = [each for each in map(reading.words, told.read("reasonCodes", _list) or []) if each]
    if status is None:
        told.flags.append("unknown-stage")
    reasons = tuple(map(_reason, codes)) if status == Status.DECLINED else ()
    return Report(
        status=status,
        words=word or "",
        partner_time=told.read("decidedAt", reading.moment),
        offers=(_offer(told, codes),) if status == Status.APPROVED else (),
        decline_reasons=reasons,
        notes=reading.sensitive_words("; ".join(codes)) if status == Status.REFERRED else None,
        flags=(*told.flags, *(() if all(each.mapped for each in reasons) else ("unmapped-reason",))),
    )


def _offer(told: Told, codes: list[str]) -> Offer:
    months = told.read("approvedTenorMonths", reading.count)
    details = {"pricingReference": told.read("pricingReference", reading.words), "reasonCodes": "; ".join(codes)}
    return Offer(
        id=told.read("decisionId", reading.foreign_id) or "decision",
        amount=told.read("approvedAmount", reading.money_object),
        term=None if months is None else Term(value=months, unit="months"),
        details={name: value for name, value in details.items() if value},
    )


def _reason(code: str) -> DeclineReason:
    mapped = profile.REASONS.get(code)
    return DeclineReason(code=mapped or ReasonCode.OTHER, words=code, mapped=mapped is not None)


def _list(raw: Any) -> list[Any] | None:
    return raw if isinstance(raw, list) and all(isinstance(each, str) for each in raw) else None
