"""Optimum Finance's calls and what their replies mean. Pure; `request.py` knows the body."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any

from lendrail.contracts.application import Application
from lendrail.contracts.terms import Contact, DeclineReason, Fee, FieldProblem, Offer, ReasonCode, Report, Status
from lendrail.partners import partner, reading
from lendrail.partners.exchange import Accepted, Hint, Outcome, Reply, Request, Unknown
from lendrail.partners.optimum_finance import company, profile
from lendrail.partners.optimum_finance.profile import CURRENCY, NAME, Options
from lendrail.partners.optimum_finance.request import POINTERS, build
from lendrail.partners.refusals import refused
from lendrail.partners.told import Told

JSON = (("content-type", "application/json"), ("accept", "application/json"))


def check(application: Application, options: partner.Options) -> list[FieldProblem]:
    return build(application, Options.model_validate(options), dt.date.min)[1]


def create(order: partner.Order) -> tuple[Request, ...]:
    application = order.application
    body = build(application, Options.model_validate(order.options), order.planned_at.date())[0]
    names = {"legalName": application.business.legal_name, "tradingName": application.business.trading_name}
    known = tuple((key, name.reveal()) for key, name in names.items() if name)
    known += (("quotationOnly", "true"),) if application.quotation_only else ()
    content = json.dumps(body, separators=(",", ":")).encode()
    request = Request(operation="create", method="POST", path="/decide", headers=JSON, content=content, context=known)
    return (request,)


def read(partner_id: str) -> Request:
    """The id in the query: a body of a GET is lost by many proxies."""
    return Request(operation="read", method="GET", path="/update", query=(("id", partner_id),), headers=JSON[1:])


def hint(body: bytes, path_id: str | None) -> Hint | None:
    """Their PUT, of which nothing is published: what `GET /update` answers, with the id in it or in our address."""
    told = reading.json_object(body) or {}
    opportunity = reading.foreign_id(told.get("id")) or reading.foreign_id(path_id)
    return Hint(opportunity, reading.words(told.get("status")) or "update") if opportunity else None


def outcome(request: Request, reply: Reply) -> Outcome:
    if not 200 <= reply.status < 300:
        pause = profile.RETRY_AFTER_SECONDS
        return refused(request.operation, reply, profile.REFUSALS, NAME, POINTERS, pause, _complaints)
    if request.operation == "read":
        return Unknown("unreadable-reply") if _stage(_update(reply)) is None else Accepted()
    return _decided(request, Told(reading.json_object(reply.content) or {}))


def _complaints(body: Mapping[str, Any]) -> dict[str, list[str]] | None:
    """Their errors are one sentence, which may name parameters."""
    message = str(body.get("message"))
    named = [name for name in POINTERS if re.search(rf"\b{name}\b", message)]
    return {name: [message.removeprefix(name).strip()] for name in named} or None


def _decided(request: Request, told: Told) -> Outcome:
    """Only an approval that is no quotation must have an id; without one nothing goes on there."""
    decision = told.inner("decision")
    word = decision.read("decision", reading.words)
    if word is None:
        return Unknown("unreadable-reply")
    opportunity = told.read("opportunityId", reading.foreign_id)
    complete = word in ("declined", "referred") or (word == "approved" and request.knows("quotationOnly") is not None)
    if opportunity is None and not complete:
        return Unknown("no-id")
    return Accepted(opportunity, _decision(request, told, decision, word))


def _decision(request: Request, told: Told, decision: Told, word: str) -> Report:
    """Nothing is approved, or final, for another company than the applicant's: that is for a person to look at."""
    status, offer, reasons = profile.DECISIONS.get(word), _offer(decision, "indicative"), _reasons(decision)
    if status is None:
        told.flags.append("unknown-decision")
    name = told.read("companyName", reading.words)
    ours = [request.knows("legalName"), request.knows("tradingName")]
    if name is None:
        told.flags.append("review-company-name-missing")
        status = Status.REFERRED if status == Status.APPROVED else status
    elif not any(company.same(name, each) for each in ours if each):
        told.flags.append("review-company-name-mismatch")
        status = Status.REFERRED if status else None
    flags = tuple(dict.fromkeys(told.flags))
    return Report(status=status, words=word, offers=(offer,) if offer else (), decline_reasons=reasons, flags=flags)


def report(reply: Reply) -> Report:
    """What `GET /update` says; an unknown stage has no status."""
    told = _update(reply)
    stage = _stage(told)
    if stage is None:
        return Report(status=None, words="", flags=("unreadable-reply",))
    offer = _offer(told.inner("latestOffer"), "latest")
    contact = _contact(told)
    chance, closes = told.read("closeChance", reading.decimal), told.read("closeDate", reading.day)
    commission = told.read("estimatedMonthlyCommission", _pounds)
    if stage not in profile.STAGES:
        told.flags.append("unknown-stage")
    return Report(
        status=profile.STAGES.get(stage),
        words=stage,
        offers=(offer,) if offer else (),
        contact=contact,
        close_chance=chance,
        closes_on=closes,
        commission=commission,
        flags=tuple(dict.fromkeys(told.flags)),
    )


def _update(reply: Reply) -> Told:
    return Told((reading.json_object(reply.content) if reply.status == 200 else None) or {})


def _stage(told: Told) -> str | None:
    return reading.words(told.body.get("status"))


def _offer(told: Told, name: str) -> Offer | None:
    """None where it says nothing at all, as before the first offer."""
    amount = told.read("fundingLimit", _pounds)
    shares = ((each, told.read(each, reading.decimal)) for each in profile.PERCENT)
    sums = ((each, told.read(each, _pounds)) for each in profile.POUNDS)
    fees = [Fee(name=each, percent=share) for each, share in shares if share is not None]
    fees += [Fee(name=each, amount=due) for each, due in sums if due is not None]
    details = {each: words for each in profile.DETAILS if (words := told.read(each, _plain)) is not None}
    return Offer(id=name, amount=amount, fees=tuple(fees), details=details) if amount or fees or details else None


def _reasons(decision: Told) -> tuple[DeclineReason, ...]:
    listed = decision.read("reasons", lambda raw: raw if isinstance(raw, list) else None) or []
    texts = [reading.words(each) for each in listed]
    if None in texts:
        decision.flags.append("unreadable-reasons")
    found = [_reason(each) for each in texts if each]
    if not all(each.mapped for each in found):
        decision.flags.append("unmapped-reason")
    return tuple(found)


def _reason(words: str) -> DeclineReason:
    for pattern, code in profile.REASONS:
        if re.fullmatch(pattern, words.rstrip("."), re.IGNORECASE):
            return DeclineReason(code=code, words=words)
    return DeclineReason(code=ReasonCode.OTHER, words=words, mapped=False)


def _contact(told: Told) -> Contact | None:
    """Who looks after it there; at first nobody."""
    if told.body.get("owner") == profile.UNASSIGNED:
        return None
    owner = told.inner("owner")
    name, email = owner.read("name", reading.sensitive_words), owner.read("email", reading.email)
    phone = owner.read("phone", reading.phone)
    return Contact(name=name, email=email, phone=phone) if name or email or phone else None


def _pounds(raw: Any) -> Any:
    return reading.money(raw, CURRENCY)


def _plain(raw: Any) -> str | None:
    """Words, or a number as it stands."""
    amount = reading.decimal(raw)
    return reading.words(raw, 80) if amount is None else format(amount, "f")
