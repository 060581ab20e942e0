"""Optimum Finance's calls and what their replies mean. Pure; `form.py` knows what it is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lendrail.contracts.terms import DeclineReason, Offer, ReasonCode, Report, Status
from lendrail.partners import calls, partner, reading
from lendrail.partners.answers import answered, contact, decline_reasons, fees, hint_of, readable, reported
from lendrail.partners.exchange import Accepted, Outcome, Reply, Request, Unknown
from lendrail.partners.optimum_finance import profile
from lendrail.partners.optimum_finance.form import FORM
from lendrail.partners.optimum_finance.profile import CURRENCY, NAME
from lendrail.partners.refusals import refused
from lendrail.partners.told import Told
from lendrail.partners.united_kingdom import same_company

POUNDS = reading.money_in(CURRENCY)
OFFER = "offer"
hint = hint_of("id", "status", otherwise="update", by_address=True)
"""Their PUT, of which nothing is published: what `GET /update` answers, with the id in it or in our address."""


def create(order: partner.Order) -> tuple[Request, ...]:
    application = order.application
    names = {"legalName": application.business.legal_name, "tradingName": application.business.trading_name}
    known = tuple((key, name.reveal()) for key, name in names.items() if name)
    known += (("quotationOnly", "true"),) if application.quotation_only else ()
    return (calls.send("create", "/decide", FORM.body(order), context=known),)


def read(partner_id: str) -> Request:
    """The id in the query: a body of a GET is lost by many proxies."""
    return calls.get("read", "update", query=(("id", partner_id),))


def outcome(request: Request, reply: Reply) -> Outcome:
    if not 200 <= reply.status < 300:
        pause = profile.RETRY_AFTER_SECONDS
        return refused(request.operation, reply, profile.REFUSALS, NAME, FORM.pointers, pause, _complaints)
    if request.operation == "read":
        return readable(answered(reply), "status")
    return _decided(request, Told(reading.json_object(reply.content) or {}))


def _complaints(body: Mapping[str, Any]) -> dict[str, list[str]] | None:
    """Their errors are one sentence, which may name parameters."""
    message = str(body.get("message"))
    named = [name for name in FORM.pointers if re.search(rf"\b{name}\b", message)]
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
    """Nothing is approved, or final, for another company than the applicant's: they look its name up by its number,
    so a wrong number shows, and a person must look at it.
    """
    status, offers, reasons = profile.DECISIONS.get(word), _offers(decision), _reasons(decision)
    if status is None:
        told.flags.append("unknown-decision")
    name = told.read("companyName", reading.words)
    ours = [request.knows("legalName"), request.knows("tradingName")]
    if name is None:
        told.flags.append("review-company-name-missing")
        status = Status.REFERRED if status == Status.APPROVED else status
    elif not any(same_company(name, each) for each in ours if each):
        told.flags.append("review-company-name-mismatch")
        status = Status.REFERRED if status else None
    return Report(status=status, words=word, offers=offers, decline_reasons=reasons, flags=told.seen)


def report(reply: Reply) -> Report:
    return reported(answered(reply), "status", profile.STAGES, _sale)


def _sale(told: Told) -> dict[str, Any]:
    """What `GET /update` says beside the stage. At first nobody looks after it there, and what was decided holds."""
    owned = told.body.get("owner") != profile.UNASSIGNED
    said = {"offers": _offers(told.inner("latestOffer")) or _offers(told.inner("originalDecision"))}
    return said | {"contact": contact(told.inner("owner")) if owned else None} | told.take(profile.SALE)


def _offers(told: Told) -> tuple[Offer, ...]:
    """Empty where it says nothing at all. A deal has one offer, which they give no id: as decided, then later."""
    said = told.take({"amount": ("fundingLimit", POUNDS)})
    said["fees"] = fees(told, POUNDS, percent=profile.PERCENT, amount=profile.POUNDS)
    said["details"] = told.take({each: (each, reading.plain) for each in profile.DETAILS})
    return (Offer(id=OFFER, **said),) if any(said.values()) else ()


def _reasons(decision: Told) -> tuple[DeclineReason, ...]:
    listed = decision.read("reasons", lambda raw: raw if isinstance(raw, list) else None) or []
    texts = [reading.words(each) for each in listed]
    decision.flags.extend(["unreadable-reasons"] if None in texts else [])
    return decline_reasons(decision, filter(None, texts), _code)


def _code(words: str) -> ReasonCode | None:
    known = (code for form, code in profile.REASONS if re.fullmatch(form, words.rstrip("."), re.IGNORECASE))
    return next(known, None)
