"""What a judge has counted so far, and the names of what it found."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

Named = tuple[str, str]
"""The name of a violation, and what it is found at."""


@dataclass
class Found:
    names: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def name(self, violation: str, what: str) -> None:
        self.names[violation].append(what)

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] += number
