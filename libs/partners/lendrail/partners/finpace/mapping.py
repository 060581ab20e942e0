"""Finpace's calls and what its replies and webhooks mean. Pure; `form.py` knows what it is told."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from lendrail.contracts.application import Application
from lendrail.contracts.terms import FieldProblem, Offer, Report, Status
from lendrail.partners import calls, partner, reading
from lendrail.partners.answers import decline_reasons, hint_of
from lendrail.partners.exchange import GIVEN, Accepted, Outcome, Reply, Request, Unknown, blank
from lendrail.partners.finpace import profile
from lendrail.partners.finpace.form import DRAFT, PARTY, POINTERS
from lendrail.partners.finpace.profile import NAME, OUTCOMES, STATUSES, Options
from lendrail.partners.refusals import refused
from lendrail.partners.told import Told

hint = hint_of("applicationId", "outcome", inside="decision")


def check(application: Application, options: partner.Options) -> list[FieldProblem]:
    return PARTY.check(application, options) + DRAFT.check(application, options)


def create(order: partner.Order) -> tuple[Request, ...]:
    """The party, a draft for it, and the draft's submission for a decision."""
    options = Options.model_validate(order.options)
    party = {"partyType": "organization", "segment": "sme"} | PARTY.body(order)
    draft = {"partyId": blank("party", order.reference)} | DRAFT.body(order)
    draft |= {"decisionMode": options.decision_mode} if options.decision_mode else {}
    submit = options.submit_path.replace("{applicationId}", blank("application", order.reference))
    return (
        _post("party", "/parties", party, order.reference),
        _post("draft", "/sme-loan-applications", draft, order.reference),
        _post("create", submit, {}, order.reference),
    )


def _post(operation: str, path: str, body: Mapping[str, Any], reference: str) -> Request:
    """A key of its own for each step; the last one says by itself to which application all belong."""
    key = f"{reference}-{operation}"
    keys = (("idempotency-key", key), ("x-request-id", key), ("x-correlation-id", reference))
    return calls.send(operation, path, body, headers=calls.JSON + keys)


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
    told = reading.foreign_id(body.get(profile.IDS[request.operation]))
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


def report(body: bytes) -> Report | None:
    """A proven webhook is the truth, since nothing can be asked; other events say nothing of an application."""
    event = reading.json_object(body) or {}
    if event.get("eventType") != profile.DECISION_MADE or not isinstance(event.get("decision"), dict):
        return None
    return _decided(Told(event["decision"]))


def _decided(told: Told) -> Report:
    """Its codes speak for a decline, and for an approval or a referral too, where they are kept as words."""
    word = told.read("outcome", reading.words)
    status = OUTCOMES.get(word or "")
    codes = told.read("reasonCodes", reading.texts) or []
    told.flags.extend([] if status else ["unknown-stage"])
    said: dict[str, Any] = {"partner_time": told.read("decidedAt", reading.moment)}
    if status == Status.APPROVED:
        said["offers"] = (_offer(told, codes),)
    elif status == Status.DECLINED:
        said["decline_reasons"] = decline_reasons(told, codes, profile.REASONS.get)
    elif status == Status.REFERRED:
        said["notes"] = reading.sensitive_words("; ".join(codes))
    return Report(status=status, words=word or "", **said, flags=tuple(told.flags))


def _offer(told: Told, codes: list[str]) -> Offer:
    said = told.take(profile.OFFER)
    details = told.take({"pricingReference": ("pricingReference", reading.words)})
    details |= {"reasonCodes": "; ".join(codes)} if codes else {}
    return Offer(**{"id": "decision"} | said, details=details)
