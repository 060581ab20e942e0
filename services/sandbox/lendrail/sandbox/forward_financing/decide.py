"""What the simulated partner decides about a deal, and how it says so. Pure: the same deal gets the same answer.

Without dials the last three digits of the whole dollars asked for choose the outcome (the README lists them).
"""

import hashlib
from typing import Any, Literal

from lendrail.sandbox.dials import Outcome, OutcomeName
from lendrail.sandbox.forward_financing.vocabulary import DRIVERS

Revision = Literal["classic", "current"]
MAGIC: dict[int, OutcomeName] = {1: "decline", 2: "missing", 3: "working", 4: "waiting"}
"""By `capital_needed` modulo 1 000."""
EVENTS: dict[OutcomeName, str | None] = {
    "approve": "Approved",
    "decline": "Declined",
    "missing": "Waiting on ISO",
    "waiting": "Waiting on ISO",
    "working": None,
}
"""The webhook's event type; its names are not the stages' names."""


def lead_id(salt: str, user: str, reference: str) -> str:
    """Opaque like the documented sample: 61 characters of A-Z a-z 0-9 . - _, another for each user and reference."""
    digest = hashlib.sha384(f"{salt}\0{user}\0{reference}".encode()).digest()[:42]
    text = _letters(digest)
    return f"{text[:4]}.{text[4:32]}.{text[32:42]}._{text[42:44]}.{text[44:]}"


def _letters(digest: bytes) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    number = int.from_bytes(digest, "big")
    return "".join(alphabet[(number >> shift) & 63] for shift in range(0, len(digest) * 8, 6))


def outcome_of(dollars: int, dial: Outcome | None, previous: OutcomeName | None) -> OutcomeName:
    """A dial wins over the amount; what was missing and has been sent does not go missing again."""
    wanted = dial.outcome if dial else MAGIC.get(dollars % 1000, "approve")
    if previous in ("missing", "waiting") and wanted in ("missing", "waiting"):
        return dial.then if dial else "approve"
    return wanted


def status_body(
    outcome: OutcomeName, dollars: int, revision: Revision, lead: str, dial: Outcome | None
) -> dict[str, Any]:
    """The body of GET /deal_status/{lead_id}."""
    body = _body(outcome, dollars, revision, lead, dial)
    if dial and dial.stage:
        body["stage"] = dial.stage
    return body


def _body(outcome: OutcomeName, dollars: int, revision: Revision, lead: str, dial: Outcome | None) -> dict[str, Any]:
    match outcome:
        case "approve":
            return _approval(dollars, revision, lead, dial)
        case "decline":
            drivers = (dial.drivers if dial else None) or _drivers(lead)
            notes = (dial.notes if dial else None) or "Simulated decline"
            return {"stage": "Declined", "decline_drivers": ";".join(drivers), "decline_notes": notes}
        case "missing" | "waiting":
            wanted = (dial.missing_info if dial else None) or "We need the two most recent bank statements"
            return {"stage": "File Missing Info" if outcome == "missing" else "Waiting on ISO", "missing_info": wanted}
    return {"stage": "Working"}


def _drivers(lead: str) -> tuple[str, ...]:
    first = sum(lead.encode()) % (len(DRIVERS) - 1)
    return DRIVERS[first : first + 2]


def _approval(dollars: int, revision: Revision, lead: str, dial: Outcome | None) -> dict[str, Any]:
    """80 % of what was asked, at least 5 000; 140 payment days, which the newer revision counts as 7 months."""
    amount = (dial.max_approval if dial else None) or max(5000, dollars * 8 // 10 // 100 * 100)
    term = (dial.max_payments if dial else None) or (140 if revision == "classic" else 7)
    stipulations = [{"type": "Voided Check"}]
    body: dict[str, Any] = {
        "stage": "Approval Sent",
        "max_approval": amount,
        "max_payments": term,
        "offer_link": f"https://offers.example.test/{lead[:12]}",
        "required_stipulations": stipulations,
    }
    if revision == "current":
        body["notes"] = (dial.notes if dial else None) or "Simulated offer"
        body["offer_variants"] = [
            _variant(1, "base", amount, term, 1.34),
            _variant(2, "short", amount * 3 // 4, 4, 1.22),
        ]
    return body


def _variant(position: int, name: str, amount: int, term: int, rate: float) -> dict[str, Any]:
    return {
        "position": position,
        "variant_type": name,
        "max_approval_amount": amount,
        "max_term": term,
        "max_term_buy_rate": rate,
        "net_funded_amount": amount * 95 // 100,
        "required_stipulations": [{"type": "Voided Check"}],
    }
