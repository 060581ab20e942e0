"""Forward Financing's deal status and webhook in our words. Nothing is guessed: what is odd is flagged and left out."""

from __future__ import annotations

from typing import Any

from lendrail.contracts.terms import Offer, ReasonCode, Report
from lendrail.partners import reading
from lendrail.partners.answers import answered, decline_reasons, hint_of, reported
from lendrail.partners.exchange import Reply
from lendrail.partners.forward_financing.profile import STAGES, TERM_UNIT, VARIANT_TERM_UNIT
from lendrail.partners.forward_financing.vocabularies import DECLINE_DRIVERS
from lendrail.partners.told import Told

DOLLARS = reading.money_in("USD")
WORDS = {name: (name, reading.sensitive_words) for name in ("decline_notes", "missing_info", "notes")}
BASE = {"amount": ("max_approval", DOLLARS), "term": ("max_payments", reading.term_in(TERM_UNIT))}
VARIANT = {
    "variant": ("variant_type", reading.short),
    "amount": ("max_approval_amount", DOLLARS),
    "term": ("max_term", reading.term_in(VARIANT_TERM_UNIT)),
    "factor_rate": ("max_term_buy_rate", reading.decimal),
    "net_funded": ("net_funded_amount", DOLLARS),
}
hint = hint_of("lead_id", "event_type")
"""Its event names are not the stage names, so they are never folded as such."""


def report(reply: Reply) -> Report:
    """What a deal status says; an unknown stage has no status."""
    return reported(answered(reply), "stage", STAGES, _more)


def _more(told: Told) -> dict[str, Any]:
    drivers = told.read("decline_drivers", _drivers) or []
    reasons = decline_reasons(told, drivers, _code, flag="unmapped-decline-driver")
    return {"offers": _offers(told), "decline_reasons": reasons} | told.take(WORDS)


def _offers(told: Told) -> tuple[Offer, ...]:
    """The variants of the current revision, else the one offer of the classic one."""
    link = told.read("offer_link", reading.link)
    variants = [_variant(each, place, link) for place, each in enumerate(told.list_of("offer_variants"), start=1)]
    if variants or told.body.get("max_approval") is None:
        return tuple(variants)
    return (Offer(id="base", **told.take(BASE), conditions=_conditions(told), action_link=link),)


def _variant(told: Told, place: int, link: reading.Link | None) -> Offer:
    said, position = told.take(VARIANT), told.read("position", reading.count) or place
    name = f"{said.get('variant', 'variant')}-{position}"
    return Offer(id=name, **said, conditions=_conditions(told), action_link=link)


def _conditions(told: Told) -> tuple[str, ...]:
    wanted = [each.read("type", reading.words) for each in told.list_of("required_stipulations")]
    return tuple(each for each in wanted if each)


def _code(driver: str) -> ReasonCode | None:
    return ReasonCode(DECLINE_DRIVERS[driver]) if driver in DECLINE_DRIVERS else None


def _drivers(raw: Any) -> list[str] | None:
    """They come as one string joined by `;`, in an older draft as a list."""
    return reading.texts(raw.split(";") if isinstance(raw, str) else raw)
