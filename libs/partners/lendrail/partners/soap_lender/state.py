"""What `GetApplication` says, in our words. Nothing is guessed: what is odd is flagged and left out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from lendrail.contracts.sensitive import Email, Phone
from lendrail.contracts.terms import Contact, DeclineReason, Fee, Offer, ReasonCode, Report, Term
from lendrail.partners import reading
from lendrail.partners.exchange import Reply
from lendrail.partners.soap_lender.mapping import listed, said
from lendrail.partners.soap_lender.profile import DECLINE_REASONS, STATUSES


def report(reply: Reply) -> Report:
    state = said("read", reply).get("Application") or {}
    status = reading.words(state.get("Status"), 60)
    if status is None:
        return Report(status=None, words="", flags=("unreadable-reply",))
    flags = [] if status in STATUSES else ["unknown-stage"]
    reasons = tuple(_reasons(listed(state, "DeclineReasons", "DeclineReason")))
    if not all(each.mapped for each in reasons):
        flags.append("unmapped-decline-reason")
    told = listed(state, "Offers", "Offer")
    offers = tuple(_offer(each, place) for place, each in enumerate(told, start=1))
    if any(each.amount is None for each in offers):
        flags.append("unreadable-offer")
    return Report(
        status=STATUSES.get(status),
        words=status,
        partner_time=_time(state.get("StatusChangedDateTime")),
        offers=offers,
        decline_reasons=reasons,
        missing_info=reading.sensitive_words(state.get("MissingInformation")),
        notes=reading.sensitive_words(state.get("Notes")),
        contact=_contact(state.get("AccountManager") or {}),
        flags=tuple(flags),
    )


def _offer(told: Mapping[str, Any], place: int) -> Offer:
    currency, months = told.get("Currency") or "", reading.count(told.get("TermMonths"))
    known = len(currency) == 3 and currency.isascii() and currency.isupper() and currency.isalpha()

    def money(value: Any) -> Any:
        return reading.money(value, currency) if known else None

    rate = reading.decimal(told.get("AnnualInterestRate"))
    fees = [(reading.words(each.get("Name"), 80), money(each.get("Amount"))) for each in listed(told, "Fees", "Fee")]
    conditions = ((told.get("Conditions") or {}).get("Condition")) or ()
    return Offer(
        id=reading.foreign_id(told.get("OfferId")) or f"offer-{place}",
        amount=money(told.get("Amount")),
        term=None if months is None else Term(value=months, unit="months"),
        cost_per_thousand=money(told.get("CostPerThousand")),
        net_funded=money(told.get("NetAmount")),
        fees=tuple(Fee(name=name, amount=amount) for name, amount in fees if name),
        details={} if rate is None else {"AnnualInterestRate": format(rate, "f")},
        conditions=tuple(filter(None, map(reading.words, conditions))),
        action_link=reading.link(told.get("AcceptanceLink")),
        expires_at=_time(told.get("ExpiryDateTime")),
    )


def _reasons(told: Iterable[Mapping[str, Any]]) -> Iterable[DeclineReason]:
    for each in told:
        code = reading.words(each.get("Code"), 60) or ""
        words = reading.words(each.get("Text")) or code
        known = DECLINE_REASONS.get(code)
        if words:
            yield DeclineReason(code=known or ReasonCode.OTHER, words=words, mapped=known is not None)


def _contact(told: Mapping[str, Any]) -> Contact | None:
    contact = Contact(
        name=reading.sensitive_words(told.get("Name")),
        email=_form(Email, told.get("Email")),
        phone=_form(Phone, told.get("Phone")),
    )
    return contact if contact != Contact() else None


def _form(kind: Any, value: Any) -> Any:
    try:
        return kind(value) if isinstance(value, str) else None
    except (ValueError, ValidationError):
        return None


def _time(value: Any) -> dt.datetime | None:
    """With its zone; a time without one is nobody's."""
    return value if isinstance(value, dt.datetime) and value.tzinfo is not None else None
