"""Valiant's calls and what their replies mean. Pure; `form.py` knows the lead."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from lendrail.contracts.terms import Offer, Report, Status
from lendrail.partners import calls, choices, partner, reading
from lendrail.partners.answers import answered, decline_reasons, fees, json_api_errors, readable, reported
from lendrail.partners.exchange import Accepted, Outcome, Reply, Request, Unknown
from lendrail.partners.refusals import refused
from lendrail.partners.told import Told
from lendrail.partners.valiant import profile
from lendrail.partners.valiant.form import FORM
from lendrail.partners.valiant.profile import CONTENT_TYPE, CURRENCY, NAME, Options

HEADERS = (("content-type", CONTENT_TYPE), ("accept", CONTENT_TYPE))
DOLLARS = reading.money_in(CURRENCY)


def _moment(raw: Any) -> dt.datetime | None:
    """`2030-01-02 03:04:05 UTC`, which is not ISO 8601."""
    parts = re.fullmatch(r"(\S{10}) (\S{8}) UTC", raw) if isinstance(raw, str) else None
    return reading.moment(f"{parts[1]}T{parts[2]}Z") if parts else None


MORE = {"commission": ("referrer_earnings_amount", DOLLARS), "partner_time": ("updated_at", _moment)}
TERMS = {"amount": ("initial_settlement_amount", DOLLARS), "term": ("term_months", reading.term_in("months"))}


def create(order: partner.Order) -> tuple[Request, ...]:
    own = Options.model_validate(order.options)
    lead = FORM.body(order) | ({own.reference_in: order.reference} if own.reference_in else {})
    return (calls.send("create", "/leads", lead, headers=HEADERS),)


def read(partner_id: str) -> Request:
    return calls.get("read", "leads", partner_id, headers=HEADERS)


def options(name: str) -> Request:
    """One of `profile.OPTION_NAMES`."""
    return calls.get("options", "options", name, headers=HEADERS)


def with_lists(options: partner.Options, fetched: partner.Fetched) -> partner.Options:
    """Raises ValueError for options that are none."""
    return choices.with_lists(options, Options.model_validate(options).lists, fetched)


def outcome(request: Request, reply: Reply) -> Outcome:
    if not 200 <= reply.status < 300:
        pause = profile.RETRY_AFTER_SECONDS
        return refused(request.operation, reply, profile.REFUSALS, NAME, FORM.pointers, pause, json_api_errors)
    if request.operation == "options":
        return Unknown("unreadable-reply") if choices.read_list(reply) is None else Accepted()
    data = (reading.json_object(reply.content) or {}).get("data")
    if not isinstance(data, dict) or data.get("type") != "lead":
        return Unknown("unreadable-reply")
    if request.operation == "read":
        return readable(_lead(reply), "status")
    lead_id = reading.foreign_id(data.get("id"))
    return Accepted(lead_id) if lead_id else Unknown("no-id")


def report(reply: Reply) -> Report:
    """How a lead stands; any status but the one known is held. A reason why it is not qualified is a no."""
    found = reported(_lead(reply), "status", profile.STATUSES, _more, unknown="unknown-status")
    declined = found.status is not None and found.decline_reasons
    return found.model_copy(update={"status": Status.DECLINED}) if declined else found


def _lead(reply: Reply) -> Told:
    return Told(Told(answered(reply).inner("data").body).inner("attributes").body)


def _more(told: Told) -> dict[str, Any]:
    """They publish no reasons, so one is kept as it is."""
    reason = told.read("unqualified_reason", reading.words)
    said = {"offers": _offers(told)} | told.take(MORE)
    return said | {"decline_reasons": decline_reasons(told, [reason] if reason else [], lambda _: None)}


def _offers(told: Told) -> tuple[Offer, ...]:
    """The terms of what was settled, as far as they are told; a date alone is no offer."""
    said = told.take(TERMS) | {"fees": fees(told, DOLLARS, percent=("annual_interest_rate",))}
    day = told.read("initial_settlement_date", reading.day)
    details = {"initial_settlement_date": day.isoformat()} if day else {}
    return (Offer(id="lead", **said, details=details),) if any(said.values()) else ()
