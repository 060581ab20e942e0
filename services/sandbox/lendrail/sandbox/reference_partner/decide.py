"""What the simulated partner decides and how its state says so. Pure.

Without dials the last three digits of the whole amount choose: 001 declined, 002 information missing, 003 and 004 no
news, 005 referred, 006 duplicate; everything else is approved.
"""

from decimal import Decimal
from typing import Any

from lendrail.sandbox.dials import Outcome, OutcomeName

MAGIC: dict[int, OutcomeName] = {1: "decline", 2: "missing", 3: "working", 4: "waiting", 5: "refer", 6: "duplicate"}
STATUSES: dict[OutcomeName, str] = {
    "approve": "approved",
    "decline": "declined",
    "refer": "referred",
    "missing": "info-required",
    "waiting": "in-review",
    "working": "in-review",
    "duplicate": "duplicate",
    "fund": "funded",
}
CLOSED = frozenset({"declined", "duplicate", "funded", "withdrawn", "expired"})
"""Nothing is changed any more."""


def outcome_of(application: dict[str, Any], dial: Outcome | None, had: str | None) -> OutcomeName:
    """A dial wins over the amount; what was missing and has been sent does not go missing again."""
    wanted = dial.outcome if dial else MAGIC.get(asked_by(application) % 1000, "approve")
    if had == "missing" and wanted == "missing":
        return dial.then if dial else "approve"
    return wanted


def asked_by(application: dict[str, Any]) -> int:
    """In whole units."""
    return int(Decimal(application["requestedFinance"]["amount"]["amount"]))


def told(application: dict[str, Any], outcome: OutcomeName, dial: Outcome | None) -> dict[str, Any]:
    """What the state says from now on, its time aside."""
    state: dict[str, Any] = {"status": dial.stage if dial and dial.stage else STATUSES[outcome]}
    match outcome:
        case "approve" | "fund":
            state["offers"] = [_offer(application["requestedFinance"], dial)]
        case "decline":
            codes = (dial.drivers if dial else None) or ("cash-flow", "time-in-business")
            state["declineReasons"] = [{"code": code, "words": f"Simulated: {code}"} for code in codes]
            state["declineNotes"] = (dial.notes if dial else None) or "Simulated decline"
        case "missing":
            state["missingInfo"] = (dial.missing_info if dial else None) or "We need the latest bank statements"
            state["documentsWanted"] = [{"kind": "bank-statement", "description": "last two months"}]
        case "refer":
            state["notes"] = (dial.notes if dial else None) or "A person looks at it"
    return state


def _offer(wish: dict[str, Any], dial: Outcome | None) -> dict[str, Any]:
    """80 % of what was asked, at a factor of 1.2."""
    currency = wish["amount"]["currency"]
    amount = Decimal(dial.max_approval) if dial and dial.max_approval else Decimal(wish["amount"]["amount"]) * 8 / 10
    term = wish.get("term") or {"value": 12, "unit": "months"}
    return {
        "id": "offer-1",
        "amount": {"amount": f"{amount:.2f}", "currency": currency},
        "term": {"value": (dial.max_payments if dial else None) or term["value"], "unit": term["unit"]},
        "factorRate": "1.2",
        "costPerThousand": {"amount": "200.00", "currency": currency},
        "netFunded": {"amount": f"{amount * 98 / 100:.2f}", "currency": currency},
        "fees": [{"name": "origination fee", "percent": "2"}],
        "details": {"instalments": "monthly"},
        "conditions": ["Voided check"],
        "actionLink": "https://offers.example.test/fake",
    }
