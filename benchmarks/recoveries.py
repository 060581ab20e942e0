"""What a run of recoveries says: how long each kind of death kept work from going on, and which target was kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from proofs.page import PAGES, Check, Ran, Table, show, verdict, write
from proofs.watch import percentile
from rich.console import Console

from benchmarks.groups import GROUPS

PAGE = PAGES / "recovery.md"
SESSION_SECONDS = 15.0
"""After which a consumer that says nothing is out of its group."""
BACK, AWAY = "killed, started again", "killed, stays away"
BROKER, DATABASE = "broker killed", "mongod killed"
TARGETS = {BACK: (95, 5.0), AWAY: (100, SESSION_SECONDS + 3.0), BROKER: (100, 3.0), DATABASE: (100, 5.0)}
"""Which percentile, of all services together, may take how many seconds; 100 is the longest of all."""
HEAD = f"""# Recovery: how soon work goes on after a death

Written by `make bench ARGS="--recovery"`. A whole stack on one machine carries six applications a second, at random
times. Progress is what a consumer group commits: a commit comes after the durable write and the publication. Watched
are the partitions of the one who died.

- *{BACK}*: `kill -9` of a service; its supervisor starts it again at once. From the kill to the first commit.
- *{AWAY}*: `kill -9` of one of two replicas of each service. From the kill to the other's first commit on its
  partitions. Kafka waits {SESSION_SECONDS:.0f} s for a consumer that says nothing.
- *{BROKER}*: Kafka dies by `kill -9` and is started again, while applications go on coming over REST. From the moment
  when its port opens; for the gateway to what it publishes of those.
- *{DATABASE}*: MongoDB dies by `kill -9` and is started again. From the kill.
"""


@dataclass(frozen=True)
class Recovery:
    how: str
    service: str
    first: float
    """Seconds to the first progress on any of its partitions; infinite: there was none for a minute."""
    down: float = 0.0
    """Seconds from the kill until the port of a killed server opened."""


def told(found: Sequence[Recovery], times: int, ran: Ran, page: Path, console: Console) -> bool:
    """Tell it on the terminal and on the page. Whether every target was kept."""
    judged = checks(found, times)
    tables = [seconds(found), ports(found), verdict(judged)]
    show(tables, console)
    write(page, HEAD, ran, tables)
    return all(check.kept for check in judged)


def checks(found: Sequence[Recovery], times: int) -> list[Check]:
    """Each kind has to be there as often as it was asked for."""
    judged = []
    for how, (percent, target) in TARGETS.items():
        values = [each.first for each in found if each.how == how]
        seen, wanted = of_percent(values, percent), times * len(GROUPS)
        word = "the longest" if percent == 100 else f"p{percent}"
        kept = len(values) == wanted and seen <= target
        said = f"{word} {seen:.2f} s" if values else "nothing"
        judged.append(Check(f"{how}: at most {target:g} s", kept, f"{said}, {len(values)} of {wanted} seen"))
    return judged


def seconds(found: Sequence[Recovery]) -> Table:
    rows = []
    for how in TARGETS:
        for service in GROUPS:
            rows += _row(how, service, [r.first for r in found if (r.how, r.service) == (how, service)])
        rows += _row(how, "all", [r.first for r in found if r.how == how])
    return Table("Seconds to the first progress", ("", "service", "times", "p50", "p95", "longest"), rows)


def ports(found: Sequence[Recovery]) -> Table:
    rows = []
    for how in (BROKER, DATABASE):
        down = sorted({r.down for r in found if r.how == how})
        rows += [(how, f"{down[0]:.1f}", f"{down[-1]:.1f}")] if down else []
    return Table("Seconds until a killed server's port opened again", ("", "shortest", "longest"), rows)


def of_percent(values: Sequence[float], percent: int) -> float:
    """Not a number where there is no value."""
    return max(values, default=float("nan")) if percent == 100 else percentile(values, percent)


def _row(how: str, service: str, values: Iterable[float]) -> list[tuple[str, ...]]:
    ordered = sorted(values)
    figures = (f"{of_percent(ordered, percent):.2f}" for percent in (50, 95, 100))
    return [(how, service, str(len(ordered)), *figures)] if ordered else []
