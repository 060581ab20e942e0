"""How long applications waited in each phase of a run, by the partners' own ledgers, and phases against one another."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from proofs.page import Table
from proofs.watch import percentile

LENDERS = {
    "forward-financing": "demo-ff",
    "finpace": "demo-finpace",
    "soap-lender": "demo-soap",
    "reference-partner": "demo-reference",
    "email-lender": "demo-mail",
}
"""Each with the account that the demo tenant has there."""


@dataclass(frozen=True)
class Waits:
    """Of one phase at one partner, in seconds."""

    from_publication: list[float]
    from_submit: list[float]
    """From the event that asked for it: without the way through the services before."""


@dataclass
class Phase:
    name: str
    hang: float | None
    lenders: Sequence[str] = tuple(LENDERS)
    """To whom each of its applications goes."""
    crowd: dict[uuid.UUID, float] = field(default_factory=dict)
    """When each application was published that goes to `crowded` alone."""
    crowded: str = ""
    sent: dict[uuid.UUID, float] = field(default_factory=dict)
    """When each application was published, in seconds since the epoch."""
    waits: dict[str, Waits] = field(default_factory=dict)
    ours: float = 0.0
    """Which part of the processors the stack used: services, sandbox, Kafka and MongoDB."""
    busy: float = 0.0
    """Which part was in use by anybody; much more than `ours` means that others disturbed the phase."""
    waiting: int = 0
    """How many of the hanging partner's were not with it when the phase's last was with all others."""


Pick = Callable[[Waits], list[float]]
FROM: dict[str, Pick] = {
    "from publication": lambda waits: waits.from_publication,
    "from `submit`": lambda waits: waits.from_submit,
}


def wanted(phase: Phase, partner: str) -> list[uuid.UUID]:
    """The applications of a phase that a partner must have."""
    everybodys = list(phase.sent) if partner in phase.lenders else []
    return everybodys + (list(phase.crowd) if partner == phase.crowded else [])


def compared(phases: Sequence[Phase], partner: str) -> list[str]:
    """Those who were there in all phases, and were well."""
    return [each for each in LENDERS if each != partner and all(each in phase.lenders for phase in phases)]


def tables(phases: Sequence[Phase], partner: str) -> list[Table]:
    """`partner` is the one that hangs now and then."""
    others, found = compared(phases, partner), list[Table]()
    for title, pick in FROM.items():
        rows = [_row(phase, others, pick) for phase in phases]
        columns = ("phase", "applications", "CPU stack / all", *others, "they together")
        found.append(Table(f"Waits {title} to arrival, p50 / p99 ms", columns, rows))
        columns = ("phase", "against", *others, "they together")
        found.append(Table("The same against one another, p99", columns, [*_ratios(phases, others, pick)]))
    return found


def _row(phase: Phase, others: Sequence[str], pick: Pick) -> list[str]:
    each = [pick(phase.waits[name]) for name in others]
    told = [_told(values) for values in (*each, [wait for values in each for wait in values])]
    count = str(len(phase.sent)) + (f" and {len(phase.crowd)} more" if phase.crowd else "")
    return [phase.name, count, f"{phase.ours:.0%} / {phase.busy:.0%}", *told]


def _ratios(phases: Sequence[Phase], others: Sequence[str], pick: Pick) -> list[list[str]]:
    rows = []
    for phase in phases:
        against = yardstick(phases, phase)
        each = [ratio(phase, against, [name], pick) for name in others] + [ratio(phase, against, others, pick)]
        rows.append([phase.name, " and ".join(one.name for one in against), *(f"{one:.2f}" for one in each)])
    return rows


def yardstick(phases: Sequence[Phase], phase: Phase) -> list[Phase]:
    """Of a phase with one that hangs the healthy ones just before and just after; of a healthy one all other ones."""
    if not phase.hang:
        return [each for each in phases if not each.hang and each is not phase]
    place = phases.index(phase)
    return [each for each in (*phases[place - 1 : place], *phases[place + 1 : place + 2]) if not each.hang]


def ratio(phase: Phase, against: Sequence[Phase], partners: Sequence[str], pick: Pick) -> float:
    """Of the 99th percentile to that of the yardstick's phases taken together."""
    mine = [wait for name in partners for wait in pick(phase.waits[name])]
    theirs = [wait for each in against for name in partners for wait in pick(each.waits[name])]
    return percentile(mine, 99) / percentile(theirs, 99)


def _told(values: Sequence[float]) -> str:
    return f"{percentile(values, 50) * 1000:.0f} / {percentile(values, 99) * 1000:.0f}"
