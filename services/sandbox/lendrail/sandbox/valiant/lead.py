"""Which leads are taken and how they then stand. Pure.

The last three digits of `requested_amount` choose what becomes of a lead: 001 not qualified, 007 settled, 008 refused
with 402; any other one stays `Received`.
"""

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from lendrail.sandbox.dials import Outcome, OutcomeName

MAGIC: dict[int, OutcomeName] = {1: "decline", 7: "fund"}
FAILS = 8
UNQUALIFIED = "Simulated: does not meet the minimum time in business"
LISTS: dict[str, dict[str, str]] = {
    "accounting_software": {"xero": "Xero", "myob": "MYOB"},
    "australian_state": {"NSW": "New South Wales", "VIC": "Victoria", "NT": "Northern Territory"},
    "business_performance": {"bad": "Bad", "good": "Good"},
    "credit_status": {"good": "Good", "fair": "Fair"},
    "entity_type": {"IND": "Sole trader", "PRV": "Private company"},
    "equipment_class": {"catering": "Catering", "excavator": "Excavator"},
    "industry": {"hospitality": "Hospitality", "construction": "Construction"},
    "loan_purpose": {"general": "General", "equipment": "Equipment purchase"},
}
"""Values and labels; beside the published samples (xero, bad, IND, hospitality, general) they are made up."""
CHOICES = {("state" if name == "australian_state" else name): values for name, values in LISTS.items()}
"""The same by the attribute that takes them."""
_FLAGS = (
    "invoice_sales", "merchant_sales", "franchise", "cloud_accounting", "tax_up_to_date", "ato_payment_arrangement",
    "previous_default", "legal_action", "director_guarantee_available", "prefers_speed_over_rate", "prefers_redrawable",
    "new_equipment"
)  # fmt: skip
_TEXTS = (
    "first_name", "last_name", "company", "legal_action_description", "lead_description", "utm_campaign",
    "utm_content", "utm_medium", "utm_source", "utm_term"
)  # fmt: skip
_SUMS = ("average_monthly_sales_amount", "tax_outstanding_amount", "default_liability_amount")
_READ_ONLY = (
    "unqualified_reason", "industry_group", "loan_sub_purpose", "annual_interest_rate", "term_months",
    "initial_settlement_amount", "initial_settlement_date", "referrer_earnings_amount"
)  # fmt: skip
_LANDLINE = re.compile(r"\(?(0|\+?61)\)?[23478][0-9]{8}")


def errors_in(lead: Any) -> list[dict[str, Any]]:
    """Every fault as an error object of JSON:API (how the real partner says it is not published)."""
    if not isinstance(lead, dict):
        return [{"status": "400", "title": "Bad request", "detail": "is not a JSON object"}]
    faults = {name: "is required" for name in ("first_name", "last_name", "phone", "email") if not lead.get(name)}
    for name, good in RULES.items():
        if lead.get(name) is not None and name not in faults and not good(lead[name]):
            faults[name] = "is invalid"
    for name, values in CHOICES.items():
        if lead.get(name) is not None and not (isinstance(lead[name], str) and lead[name] in values):
            faults[name] = "is not included in the list"
    return [
        {"status": "400", "title": "Invalid", "detail": detail, "source": {"pointer": f"/data/attributes/{name}"}}
        for name, detail in faults.items()
    ]


def outcome_of(lead: Mapping[str, Any], dial: Outcome | None) -> OutcomeName:
    return dial.outcome if dial else MAGIC.get(asked(lead) % 1000, "approve")


def asked(lead: Mapping[str, Any]) -> int:
    return int(lead.get("requested_amount") or 0)


def fails(lead: Mapping[str, Any]) -> bool:
    return asked(lead) % 1000 == FAILS


def lead_id() -> str:
    """Another one for each call: the same call twice is two leads."""
    return str(uuid.uuid4())


def attributes(lead: Mapping[str, Any], now: str) -> dict[str, Any]:
    """What was sent, in other types as the real partner does, and what it adds."""
    shown = {name: value for name, value in lead.items() if name in RULES or name in CHOICES}
    for name in ("requested_amount", "average_monthly_sales_amount"):
        if name in shown:
            shown[name] = float(shown[name])
    if "postal_code" in shown:
        shown["postal_code"] = str(shown["postal_code"])
    return shown | dict.fromkeys(_READ_ONLY) | {"status": "Received", "created_at": now, "updated_at": now}


def decided(outcome: OutcomeName, lead: Mapping[str, Any], dial: Outcome | None) -> dict[str, Any]:
    """What changes when they have looked at it; nothing for most."""
    changes: dict[str, Any] = {"status": dial.stage} if dial and dial.stage else {}
    if outcome == "decline":
        return changes | {"unqualified_reason": (dial.notes if dial else None) or UNQUALIFIED}
    if outcome == "fund":
        amount = float(lead.get("requested_amount") or 10_000)
        terms = {"annual_interest_rate": 12.5, "term_months": 24, "initial_settlement_date": "2030-01-09"}
        return changes | terms | {"initial_settlement_amount": amount, "referrer_earnings_amount": amount / 100}
    return changes


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) < 256


def _whole(value: Any) -> bool:
    """Their own sample sends such numbers as text."""
    return re.fullmatch("[1-9][0-9]{0,11}", str(value)) is not None and not isinstance(value, bool | float)


def _sum(value: Any) -> bool:
    return (
        isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,2})?", value) is not None and float(value) > 0
    )


def _phone(value: Any) -> bool:
    plain = re.sub(r"[ -]", "", value) if isinstance(value, str) else ""
    return _LANDLINE.fullmatch(plain) is not None or re.fullmatch(r"1[38]00[0-9]{6}", plain) is not None


def _email(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value) is not None


def _postcode(value: Any) -> bool:
    return re.fullmatch("[0-9]{4}", str(value)) is not None and not isinstance(value, bool | float)


def _abn(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9]{11}", value.replace(" ", "")) is not None


RULES: dict[str, Callable[[Any], bool]] = {
    "phone": _phone,
    "email": _email,
    "postal_code": _postcode,
    "abn": _abn,
    "months_trading": _whole,
    "requested_amount": _whole,
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_FLAGS, _flag),
    **dict.fromkeys(_SUMS, _sum),
}
