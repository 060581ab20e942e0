"""The applications of the matrix: for each capability class the shortest way to a partner that has it.

| class | the call whose repeat it decides | way |
|---|---|---|
| A keyed | create at the reference partner | to that lender alone |
| B unique reference | create at Forward Financing | to that lender alone |
| C searchable | financing told to MonetaGo | cleared by the registry, then a lender who pays it out |
| D asynchronous | registration at MonetaGo | cleared by the registry, then a lender |
| E blind | mail to the lender by mail | to that lender alone |
| all | all of these | one application with all of these ways at once, for services that know no partner's class |
| intake | none | one application by the Kafka intake, for the gateway |
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.flow.stack import deal

CLASSES = ("A", "B", "C", "D", "E")
ALL, INTAKE = "all", "intake"
REGISTRY, BLIND, BY_REFERENCE = "monetago", "email-lender", "forward-financing"
KEYED = "reference-partner"


@dataclass(frozen=True, kw_only=True)
class Way:
    """One kind of application, and how it ends."""

    name: str
    what: str
    """What must hold of it, whatever was struck."""
    ends: Mapping[str, str]
    """By partner, the status that is shown in the end."""
    once: tuple[tuple[str, str], ...]
    """(partner, list of its ledger): where this application must stand exactly once."""
    by_kafka: bool = False
    pays: bool = False
    """Whether the reference partner pays it out a moment after it approved."""

    def body(self) -> dict[str, Any]:
        paper = f"INV-{uuid.uuid4()}" if REGISTRY in self.ends else None
        return deal("40000", *(each for each in self.ends if each != REGISTRY), paper=paper)


WAYS = {
    "A": Way(
        name="A",
        what="the lender has it once; shown as the lender decided",
        ends={KEYED: "approved"},
        once=((KEYED, "leads"),),
    ),
    "B": Way(
        name="B",
        what="the lender has it once; shown as it decided, or as submitted without its id where that answer was lost",
        ends={BY_REFERENCE: "approved"},
        once=((BY_REFERENCE, "leads"),),
    ),
    "C": Way(
        name="C",
        what="the registry has it once and was told of the money once, shown as financed there; or told at most once "
        "and parked, where nobody can know whether that call left",
        ends={KEYED: "funded", REGISTRY: "funded"},
        once=((KEYED, "leads"), (REGISTRY, "leads"), (REGISTRY, "financings")),
        pays=True,
    ),
    "D": Way(
        name="D",
        what="the registry has it once, and then the lender once; shown as both decided",
        ends={KEYED: "approved", REGISTRY: "approved"},
        once=((KEYED, "leads"), (REGISTRY, "leads")),
    ),
    "E": Way(
        name="E",
        what="one mail, shown as submitted; or parked with at most one mail, where nobody can know whether it left",
        ends={BLIND: "submitted"},
        once=((BLIND, "leads"),),
    ),
    ALL: Way(
        name=ALL,
        what="every partner has it once; shown as each decided",
        ends={KEYED: "funded", BY_REFERENCE: "approved", BLIND: "submitted", REGISTRY: "funded"},
        once=(
            (KEYED, "leads"),
            (BY_REFERENCE, "leads"),
            (BLIND, "leads"),
            (REGISTRY, "leads"),
            (REGISTRY, "financings"),
        ),
        pays=True,
    ),
    INTAKE: Way(
        name=INTAKE,
        what="it is one application, and the lender has it once; shown as the lender decided",
        ends={KEYED: "approved"},
        once=((KEYED, "leads"),),
        by_kafka=True,
    ),
}
