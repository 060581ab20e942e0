"""What is going on in a run, for whoever watches it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from proofs.chaos import lists
from proofs.chaos.cast import AUDIT, Planned
from proofs.chaos.clerk import Clerk
from proofs.chaos.faults import Faults
from proofs.chaos.shapes import Fault, Options
from proofs.chaos.traffic import Upstream
from proofs.chaos.truth import Truth


@dataclass
class State:
    options: Options
    planned: Sequence[Planned]
    faults: Sequence[Fault]
    lists: Sequence[lists.Planned]
    begin: float = field(default_factory=time.monotonic)
    step: str = "starts the stack"
    upstream: Upstream | None = None
    clerk: Clerk | None = None
    made: Faults | None = None
    truth: Truth = field(default_factory=Truth)

    @property
    def accepted(self) -> int:
        return len(self.upstream.ledger.accepted) if self.upstream else 0

    def open(self) -> list[str]:
        """What is not where it must come to, and waits for nobody."""
        if self.upstream is None:
            return []
        changed = {(each.application, each.partner): each.becomes for each in list(self.upstream.ledger.acted)}
        found = []
        for each in list(self.upstream.ledger.accepted):
            newest = self.truth.newest(each.application)
            for partner in (name for name in each.wanted if name != AUDIT):
                wanted = (*each.wanted[partner].split("|"), changed.get((each.application, partner)))
                _, version = newest.get(partner, ("", None))
                if version is None or not (version.person or version.status in wanted):
                    found.append(f"{each.mark} at {partner}")
        return found

    @property
    def parked(self) -> int:
        return self.truth.people()
