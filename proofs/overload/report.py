"""What the run must show, as checks that can fail; on the terminal and as a page."""

from __future__ import annotations

import datetime as dt
import platform
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psutil
from rich.console import Console
from rich.table import Table

from proofs.overload.gauges import SERVICES
from proofs.overload.run import BURST, CALM, DRAIN, Outcome
from proofs.watch import percentile

MOST_MB = 400.0
"""No service may hold more, documents with its rendering process included."""
SETTLED_MB = 25.0
"""So much more than in its second third a service may hold in the last third of the burst: it has stopped growing."""
QUIET_SHARE, QUIET_P99 = 0.99, 5.0
"""Of the other tenant's applications: how many are taken at the first try, and how long an answer may take."""


@dataclass(frozen=True)
class Check:
    what: str
    kept: bool
    seen: str


def checks(found: Outcome) -> list[Check]:
    """Everything that is promised under overload."""
    return [
        Check("something was refused (else it was no overload)", found.burst.refused > 0, f"{found.burst.refused}"),
        Check("each refusal says when to come again", found.burst.unsaid == 0, f"{found.burst.unsaid} do not"),
        Check("no other failure", not found.burst.unexpected, _told(found.burst.unexpected) or "none"),
        *_memory(found),
        *_beside(found),
        Check("accepted and lost", not found.lost, str(len(found.lost))),
        Check("twice at the partner", not found.doubled, str(len(found.doubled))),
        Check("the backlog is done", found.drained is not None, _drained(found)),
    ]


def _memory(found: Outcome) -> Iterator[Check]:
    for service in SERVICES:
        samples = found.memory.of(BURST, service)
        thirds = [samples[at * len(samples) // 3 : (at + 1) * len(samples) // 3] for at in range(3)]
        if not all(thirds):
            yield Check(f"memory of {service} is bounded", False, "not looked at")
            continue
        whole = max(samples + found.memory.of(DRAIN, service))
        growth = max(thirds[2]) - max(thirds[1])
        kept = whole <= MOST_MB and growth <= SETTLED_MB
        yield Check(f"memory of {service} is bounded", kept, f"{whole:.0f} MB at most, {growth:+.0f} in the last third")


def _beside(found: Outcome) -> list[Check]:
    quiet, health, groups = found.quiet, found.health, found.groups
    at_once = quiet.answers["202"] / max(1, quiet.offered)
    slow = percentile([each for some in quiet.seconds.values() for each in some], 99)
    waits = [each for some in health.seconds.values() for each in some]
    return [
        Check(
            "the other tenant is served",
            at_once >= QUIET_SHARE and slow <= QUIET_P99,
            f"{at_once:.1%} of {quiet.offered} at the first try, p99 {slow:.2f} s; {_told(quiet.answers)}",
        ),
        Check(
            "health is told",
            not health.bad and len(waits) > 0,
            f"{len(waits)} answers, p99 {percentile(waits, 99):.2f} s, bad: {', '.join(health.bad[:3]) or 'none'}",
        ),
        Check(
            "consumers keep their partitions",
            groups.looks > 1 and not groups.changes and len(groups.first) > 0,
            f"{len(groups.first)} groups, {groups.looks} looks, {len(groups.changes)} changes",
        ),
    ]


def _drained(found: Outcome) -> str:
    said = f"{found.most_waiting} at most, "
    return said + (f"zero after {found.drained:.0f} s" if found.drained is not None else f"left: {found.left}")


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in sorted(counts.items()))


def show(found: Outcome) -> None:
    console = Console(highlight=False, width=150)
    for title, columns, rows in _tables(found):
        table = Table(*columns, title=title, box=None, title_justify="left")
        for row in rows:
            table.add_row(*row)
        console.print(table, markup=False)
    kept = all(check.kept for check in checks(found))
    console.print("All kept." if kept else "NOT all kept.")


def _tables(found: Outcome) -> Iterator[tuple[str, Sequence[str], Sequence[Sequence[str]]]]:
    burst = found.burst
    asked = sum(burst.answers.values())
    offered = [
        ("carried, applications a second to a shown decision", f"{found.through:.1f}"),
        ("offered, new clients a second", f"{burst.offered / max(1.0, found.took):.0f}"),
        ("factor", f"{burst.offered / max(1.0, found.took) / max(0.1, found.through):.1f}"),
        ("seconds", f"{found.took:.0f}"),
        ("bytes of a body", f"{found.body}"),
        ("clients", f"{burst.offered}"),
        ("requests of theirs", f"{asked}, {asked / max(1.0, found.took):.0f} a second"),
        ("accepted", f"{len(burst.accepted)}, {burst.came_back} of them after they were told to come back"),
        ("gave up", f"{burst.gave_up}"),
    ]
    yield "What came", ("", ""), offered
    answers = [
        (name, str(count), f"{percentile(burst.seconds[name], 50):.3f}", f"{percentile(burst.seconds[name], 99):.3f}")
        for name, count in burst.answers.most_common()
    ]
    yield "How it was answered", ("answer", "times", "p50 s", "p99 s"), answers
    yield "Resident memory, MB", ("service", "calm", "burst p50", "burst most", "drain most", "end"), _megabytes(found)
    verdict = [(check.what, "kept" if check.kept else "NOT KEPT", check.seen) for check in checks(found)]
    yield "Verdict", ("promise", "", "seen"), verdict


def _megabytes(found: Outcome) -> list[list[str]]:
    rows = []
    for service in SERVICES:
        calm, burst, drain = (found.memory.of(phase, service) or [0.0] for phase in (CALM, BURST, DRAIN))
        values = (max(calm), percentile(burst, 50), max(burst), max(drain), drain[-1])
        rows.append([service, *(f"{value:.0f}" for value in values)])
    return rows


def document(found: Outcome, load: float) -> str:
    """The page."""
    head = subprocess.run(["git", "log", "-1", "--format=%h"], capture_output=True, text=True, check=False).stdout
    cpu = f"{psutil.cpu_count()} processors ({platform.machine()}), {psutil.virtual_memory().total >> 30} GB"
    kept = all(check.kept for check in checks(found))
    lines = [
        "# Overload",
        "",
        "Written by `make overload`: what the platform carries is measured first, then new clients come so many times",
        "as often, through the front door, on the same machine. Half of them do as `Retry-After` says, four times; the",
        "others come again at once, twice. A second tenant sends one application a second meanwhile. What bounds what:",
        "[../overload.md](../overload.md).",
        "",
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, commit {head.strip() or 'unknown'}, {cpu}; load of the machine "
        f"before the stack was started: {load:.1f}"
        + (" (others worked on it: not a quiet machine)." if load > 0.5 else "."),
        "",
        f"**{'All kept.' if kept else 'NOT all kept.'}**",
    ]
    for title, columns, rows in _tables(found):
        lines += ["", f"## {title}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"
