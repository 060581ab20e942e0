"""How the lanes of a process are shared out among credentials: pure numbers.

A partner may hang for as long as a call may last. So while others have work too, a credential gets at most its share;
and a few lanes are kept for those who have hardly any, so that whoever comes new starts at once.
"""

from __future__ import annotations

from dataclasses import dataclass

SPARE = 8
"""One lane in so many is kept for light users."""


@dataclass(frozen=True, slots=True)
class Shares:
    lanes: int
    share: float
    """Which part of the lanes one credential may have while others have work."""

    @property
    def most(self) -> int:
        return max(1, int(self.lanes * self.share))

    @property
    def spare(self) -> int:
        return self.lanes // SPARE

    @property
    def light(self) -> int:
        """Who has fewer than this under way may have a spare lane."""
        return max(1, self.spare // 2)

    def part(self, limit: int) -> int:
        """The lanes that one credential may count on; `limit`: what it may have whatever the others do."""
        return min(limit, self.most)

    def cap(self, limit: int, others: int) -> int:
        """How many lanes it may have. `others`: the parts of those who also have work. What is left when they all have
        theirs is free for it too.
        """
        return max(1, min(limit, max(self.most, self.lanes - self.spare - others)))

    def may_start(self, under_way: int, cap: int, free: int) -> bool:
        """One more of a credential that has `under_way`, while `free` lanes are free."""
        return free > 0 and under_way < cap and (free > self.spare or under_way < self.light)
