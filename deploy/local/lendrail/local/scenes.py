"""The four applications of the demo: real loans, invented people, one ending each."""

import copy
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lendrail.local.sample import applications

SECONDS = 20.0
"""Longest wait for one application; the partner's limit of one request a second takes 3 to 4 of them."""


@dataclass(frozen=True)
class Scene:
    title: str
    door: str
    application: dict[str, Any]
    outcome: dict[str, Any] | None
    """What the simulated partner shall decide (a dial of the sandbox); None when it is never asked."""
    ends: str
    """The status with which it ends."""


def scenes(loans: Path) -> list[Scene]:
    """Taken from loans of the sample that have no gaps, far enough apart to differ."""
    whole = (made for made in applications(loans, 1000) if _whole(made))
    first, second, third, fourth = islice(whole, 30, 30 + 4 * 60, 60)
    return [
        Scene("by REST, approved", "REST", first, {"outcome": "approve"}, "approved"),
        Scene("through the Kafka intake, declined", "Kafka", second, {"outcome": "decline"}, "declined"),
        Scene("by REST, something is missing", "REST", third, {"outcome": "missing"}, "info-required"),
        Scene("invalid, every error at once", "Kafka", broken(fourth), None, "invalid"),
    ]


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


FAULTS = 6


def _whole(made: dict[str, Any]) -> bool:
    business, wish = made["business"], made["requestedFinance"]
    return bool(
        business.get("industry") and business.get("startDate") and wish.get("product") and wish["term"]["value"] > 0
    )
