"""What a simulated partner's own ledger says of one of our references: the judge of how often it was sent. Pure."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any


@dataclass(frozen=True)
class Proof:
    """One reference in one partner's books."""

    partner: str
    taken: int
    """How many applications it took under this reference."""
    lost: int
    """How many of its replies never left."""
    recognised: int
    """How many repeats it knew to be repeats."""
    calls: tuple[str, ...]
    """What it was asked, in order."""
    first: str
    """When it was first asked; RFC 3339 in UTC, empty: never."""
    decided: str
    """When it decided, empty: not yet."""

    @property
    def has_it(self) -> str:
        often = {0: "never", 1: "once"}.get(self.taken, f"{self.taken} times")
        return often + (f", {self.recognised} repeat recognised" if self.recognised else "")


def proof(partner: str, ledger: dict[str, Any]) -> Proof:
    """`ledger`: the partner's view of one reference."""
    calls = sorted(ledger["calls"], key=lambda call: call["monotonic"])
    repeats = {each["at"] for each in ledger["duplicates"]}
    named = [call["operation"] + _note(call, repeats) for call in calls]
    return Proof(
        partner=partner,
        taken=len(ledger["leads"]),
        lost=sum(call["reply"] == "dropped" for call in calls),
        recognised=len(ledger["duplicates"]),
        calls=tuple(_counted(name, len(list(same))) for name, same in groupby(named)),
        first=calls[0]["at"] if calls else "",
        decided=max((each["at"] for each in ledger["decisions"]), default=""),
    )


def _note(call: dict[str, Any], repeats: set[str]) -> str:
    if call["reply"] == "dropped":
        return " (reply lost)"
    return " (known already)" if call["at"] in repeats else ""


def _counted(name: str, times: int) -> str:
    return name if times == 1 else f"{name} ({times} times)"
