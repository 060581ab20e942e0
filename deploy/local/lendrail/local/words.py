"""What the API says of an application at one partner, as lines for people. Pure."""

from collections.abc import Iterator
from typing import Any

PLANS = {
    "repeat": "no answer came: the same call goes again, with the same key",
    "look-up": "no answer came: the partner is searched for it before anything is sent again",
    "wait": "no answer came: word from the partner itself is waited for",
    "person": "no answer came, and it cannot be asked: parked for a person, never sent again by itself",
}


def said(opportunity: dict[str, Any]) -> Iterator[str]:
    """Offers, reasons, what is missing, what becomes of an unknown outcome; else the partner's own word."""
    lines = [
        *(line for offer in opportunity.get("offers", ()) for line in offered(offer)),
        *(f"{reason['code']}: {reason['words']}" for reason in opportunity.get("declineReasons", ())),
        *([opportunity["missingInfo"]] if opportunity.get("missingInfo") else ()),
        *(f"{problem['pointer']}: {problem['message']}" for problem in opportunity.get("reasons", ())),
        *([_plan(opportunity)] if opportunity.get("plan") else ()),
    ]
    yield from lines
    if not lines and opportunity.get("partnerWords"):
        yield f"in its own word: {opportunity['partnerWords']}"


def of_all(view: dict[str, Any]) -> Iterator[str]:
    """An application's lenders, each by name and status where there are several; our own problems where none was
    asked.
    """
    lenders = [each for each in view["opportunities"] if each.get("kind") != "registry"]
    if len(lenders) > 1:
        yield from (f"{each['partner']}: {each['status']}" for each in lenders)
    else:
        yield from (line for each in lenders for line in said(each))
    if changes := [each["kind"] for each in view.get("amendments", ()) if each["state"] == "accepted"]:
        yield f"on request: {', '.join(changes)}"
    if view.get("problems"):
        yield f"{len(view['problems'])} errors, sent to nobody:"
        yield from (f"{problem['pointer']} ({problem['code']})" for problem in view["problems"])


def wanted(item: dict[str, Any]) -> str:
    """One thing that a partner waits for: the kind that it names, and its words."""
    return ": ".join(item[name] for name in ("kind", "words") if item.get(name))


def offered(offer: dict[str, Any]) -> Iterator[str]:
    """Amount and term first, then what it costs and what else is wanted."""
    amount, term, cost, cash = (offer.get(name) for name in ("amount", "term", "costPerThousand", "netFunded"))
    yield (_money(amount) if amount else "offer") + (f" over {term['value']} {term['unit']}" if term else "")
    prices = [f"{_money(cost)} per 1000"] if cost else []
    prices += [f"{_money(cash)} on day one"] if cash else []
    if prices:
        yield ", ".join(prices)
    if cost and offer.get("conditions"):
        yield f"wants: {'; '.join(offer['conditions'])}"


def _money(money: dict[str, Any]) -> str:
    return " ".join(map(str, (money["amount"], money["currency"])))


def _plan(opportunity: dict[str, Any]) -> str:
    plan, at = str(opportunity["plan"]), opportunity.get("nextCheckAt")
    return PLANS.get(plan, plan) + (f", next at {at[11:19]} UTC" if at else "")


def short_id(identity: str, most: int = 19) -> str:
    """The two ends of a partner's id that is longer than `most`."""
    half = (most - 1) // 2
    return identity if len(identity) <= most else f"{identity[:half]}…{identity[-half:]}"
