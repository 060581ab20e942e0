"""The report of a run of the matrix, `docs/proofs/matrix.md`."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import psutil

from lendrail.runtime.faults import KINDS
from proofs.matrix.bench import Result
from proofs.matrix.cells import Cell, cells
from proofs.matrix.ways import ALL, WAYS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "proofs" / "matrix.md"
MARKS = {"held": "held", "broken": "**broken**", "not reached": "not reached", "not passed": "", "not run": "not run"}
HEAD = """# The kill matrix

Written by `python -m proofs.matrix run --write`; do not edit. Every write to MongoDB, publish, partner call, mail and
notice stands between two labelled points, which its port makes by itself. A cell is one service that is started again
on a real stack (Kafka, MongoDB, SMTP, the partners' simulators), armed to be struck once, the n-th time it passes one
point, while one application comes by:

- **kill**: `kill -9` of the process, which its supervisor starts again;
- **error**: the port raises what it raises when its own server is away: before the effect nothing happened, after it
  the effect is there and its answer is lost;
- **hang**: at a partner and at a mail server the call stands still for {hang:g} s, longer than its lease, while its
  process goes on; elsewhere the whole process stands still, a consumer for longer than Kafka waits for one.

A cell *held* when the partner's own ledger has the application as often as it must, the status shown is the one the
partner decided, and a subscriber was told of every last version under one id. *Not reached*: the application went by
another way, so the cell proves nothing. Points that no application of that class passes while nothing is wrong (a
retry, an erasure, an operator's action) are not listed here; `python -m proofs.matrix list` has them.
"""


def lines(results: Sequence[Result], said: str, hang: float) -> Iterator[str]:
    yield HEAD.format(hang=hang)
    yield "| class | what must hold of every cell |\n|---|---|"
    yield from (f"| {way.name} | {way.what} |" for way in WAYS.values())
    yield ""
    yield from _run(results, said)
    yield from _broken(results)
    yield from _table(results)


def _run(results: Sequence[Result], said: str) -> Iterator[str]:
    counts = Counter(each.outcome for each in results)
    ran = sum(counts[each] for each in ("held", "broken", "not reached"))
    seconds = sum(each.seconds for each in results)
    memory = psutil.virtual_memory().total / 2**30
    machine = f"{os.cpu_count()} processors, {memory:.0f} GB, {platform.system()}, Python {platform.python_version()}"
    yield f"Run on {dt.datetime.now(dt.UTC):%Y-%m-%d} of commit `{_commit()}` ({machine}), {said}:"
    told = ", ".join(f"{counts[each]} {each}" for each in ("held", "broken", "not reached"))
    yield f"{ran} cells in {seconds / 60:.0f} min, {told}."
    yield ""


def _broken(results: Iterable[Result]) -> Iterator[str]:
    broken = [each for each in results if each.outcome == "broken"]
    if broken:
        yield "## Broken\n"
        yield from (f"- `{each.cell}`: {'; '.join(each.why)}" for each in broken)
        yield ""


def _table(results: Iterable[Result]) -> Iterator[str]:
    found = {each.cell: each.outcome for each in results}
    rows: defaultdict[tuple[str, str, int, str], dict[str, str]] = defaultdict(dict)
    for cell in cells():
        if cell.passed:
            outcome = found.get(cell, "not run")
            rows[cell.service, cell.label, cell.nth, cell.of][cell.kind] = MARKS[outcome]
    service = ""
    for (owner, label, nth, of), outcomes in sorted(rows.items(), key=_order):
        if owner != service:
            service = owner
            yield f"\n## {service}\n\n| point | class | {' | '.join(KINDS)} |\n|---|---|{'---|' * len(KINDS)}"
        classes = "A to E" if of == ALL else of
        yield f"| `{label}#{nth}` | {classes} | {' | '.join(outcomes[kind] for kind in KINDS)} |"


def _order(row: tuple[tuple[str, str, int, str], dict[str, str]]) -> tuple[str, str, int, str]:
    return row[0]


def _commit() -> str:
    told = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def write(results: Sequence[Result], said: str, hang: float) -> None:
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(lines(results, said, hang)) + "\n")


def listed(all_of: Iterable[Cell]) -> Iterator[str]:
    """Cells as text, with what must hold of each."""
    for cell in all_of:
        yield f"{cell}\t{'' if cell.passed else 'not passed in calm; '}{cell.must_hold}"
