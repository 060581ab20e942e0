"""What the simulated Finpace decides. Pure: the same application gets the same answer.

Without dials the last three digits of the whole amount choose the outcome; what it cannot say (missing information,
duplicates) is approved, and what never ends stays in underwriting.
"""

import hashlib
from decimal import Decimal
from typing import Any

from lendrail.sandbox.dials import Outcome, OutcomeName

MAGIC: dict[int, OutcomeName] = {1: "decline", 3: "working", 4: "waiting", 5: "refer"}
OUTCOMES = {"approve": "approve", "decline": "decline", "refer": "refer", "working": None, "waiting": None}
"""Its word; None: nothing is decided. Only `approve` is published, the others are the usual ones."""
STATUSES = {"approve": "approved", "decline": "declined"}
"""Of the application after a decision; after any other it stays in underwriting."""
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def identity(prefix: str, *parts: str) -> str:
    """Prefix and 26 characters in the alphabet of a ULID, the same for the same parts."""
    number = int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:16], "big")
    return f"{prefix}_" + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def outcome_of(amount: str, dial: Outcome | None) -> str | None:
    """Its word for the outcome, or None where it never decides."""
    if dial and dial.stage:
        return dial.stage
    return OUTCOMES.get(dial.outcome if dial else MAGIC.get(int(Decimal(amount)) % 1000, "approve"), "approve")


def decision(application: dict[str, Any], outcome: str, decided_at: str, dial: Outcome | None) -> dict[str, Any]:
    """80 % of what was asked, for as long as it was asked."""
    asked = application["requestedAmount"]
    body = {
        "decisionId": identity("dec", application["applicationId"]),
        "applicationId": application["applicationId"],
        "outcome": outcome,
        "reasonCodes": list((dial.drivers if dial else None) or ["affordability.insufficient"]),
        "decidedAt": decided_at,
    }
    if outcome == "approve":
        amount = Decimal(dial.max_approval) if dial and dial.max_approval else Decimal(asked["amount"]) * 8 / 10
        body |= {
            "approvedAmount": {"amount": f"{amount:.2f}", "currency": asked["currency"]},
            "approvedTenorMonths": (dial.max_payments if dial else None) or application["requestedTenorMonths"],
            "pricingReference": "TEST-BAND-01",
            "reasonCodes": list((dial.drivers if dial else None) or ["cashflow.coverage.acceptable"]),
        }
    if outcome == "refer":
        body["reasonCodes"] = list((dial.drivers if dial else None) or ["manual.review.required"])
    return body
