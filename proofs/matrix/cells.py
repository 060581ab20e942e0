"""The cells of the matrix: every point of every service, as often as one application passes it, times what strikes it,
times the class of the partner's operation.

The points are those of the code (`proofs.points`). How often an application of each class passes them when nothing is
wrong is in `passes.json`, which `python -m proofs.matrix trace` writes anew from the logs of a real stack. What no
application passes (a retry, an erasure) is listed and not run: it would prove nothing.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lendrail.local.programs import SERVICES
from lendrail.runtime.faults import KINDS, Fault, Kind
from proofs.matrix.ways import ALL, CLASSES, INTAKE, WAYS
from proofs.points import labels

PASSES = Path(__file__).parent / "passes.json"
SENDER = "submission"
"""The one service that knows a partner's class: its cells are run for each class by itself."""
AT_EACH_PASS = ("store.opportunities.before", "store.opportunities.after", "partner.", "mail.")
DOOR = "gateway"
"""The one service that knows by which door an application came."""
MOST = 6
"""The sender's points around its state and its calls are struck at each pass, up to so many; others at the first."""
START = "start"
"""In place of a class: what a service passes while it starts."""
WINDOWS = {
    "gateway": (
        "step.application-validated.written",
        "step.status-updated.written",
        "store.applications.after",
        "relay.applications.published",
        "relay.webhooks.published",
    ),
    "validation": ("step.application-received.written", "step.application-received.published"),
    "documents": ("step.application-validated.written", "step.application-validated.published"),
    "submission": ("step.submit.written", "partner.before", "partner.after", "relay.opportunities.published"),
    "status": (
        "step.application-validated.written",
        "step.application-validated.published",
        "step.partner-ack.written",
        "step.partner-ack.published",
        "step.partner-webhook.written",
        "partner.after",
    ),
    "notifications": (
        "step.status-updated.written",
        "step.status-updated.published",
        "step.notify.written",
        "step.notify.published",
    ),
}
"""The two windows of every step, between its write and its publication and behind that, and those around the call of a
partner: each of them is tried with every run of the tests, whatever else is drawn.
"""
IN_WINDOWS = "B"
"""The class that such an application is of: what is sent twice is two there, were it not recognised."""
HANG_SECONDS = 10.0
"""Longer than the leases of a stack under test."""
HANG_OF_CONSUMER = 17.0
"""Longer than Kafka lets a consumer be silent."""
CONSUMING = ("step.", "intake.", "publish.")
NOTHING_UNDER_WAY = ("step.submit.", "partner.before", "store.opportunities.claim.")
"""Where the sender's process has begun no call yet, when it has one application to carry."""
KNOWN = ("relay.opportunities.published", 1)
"""Where what came of its first call is stored, and has just been told."""


@dataclass(frozen=True, order=True)
class Cell:
    service: str
    label: str
    nth: int
    kind: Kind
    of: str
    """A class, or `all`."""

    @property
    def fault(self) -> Fault:
        seconds = HANG_OF_CONSUMER if self.label.startswith(CONSUMING) else HANG_SECONDS
        return Fault(self.label, self.nth, self.kind, seconds if self.kind == "hang" else 0.0)

    @property
    def may_be_unknown(self) -> bool:
        """Whether it may strike a call that is under way, so that its outcome is lost with it."""
        sure = self.label.startswith(NOTHING_UNDER_WAY) or (self.label, self.nth) == KNOWN
        return self.service == SENDER and not (self.of in ("B", "E") and sure)

    @property
    def passed(self) -> bool:
        """Whether an application of this class comes by that often when nothing is wrong."""
        return self.nth <= passes(self.of, self.service, self.label)

    @property
    def must_hold(self) -> str:
        unknown = "" if self.may_be_unknown else "; no outcome unknown"
        return WAYS[self.of].what + unknown + "; every version told under one id"

    def __str__(self) -> str:
        return f"{self.service}/{self.label}#{self.nth}:{self.kind}/{self.of}"

    @classmethod
    def read(cls, text: str) -> Cell:
        """As it is printed. Raises ValueError."""
        form = re.fullmatch(r"([a-z]+)/([a-z0-9_.-]+)#([0-9]+):([a-z]+)/([A-Za-z]+)", text)
        if form is None or form[4] not in KINDS or form[5] not in WAYS:
            raise ValueError(f"{text} is no cell; it has the form service/label#n:kind/class")
        kind = next(each for each in KINDS if each == form[4])
        return cls(form[1], form[2], int(form[3]), kind, form[5])


@cache
def _passes() -> dict[str, dict[str, dict[str, int]]]:
    found: dict[str, dict[str, dict[str, int]]] = json.loads(PASSES.read_text())
    return found


def passes(of: str, service: str, label: str) -> int:
    """How often an application of this class passes the point, or the service at its start."""
    return max(_passes().get(each, {}).get(service, {}).get(label, 0) for each in (of, START))


def cells(services: Iterable[str] = SERVICES) -> Iterator[Cell]:
    """All of them, the ones that nobody passes too."""
    for service in services:
        for of in ways_of(service):
            for label in sorted(labels(service)):
                for nth in range(1, _most(of, service, label) + 1):
                    for kind in KINDS:
                        yield Cell(service, label, nth, kind, of)


def windows() -> list[Cell]:
    """A kill in each of WINDOWS."""
    return [Cell(service, label, 1, "kill", IN_WINDOWS) for service, labels in WINDOWS.items() for label in labels]


def ways_of(service: str) -> tuple[str, ...]:
    if service == SENDER:
        return CLASSES
    return (ALL, INTAKE) if service == DOOR else (ALL,)


def _most(of: str, service: str, label: str) -> int:
    if service != SENDER or not label.startswith(AT_EACH_PASS):
        return 1
    return max(1, min(passes(of, service, label), MOST))


def chosen(all_of: Iterable[Cell], only: Sequence[str]) -> list[Cell]:
    """Those whose text holds each of the words."""
    return [cell for cell in all_of if all(word in str(cell) for word in only)]


def sample(all_of: Collection[Cell], count: int, seed: int) -> list[Cell]:
    """As many, drawn from those that an application passes; the same ones for the same seed."""
    passed = sorted(cell for cell in all_of if cell.passed)
    return random.Random(seed).sample(passed, min(count, len(passed)))
