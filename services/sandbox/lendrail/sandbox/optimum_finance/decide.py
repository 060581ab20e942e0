"""What the simulated partner asks for and decides. Pure, but for the id of an opportunity, which is drawn.

The call has no amount, so the last three digits of `turnover` choose the outcome: 001 declined, 005 referred, 007
approved and later closed.
"""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from lendrail.sandbox.dials import Outcome, OutcomeName

MAGIC: dict[int, OutcomeName] = {1: "decline", 5: "refer", 7: "fund"}
REASONS = {"decline": ("Turnover below £200,000",), "refer": ("Directors are not homeowners",)}
UNASSIGNED = "currently assigning"
SALES = {"name": "Sally Sales", "email": "sales@example.test", "phone": "07000 000 001"}
Rule = Callable[[Any], bool]


def complaint(body: Mapping[str, Any], sectors: tuple[str, ...]) -> str | None:
    """The first thing that is wrong with the parameters; it quotes none of them."""
    asked = dict(REQUIRED)
    if body.get("quotationOnly") is not True:
        asked |= dict.fromkeys(("contactName", "contactNumber", "contactEmail"), _text)
    for name in asked:
        if body.get(name) in (None, ""):
            return f"{name} is required"
    for name, good in (asked | OPTIONAL).items():
        if body.get(name) is not None and not good(body[name]):
            return f"{name} is invalid"
    return None if body["sector"] in sectors else "sector is not included in the list"


def outcome_of(turnover: int, dial: Outcome | None) -> OutcomeName:
    return dial.outcome if dial else MAGIC.get(turnover % 1000, "approve")


def decision(outcome: OutcomeName, turnover: int, dial: Outcome | None) -> dict[str, Any]:
    """The object `decision` of the answer."""
    if outcome in REASONS:
        told: dict[str, Any] = {
            "decision": "declined" if outcome == "decline" else "referred",
            "reasons": list((dial.drivers if dial else None) or REASONS[outcome]),
        }
    else:
        told = {"decision": "approved", **_terms(turnover, dial), "annualRenewalFee": 0, "badDebtProtection": 0.85}
        told |= {"cashAvailableWithinHours": 48}
    return told | ({"decision": dial.stage} if dial and dial.stage else {})


def _terms(turnover: int, dial: Outcome | None) -> dict[str, Any]:
    """A tenth of the turnover in whole thousands."""
    limit = (dial.max_approval if dial else None) or max(1000, turnover // 10_000 * 1000)
    return {
        "trialPeriodMonths": 4,
        "facility": "Factoring",
        "fundingLimit": limit,
        "serviceFee": 1.14,
        "prepayment": 80,
        "discountFee": 3.35,
    }


def opportunity_id() -> str:
    """16 characters, another one for each call: the same call twice is two opportunities."""
    return secrets.token_hex(8).upper()


def states(outcome: OutcomeName, original: Mapping[str, Any], turnover: int) -> list[dict[str, Any]]:
    """What `/update` says, first and after each step of the sale."""
    nothing = dict.fromkeys(_terms(turnover, None))
    first = {
        "owner": UNASSIGNED,
        "status": "Indicative Offer Sent",
        "closeChance": 0,
        "closeDate": "2030-03-31",
        "originalDecision": dict(original),
        "latestOffer": nothing,
        "estimatedMonthlyCommission": None,
    }
    assigned = first | {"owner": SALES, "closeChance": 40}
    won = assigned | {
        "status": "Closed Won",
        "closeChance": 100,
        "latestOffer": _terms(turnover, None) | {"serviceFee": 1.2},
        "estimatedMonthlyCommission": 250,
    }
    return [first, assigned, won] if outcome == "fund" else [first, assigned]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


REQUIRED: dict[str, Rule] = {
    "companyNumber": _text,
    "sector": _text,
    "turnover": _count,
    "yearsTrading": _count,
    "expectedCustomers": _count,
}
OPTIONAL: dict[str, Rule] = dict.fromkeys(("homeowners", "phoenix", "creditControl", "quotationOnly"), _flag)
