"""Which faults a run makes, and when: the same for the same seed and the same code. Pure.

Everything is drawn from bags: what is in a bag comes once before anything comes twice, so that a short run meets every
service, server and partner too. One process suffers one fault at a time, and its next one waits until it can have come
back; faults of different processes overlap.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from lendrail.local.accounts import ACCOUNTS, REGISTER, Where
from lendrail.local.programs import KAFKA, MONGO, SERVICES
from proofs.chaos.labels import labels
from proofs.chaos.shapes import Fault, Kind, Options

KINDS: tuple[Kind, ...] = ("kill", "kill-at", "freeze", "server-kill", "network", "partner", "webhooks", "skew")
WEIGHTS: Mapping[Kind, int] = {
    "kill": 9,
    "kill-at": 9,
    "freeze": 4,
    "server-kill": 2,
    "network": 6,
    "partner": 6,
    "webhooks": 3,
    "skew": 2,
}
"""How often each kind comes after all have come once."""
MUSTS: Mapping[Kind, int] = {"kill": len(SERVICES), "server-kill": 2}
"""How often they come at least, if the run is long enough: each service and each server."""
BEGIN, QUIET = 0.03, 0.2
"""Parts of the run: before the first fault, and after the end of the last."""
SERVERS = (KAFKA, MONGO)
SENDER = "submission"
REST = 6.0
"""Seconds that a process has after a fault of its own."""
LONGEST_FREEZE = 60.0
LABELLED = 12.0
"""Seconds in which a service that is to die at a label has to come to it."""
SHORTEST = 0.3
SKEW, GATEWAY_SKEW = 600, 120
"""Seconds. The gateway checks signed times to within 300 s, so more would only show that it does."""
FAMILIES = {"step": 5, "partner": 5, "mail": 3, "webhook": 3, "outcome": 3, "intake": 3, "publish": 2, "relay": 2,
            "checks": 2, "feeds": 1, "store": 4, "import": 3}  # fmt: skip
"""How often a label is drawn by its family; others belong to work that a run does not make and are not drawn."""
HEARD = ("forward-financing", "finpace", "reference-partner", "optimum-finance")
"""Partners that call us."""
T = TypeVar("T")


def _sandbox(names: Callable[[str], bool]) -> tuple[str, ...]:
    """The simulators behind the demo tenant's accounts, by the scheme of their address."""
    where = Where("http://127.0.0.1:1", "127.0.0.1:1", Path())
    found = {each.played_by or each.partner: each.base(where) for each in ACCOUNTS}
    return tuple(sorted(name for name, base in found.items() if names(base)))


HTTP_PARTNERS = (*_sandbox(lambda base: base.startswith("http")), REGISTER)
MAIL_PARTNERS = _sandbox(lambda base: base.startswith("smtp"))


def family(label: str) -> str:
    """Its first word; those of the stores in which files lie until they are read are a family of their own."""
    return "import" if label.startswith("store.import") else label.partition(".")[0]


class Bag(Generic[T]):
    """Draws everything once before anything twice."""

    def __init__(self, chance: random.Random, things: Sequence[T]) -> None:
        self._chance, self._things = chance, list(things)
        self._left: list[T] = []

    def draw(self) -> T:
        if not self._left:
            self._left = self._chance.sample(self._things, len(self._things))
        return self._left.pop()


def plan(options: Options) -> tuple[Fault, ...]:
    """The faults in the order of their times. The last fifth of the run has none."""
    return Planner(options).faults()


class Planner:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._chance = random.Random(options.seed)
        self._begin, self._end = BEGIN * options.seconds, (1 - QUIET) * options.seconds
        self._free: dict[str, float] = {}
        """When each process may suffer again, by the run's clock."""
        bag = self._bag
        self._services, self._servers, self._frozen = bag(SERVICES), bag(SERVERS), bag((*SERVICES, SENDER, *SERVERS))
        self._labelled, self._skewed, self._signs = bag((*SERVICES, SENDER)), bag(SERVICES), bag((1, -1))
        self._labels = {service: self._families(service) for service in SERVICES}
        self._networks = bag((*HTTP_PARTNERS, *MAIL_PARTNERS, *SERVERS, *SERVERS))
        self._http, self._bytes = bag(HTTP_TOXICS), bag(BYTE_TOXICS)
        self._partners, self._dials = bag((*HTTP_PARTNERS, *MAIL_PARTNERS)), bag(DIALS)
        self._mail_dials = bag(MAIL_DIALS)
        self._callers, self._calls = bag(HEARD), bag(CALLS)

    def _bag(self, things: Sequence[T]) -> Bag[T]:
        return Bag(self._chance, things)

    def _families(self, service: str) -> Bag[Bag[str]]:
        """So that the many labels of the stores do not hide the others."""
        found: dict[str, list[str]] = {}
        for label in labels()[service]:
            found.setdefault(family(label), []).append(label)
        bags = {name: self._bag(members) for name, members in found.items() if name in FAMILIES}
        return self._bag([bag for name, bag in bags.items() for _ in range(FAMILIES[name])])

    def faults(self) -> tuple[Fault, ...]:
        kinds = self._kinds()
        width = (self._end - self._begin) / max(1, len(kinds))
        places = [self._begin + (number + self._chance.random()) * width for number in range(len(kinds))]
        made = [self._fault(kind, at) for kind, at in zip(kinds, places, strict=True)]
        return tuple(sorted((fault for fault in made if fault is not None), key=lambda fault: fault.at))

    def _kinds(self) -> list[Kind]:
        """One for each moment. In the first half what must come, between others; what comes then by weight."""
        wanted = [kind for kind in KINDS if kind in self._options.kinds]
        if not wanted:
            return []
        count = max(len(wanted), round((self._end - self._begin) / self._options.every))
        musts = (wanted + [kind for kind in wanted for _ in range(MUSTS.get(kind, 1) - 1)])[:count]
        more = self._chance.choices(wanted, [WEIGHTS[kind] for kind in wanted], k=count - len(musts))
        early = max(0, count // 2 - len(musts))
        first, then = musts + more[:early], more[early:]
        self._chance.shuffle(first)
        return first + then

    def _fault(self, kind: Kind, at: float) -> Fault | None:
        """None when what it should happen to still suffers when the faults end."""
        uniform = self._chance.uniform
        match kind:
            case "kill":
                return self._process(kind, at, self._services.draw(), uniform(0.3, 3))
            case "kill-at":
                service = self._labelled.draw()
                count = self._chance.choices((1, 2, 3, 5), (6, 2, 1, 1))[0]
                detail = {"label": self._labels[service].draw().draw(), "count": count}
                return self._process(kind, at, service, LABELLED, **detail)
            case "freeze":
                target = self._frozen.draw()
                longest = min(LONGEST_FREEZE, self._options.seconds / 9) / (2 if target in SERVERS else 1)
                return self._process(kind, at, target, math.exp(uniform(0, math.log(max(1.5, longest)))))
            case "server-kill":
                return self._process(kind, at, self._servers.draw(), uniform(0.5, 6))
            case "skew":
                service = self._skewed.draw()
                skew = self._signs.draw() * (GATEWAY_SKEW if service == "gateway" else SKEW)
                return self._process(kind, at, service, uniform(8, 25), skew=skew)
            case "network":
                target = self._networks.draw()
                toxic = (self._http if target in HTTP_PARTNERS else self._bytes).draw()
                return self._made(kind, at, target, uniform(2, 8), toxic)
            case "partner":
                target = self._partners.draw()
                dials = self._mail_dials if target in MAIL_PARTNERS else self._dials
                return self._made(kind, at, target, uniform(3, 10), dials.draw())
            case "webhooks":
                return self._made(kind, at, self._callers.draw(), uniform(3, 10), self._calls.draw())

    def _process(self, kind: Kind, at: float, target: str, seconds: float, **detail: Any) -> Fault | None:
        """As soon as its process has rested from the one before."""
        at = max(at, self._free.get(target, 0.0))
        if at + SHORTEST > self._end:
            return None
        fault = self._made(kind, at, target, seconds, detail)
        self._free[target] = at + fault.seconds + REST
        return fault

    def _made(self, kind: Kind, at: float, target: str, seconds: float, detail: Mapping[str, Any]) -> Fault:
        at = round(at, 3)
        seconds = round(max(0.0, min(seconds, self._end - at)), 3)
        return Fault(at=at, kind=kind, target=target, seconds=seconds, detail=dict(detail))


ILL: tuple[Mapping[str, Any], ...] = (
    {"kind": "latency", "direction": "down", "milliseconds": 300, "jitter": 500},
    {"kind": "latency", "direction": "up", "milliseconds": 100, "jitter": 300},
    {"kind": "reset", "direction": "up", "share": 0.5},
    {"kind": "reset", "direction": "down", "share": 0.5},
    {"kind": "cut", "bytes": 40, "share": 0.5},
    {"kind": "black-hole", "direction": "up"},
    {"kind": "black-hole", "direction": "down", "share": 0.5},
    {"kind": "bandwidth", "direction": "down", "bytes": 20_000},
)
"""What may befall any connection. Upwards nothing is so slow that a request could arrive after the wait in which we
hold it for dead.
"""
HTTP_TOXICS = (*ILL, {"kind": "drop-reply", "share": 0.4}, {"kind": "drop-reply", "share": 0.4})
BYTE_TOXICS = (*ILL, {"kind": "drop-reply", "bytes": 4096, "share": 0.5})
DIALS: tuple[Mapping[str, Any], ...] = (
    {"kind": "drop_reply", "probability": 0.5},
    {"kind": "refuse", "probability": 0.5},
    {"kind": "html", "probability": 0.3},
    {"kind": "truncated", "probability": 0.3},
    {"kind": "status", "status": 429, "retryAfter": 1},
    {"kind": "status", "status": 503, "probability": 0.5},
    {"kind": "status", "status": 500, "recorded": True, "probability": 0.3},
    {"kind": "delay", "ms": 1200, "when": "after"},
    {"kind": "delay", "ms": 6000, "when": "after", "probability": 0.3},
    {"kind": "delay", "ms": 800, "when": "before"},
)
"""How a partner behaves badly while everything between us is well."""
MAIL_DIALS: tuple[Mapping[str, Any], ...] = (
    *(dial for dial in DIALS if dial["kind"] != "status"),
    {"kind": "status", "status": 451, "probability": 0.5},
)
"""The same of a mail server. Its 5xx is a refusal (RFC 5321, 4.2.1), so one that keeps what it refuses lies to all."""
CALLS: tuple[Mapping[str, Any], ...] = (
    {"kind": "webhook_lost"},
    {"kind": "webhook_duplicated", "copies": 3},
    {"kind": "webhook_early"},
    {"kind": "webhook_late", "ms": 3000, "probability": 0.5},
)
"""Late ones that come by chance are overtaken by those behind them."""
