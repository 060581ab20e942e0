"""The six applications of the demo: real loans, invented people. Three end at once, one goes all the way to its money,
one is withdrawn, and the last ends five ways.
"""

import copy
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from lendrail.local.sample import applications

SECONDS = 20.0
"""Longest wait for one application, of which a partner's limit of one request a second takes 3 to 4, and for each step
of a longer life.
"""
FAULTS = 6
FAN_SECONDS = 60.0
"""Longest wait for five partners; the SOAP lender's mailbox is looked into every 30 s where nobody hurries."""
REGISTRY = "monetago"
TO_THE_END, WITHDRAWN_AT = "reference-partner", "soap-lender"


@dataclass(frozen=True)
class Scene:
    title: str
    door: str
    application: dict[str, Any]
    outcome: dict[str, Any] | None
    """What the simulated partner shall decide (a dial of the sandbox); None when it is never asked."""
    ends: str
    """The status with which it ends."""


@dataclass(frozen=True)
class Life:
    """An application at one lender that goes on after it was sent."""

    title: str
    application: dict[str, Any]
    partner: str
    dial: dict[str, Any]
    """What its simulator does with the next application."""


@dataclass(frozen=True)
class Part:
    """One lender of five: what its simulator shall do, and how the application ends there."""

    partner: str
    operation: str
    """The sandbox's name of the call by which it gets the application."""
    ends: str
    outcome: str | None = None
    """What it decides; None: it answers nobody."""
    loses_reply: bool = False
    """It takes the application, and the line breaks before it can say so."""
    only_hurried: bool = False
    """The reply is lost only where somebody hurries: settling it takes minutes elsewhere."""

    def lost(self, hurried: bool) -> bool:
        return self.loses_reply and (hurried or not self.only_hurried)

    def dials(self, reference: str, hurried: bool) -> Iterator[dict[str, Any]]:
        """For this application only, so that they meet nobody else's."""
        scope = {"operation": self.operation, "reference": reference, "times": 1}
        if self.outcome:
            yield scope | {"kind": "outcome", "outcome": self.outcome}
        if self.lost(hurried):
            yield scope | {"kind": "drop_reply"}


@dataclass(frozen=True)
class FanOut:
    """One application to several lenders at once, behind a registry."""

    title: str
    application: dict[str, Any]
    parts: tuple[Part, ...]

    @property
    def paper(self) -> str:
        return str(self.application["invoices"][0]["number"])


@dataclass(frozen=True)
class Ending:
    """What the summary says of one application."""

    application: str
    applied: dict[str, Any]
    seconds: float
    view: dict[str, Any] = field(default_factory=dict)
    notified: list[str] = field(default_factory=list)


PARTS = (
    Part("soap-lender", "submit", "approved", "approve"),
    Part("finpace", "submit", "referred", "refer", loses_reply=True, only_hurried=True),
    Part("reference-partner", "create", "info-required", "missing"),
    Part("forward-financing", "lead", "declined", "decline"),
    Part("email-lender", "message", "outcome-unknown", loses_reply=True),
)


def scenes(loans: Path) -> list[Scene]:
    first, second, _, fourth, *_ = _chosen(loans)
    return [
        Scene("by REST, approved", "REST", first, {"outcome": "approve"}, "approved"),
        Scene("through the Kafka intake, declined", "Kafka", second, {"outcome": "decline"}, "declined"),
        Scene("invalid, every error at once", "Kafka", broken(fourth), None, "invalid"),
    ]


def life(loans: Path) -> Life:
    """To a lender that misses something first, makes an offer when it has it, and takes an acceptance."""
    application = _chosen(loans)[2] | {"targetPartners": [TO_THE_END]}
    dial = {"kind": "outcome", "operation": "create", "outcome": "missing", "times": 1}
    return Life("one whole life: a missing paper, an offer, its acceptance, the money", application, TO_THE_END, dial)


def withdrawal(loans: Path) -> Life:
    """To a lender that takes its time, and takes withdrawals."""
    application = _chosen(loans)[5] | {"targetPartners": [WITHDRAWN_AT]}
    dial = {"kind": "decision_delay", "operation": "submit", "ms": 10 * 60 * 1000, "times": 1}
    return Life("withdrawn while the lender still thinks", application, WITHDRAWN_AT, dial)


def fan_out(loans: Path) -> FanOut:
    """The last one, with an invoice of a number that no registry has seen."""
    application = _chosen(loans)[4]
    application["targetPartners"] = [part.partner for part in PARTS]
    application["invoices"] = [
        {
            "number": f"INV-{secrets.token_hex(4)}",
            "issuer": {"name": application["business"]["legalName"], "country": "US"},
            "debtor": {"name": "Fake Imports Inc", "country": "US"},
            "issuedOn": "2026-01-02",
            "dueOn": "2026-03-02",
            "amount": application["requestedFinance"]["amount"],
        }
    ]
    return FanOut("one application to five partners at once, after a registry's word", application, PARTS)


def _chosen(loans: Path) -> list[dict[str, Any]]:
    """Loans of the sample that have no gaps, far enough apart to differ."""
    whole = (made for made in applications(loans, 1000) if _whole(made))
    return [_of_this_run(made) for made in islice(whole, 30, 30 + 6 * 60, 60)]


def _of_this_run(application: dict[str, Any]) -> dict[str, Any]:
    """With numbers of nobody that were not used before: the same wish of the same people twice is a duplicate."""
    application["business"]["registrations"][0]["number"] = f"00-{secrets.randbelow(10**7):07d}"
    for owner in application["owners"]:
        owner["ssn"] = f"900-{secrets.randbelow(100):02d}-{secrets.randbelow(10_000):04d}"
    return application


def broken(application: dict[str, Any]) -> dict[str, Any]:
    """Six faults in six places, one of them a name that nobody knows."""
    wrong = copy.deepcopy(application)
    wrong["requestedFinance"]["amount"]["amount"] = "-2500"
    wrong["requestedFinance"]["purpose"] = "holidays"
    wrong["owners"][0]["ssn"] = "900-00"
    wrong["owners"][0]["birthDate"] = "1980-02-30"
    wrong["business"]["email"] = "no address"
    wrong["business"]["favouriteColour"] = "blue"
    return wrong


def _whole(made: dict[str, Any]) -> bool:
    business, wish = made["business"], made["requestedFinance"]
    return bool(
        business.get("industry") and business.get("startDate") and wish.get("product") and wish["term"]["value"] > 0
    )
