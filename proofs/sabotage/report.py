"""The table of a run: for the terminal while it runs, and as a page under docs/proofs."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Sequence
from pathlib import Path

from proofs.sabotage.run import Found

PAGE = Path("docs/proofs/sabotage.md")
HEAD = """\
# Sabotage: what happens when a protection is off

Each protection is switched off in a copy of the source tree, by replacing one piece of its text. A proof then runs
against the copy and must report a violation, in words that a crash does not have. A proof that stays green while its
protection is off proves nothing, and fails the suite; so does a protection whose text moved. Each proof was green
against the whole copy in the same run, and every Python program of a sabotaged run noted that it had the copy.

`make sabotage` runs it all (`make sabotage ARGS="--only blind"` one row) and writes this page; a seeded sample is part
of `make test`. The rows are in `proofs/sabotage/`.
"""


def line(found: Found) -> str:
    """For the terminal."""
    said = found.violation or found.fault
    return f"{'ok  ' if not found.fault else 'FAIL'} {found.row.name:16} {found.seconds:5.1f} s  {said}"


def page(all_found: Sequence[Found], rows: int, project: Path) -> str:
    """For docs/proofs; written anew after each row, so that a run that was broken off shows how far it came."""
    now = f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC"
    good = sum(not each.fault for each in all_found)
    took = sum(each.seconds for each in all_found)
    far = "" if len(all_found) == rows else f", of {rows} rows: the run did not come to its end"
    run = f"Run of {now}, commit {commit(project)}: {good} of {len(all_found)} violations reported{far}; {took:.0f} s."
    head = "| protection | violation reported | counted by | programs | seconds |\n|---|---|---|---|---|\n"
    return f"{HEAD}\n{run}\n\n{head}" + "".join(_row(each) for each in all_found)


def _row(found: Found) -> str:
    said = f"`{_cell(found.violation)}`" if not found.fault else f"**{_cell(found.fault)}**"
    cells = [_cell(found.row.protection), said, found.row.judge, str(found.programs), f"{found.seconds:.1f}"]
    return f"| {' | '.join(cells)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'")


def commit(project: Path) -> str:
    """Short, and whether there was more than it."""
    command = ["git", "-C", str(project), "describe", "--always", "--abbrev=10", "--dirty=, changed"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"
