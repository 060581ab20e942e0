"""What a run says of itself: its tables and its checks, the same ones on the terminal and on a page of docs/proofs."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table as Shown

from proofs.chaos.report import commit, hardware

PAGES = Path(__file__).resolve().parents[1] / "docs" / "proofs"
QUIET = 1.0
"""More load than this before anything was started was somebody else's."""


@dataclass(frozen=True)
class Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Check:
    what: str
    kept: bool
    seen: str


class Ran:
    """When, of what, and where; made before anything is started."""

    def __init__(self) -> None:
        self._commit, self._load = commit(), os.getloadavg()[0]
        self._at, self._began = dt.datetime.now(dt.UTC), time.monotonic()

    def told(self) -> str:
        """In one line, once it is over."""
        minutes = (time.monotonic() - self._began) / 60
        others = "; others worked on it: not a quiet machine" if self._load > QUIET else ""
        load = f"load before the run {self._load:.1f}, after it {os.getloadavg()[0]:.1f}{others}"
        return f"{self._at:%Y-%m-%d %H:%M} UTC, commit {self._commit}, {hardware()}, {minutes:.0f} min; {load}."


def verdict(checks: Sequence[Check]) -> Table:
    rows = [(each.what, "kept" if each.kept else "NOT KEPT", each.seen) for each in checks]
    return Table("Verdict", ("promise", "", "seen"), rows)


def show(tables: Sequence[Table], console: Console) -> None:
    for table in tables:
        shown = Shown(*table.columns, title=table.title, box=box.SIMPLE_HEAD, title_justify="left")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown, markup=False)


def write(page: Path, head: str, ran: Ran, tables: Sequence[Table]) -> None:
    """`head` is the page's title and what the run is, as Markdown."""
    lines = [head.strip(), "", ran.told()]
    for table in tables:
        lines += ["", f"## {table.title}", "", f"| {' | '.join(table.columns)} |", f"|{'---|' * len(table.columns)}"]
        lines += [f"| {' | '.join(map(_cell, row))} |" for row in table.rows]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(lines) + "\n")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
