"""What the lender decides, and the elements that say so. Pure: the same application gets the same answer."""

import datetime as dt
from typing import Any

from lendrail.sandbox.dials import Outcome, OutcomeName

MAGIC: dict[int, OutcomeName] = {1: "decline", 2: "missing", 3: "working", 4: "waiting", 5: "refer"}
"""By the whole units of the amount modulo 1 000."""
STATUSES: dict[OutcomeName, str] = {
    "approve": "Approved",
    "decline": "Declined",
    "refer": "Referred",
    "missing": "MoreInformationRequired",
    "waiting": "MoreInformationRequired",
    "working": "UnderReview",
    "fund": "Settled",
}
WAITS = frozenset({"missing", "waiting"})
CODES = ("Serviceability", "TradingHistory")
"""Of a decline, unless a dial names others."""
OFFER_DAYS = 30


def outcome_of(units: int, dial: Outcome | None, before: OutcomeName | None) -> OutcomeName:
    """A dial wins over the amount; what was missing and has been sent does not go missing again."""
    wanted = dial.outcome if dial else MAGIC.get(units % 1000, "approve")
    if before in WAITS and wanted in WAITS:
        return dial.then if dial else "approve"
    return wanted


def decided(outcome: OutcomeName, units: int, currency: str, number: str, now: float, dial: Outcome | None) -> Any:
    """`{"status", "elements"}`: what follows after `StatusChangedDateTime` in the state of an application."""
    status = (dial.stage if dial else None) or STATUSES.get(outcome, "Approved")
    wanted = (dial.missing_info if dial else None) or "The two most recent bank statements"
    nodes: list[tuple[str, Any]] = [("MissingInformation", wanted if outcome in WAITS else None)]
    if status == "Approved" or outcome in ("approve", "fund", "duplicate"):
        nodes.append(("Offers", [("Offer", _offer(units, currency, number, now, dial))]))
    if outcome == "decline":
        codes = (dial.drivers if dial else None) or CODES
        nodes.append(
            ("DeclineReasons", [("DeclineReason", [("Code", each), ("Text", _words(each))]) for each in codes])
        )
    manager = [("Name", "Lena Demo"), ("Email", "lena@soap-lender.example.test"), ("Phone", "2125550177")]
    nodes.append(("AccountManager", manager))
    if dial and dial.notes:
        nodes.append(("Notes", dial.notes))
    return {"status": status, "elements": nodes}


def _words(code: str) -> str:
    return "".join(f" {each.lower()}" if each.isupper() else each for each in code).strip()


def _offer(units: int, currency: str, number: str, now: float, dial: Outcome | None) -> list[tuple[str, Any]]:
    amount = (dial.max_approval if dial else None) or max(5000, units * 8 // 10 // 100 * 100)
    until = dt.datetime.fromtimestamp(now + OFFER_DAYS * 86_400, dt.UTC)
    return [
        ("OfferId", f"{number}-1"),
        ("Amount", amount),
        ("Currency", currency),
        ("TermMonths", (dial.max_payments if dial else None) or 24),
        ("AnnualInterestRate", "12.5"),
        ("CostPerThousand", "135.40"),
        ("NetAmount", f"{amount - 495}.00"),
        ("Fees", [("Fee", [("Name", "Establishment"), ("Amount", "495.00")])]),
        ("Conditions", [("Condition", "Guarantee of every owner"), ("Condition", "Certificate of insurance")]),
        ("AcceptanceLink", f"https://offers.example.test/{number}"),
        ("ExpiryDateTime", until.strftime("%Y-%m-%dT%H:%M:%SZ")),
    ]
