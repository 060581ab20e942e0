"""Valiant's calls and what their replies mean. Pure; `lead.py` knows the body, `words.py` the option lists."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from lendrail.contracts.application import Application
from lendrail.contracts.terms import DeclineReason, Fee, FieldProblem, Offer, ReasonCode, Report, Status, Term
from lendrail.partners import partner, reading
from lendrail.partners.exchange import Accepted, Outcome, Reply, Request, Unknown
from lendrail.partners.refusals import refused
from lendrail.partners.told import Told
from lendrail.partners.valiant import profile
from lendrail.partners.valiant.lead import POINTERS, build
from lendrail.partners.valiant.profile import CURRENCY, NAME, Options
from lendrail.partners.valiant.words import HEADERS, read_options


def check(application: Application, options: partner.Options) -> list[FieldProblem]:
    return build(application, Options.model_validate(options), dt.date.min)[1]


def create(order: partner.Order) -> tuple[Request, ...]:
    options = Options.model_validate(order.options)
    lead = build(order.application, options, order.planned_at.date())[0]
    lead |= {options.reference_in: order.reference} if options.reference_in else {}
    content = json.dumps(lead, separators=(",", ":")).encode()
    return (Request(operation="create", method="POST", path="/leads", headers=HEADERS, content=content),)


def read(partner_id: str) -> Request:
    return Request(operation="read", method="GET", path=f"/leads/{quote(partner_id, safe='')}", headers=HEADERS)


def outcome(request: Request, reply: Reply) -> Outcome:
    if not 200 <= reply.status < 300:
        pause = profile.RETRY_AFTER_SECONDS
        return refused(request.operation, reply, profile.REFUSALS, NAME, POINTERS, pause, _complaints)
    if request.operation == "options":
        return Unknown("unreadable-reply") if read_options(reply) is None else Accepted()
    data = (reading.json_object(reply.content) or {}).get("data")
    if not isinstance(data, dict) or data.get("type") != "lead":
        return Unknown("unreadable-reply")
    if request.operation == "read":
        return Unknown("unreadable-reply") if _status(_lead(reply)) is None else Accepted()
    lead_id = reading.foreign_id(data.get("id"))
    return Accepted(lead_id) if lead_id else Unknown("no-id")


def _complaints(body: Mapping[str, Any]) -> dict[str, list[str]] | None:
    """`errors` of JSON:API by the last step of their pointers; None where there are none."""
    found: dict[str, list[str]] = {}
    for each in Told(body).list_of("errors"):
        source = each.inner("source")
        pointer = source.read("pointer", reading.words) or source.read("parameter", reading.words) or ""
        text = each.read("detail", reading.words) or each.read("title", reading.words) or ""
        found.setdefault(pointer.rsplit("/", 1)[-1], []).append(text)
    return found or None


def report(reply: Reply) -> Report:
    """How a lead stands; any status but the one known is held. A reason why it is not qualified is a no."""
    told = _lead(reply)
    status = _status(told)
    if status is None:
        return Report(status=None, words="", flags=("unreadable-reply",))
    known = profile.STATUSES.get(status)
    reason = told.read("unqualified_reason", reading.words)
    offer, earnings = _offer(told), told.read("referrer_earnings_amount", _dollars)
    at = told.read("updated_at", _moment)
    told.flags.extend(
        flag for flag, up in (("unknown-status", known is None), ("unmapped-reason", reason is not None)) if up
    )
    return Report(
        status=Status.DECLINED if known and reason else known,
        words=status,
        partner_time=at,
        offers=(offer,) if offer else (),
        decline_reasons=(DeclineReason(code=ReasonCode.OTHER, words=reason, mapped=False),) if reason else (),
        commission=earnings,
        flags=tuple(dict.fromkeys(told.flags)),
    )


def _lead(reply: Reply) -> Told:
    body = reading.json_object(reply.content) if reply.status == 200 else None
    return Told(Told(Told(body or {}).inner("data").body).inner("attributes").body)


def _status(told: Told) -> str | None:
    return reading.words(told.body.get("status"))


def _offer(told: Told) -> Offer | None:
    """The terms of what was settled, as far as they are told."""
    amount, months = told.read("initial_settlement_amount", _dollars), told.read("term_months", reading.count)
    rate, day = told.read("annual_interest_rate", reading.decimal), told.read("initial_settlement_date", reading.day)
    if amount is None and months is None and rate is None:
        return None
    return Offer(
        id="lead",
        amount=amount,
        term=None if months is None else Term(value=months, unit="months"),
        fees=() if rate is None else (Fee(name="annual_interest_rate", percent=rate),),
        details={} if day is None else {"initial_settlement_date": day.isoformat()},
    )


def _dollars(raw: Any) -> Any:
    return reading.money(raw, CURRENCY)


def _moment(raw: Any) -> dt.datetime | None:
    """`2030-01-02 03:04:05 UTC`, which is not ISO 8601."""
    try:
        whole = isinstance(raw, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} UTC", raw)
        return dt.datetime.fromisoformat(raw.removesuffix(" UTC") + "+00:00") if whole else None
    except ValueError:
        return None
