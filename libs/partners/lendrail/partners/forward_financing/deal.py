"""Forward Financing's deal status and webhook in our words. Nothing is guessed: what is odd is flagged and left out."""

from __future__ import annotations

from typing import Any

from lendrail.contracts.terms import DeclineReason, Offer, ReasonCode, Report, Term, TermUnit
from lendrail.partners import reading
from lendrail.partners.exchange import Hint, Reply
from lendrail.partners.forward_financing.profile import STAGES, TERM_UNIT, VARIANT_TERM_UNIT
from lendrail.partners.forward_financing.vocabularies import DECLINE_DRIVERS
from lendrail.partners.told import Told


def report(reply: Reply) -> Report:
    """What a deal status says; an unknown stage has no status."""
    told = Told((reading.json_object(reply.content) if reply.status == 200 else None) or {})
    stage = told.read("stage", reading.words)
    if stage is None:
        return Report(status=None, words="", flags=("unreadable-reply",))
    if stage not in STAGES:
        told.flags.append("unknown-stage")
    return Report(
        status=STAGES.get(stage),
        words=stage,
        offers=tuple(_offers(told)),
        decline_reasons=tuple(_decline_reasons(told)),
        decline_notes=told.read("decline_notes", reading.sensitive_words),
        missing_info=told.read("missing_info", reading.sensitive_words),
        notes=told.read("notes", reading.sensitive_words),
        flags=tuple(dict.fromkeys(told.flags)),
    )


def hint(body: bytes, path_id: str | None) -> Hint | None:
    """`{lead_id, event_type}`; its event names are not the stage names, so they are never folded as such."""
    told = reading.json_object(body) or {}
    lead, event = reading.foreign_id(told.get("lead_id")), reading.words(told.get("event_type"))
    return Hint(lead, event) if lead and event else None


def _offers(told: Told) -> list[Offer]:
    """The variants of the current revision, else the one offer of the classic one."""
    link = told.read("offer_link", reading.link)
    variants = [_variant(each, place, link) for place, each in enumerate(told.list_of("offer_variants"), start=1)]
    if variants or told.body.get("max_approval") is None:
        return variants
    return [
        Offer(
            id="base",
            amount=told.read("max_approval", _dollars),
            term=_term(told, "max_payments", TERM_UNIT),
            conditions=_conditions(told),
            action_link=link,
        )
    ]


def _variant(told: Told, place: int, link: reading.Link | None) -> Offer:
    kind = told.read("variant_type", lambda raw: reading.words(raw, 80))
    return Offer(
        id=f"{kind or 'variant'}-{told.read('position', reading.count) or place}",
        variant=kind,
        amount=told.read("max_approval_amount", _dollars),
        term=_term(told, "max_term", VARIANT_TERM_UNIT),
        factor_rate=told.read("max_term_buy_rate", reading.decimal),
        net_funded=told.read("net_funded_amount", _dollars),
        conditions=_conditions(told),
        action_link=link,
    )


def _dollars(raw: Any) -> Any:
    return reading.money(raw, "USD")


def _term(told: Told, name: str, unit: TermUnit) -> Term | None:
    value = told.read(name, reading.count)
    return None if value is None else Term(value=value, unit=unit)


def _conditions(told: Told) -> tuple[str, ...]:
    wanted = [each.read("type", reading.words) for each in told.list_of("required_stipulations")]
    return tuple(each for each in wanted if each)


def _decline_reasons(told: Told) -> list[DeclineReason]:
    """Drivers come as one string joined by `;`, in an older draft as a list."""
    drivers = told.read("decline_drivers", _drivers) or []
    found = []
    for driver in drivers:
        code = DECLINE_DRIVERS.get(driver)
        found.append(DeclineReason(code=ReasonCode(code or "other"), words=driver, mapped=code is not None))
    if not all(each.mapped for each in found):
        told.flags.append("unmapped-decline-driver")
    return found


def _drivers(raw: Any) -> list[str] | None:
    parts = raw.split(";") if isinstance(raw, str) else raw
    if not isinstance(parts, list) or not all(isinstance(each, str) for each in parts):
        return None
    return [driver for driver in map(reading.words, parts) if driver]
