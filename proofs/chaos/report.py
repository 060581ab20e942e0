"""The verdict for people: as a table in the terminal, and as a section of docs/proofs/chaos.md."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from proofs.chaos.plan import KINDS
from proofs.chaos.remote import PROJECT
from proofs.chaos.run import Result
from proofs.chaos.shapes import Carried, Verdict
from proofs.chaos.verdict import ZERO
from proofs.watch import percentile

PAGE = PROJECT / "docs" / "proofs" / "chaos.md"
HEAD = """# Chaos: what was left of the promises

Each section is one run: real Kafka, real MongoDB, every service a process, the partners' simulators behind a proxy, and
faults for as long as applications come. Ledgers that nobody kills judge it: the upstream's own acknowledgements, the
partners' ledgers, the subscriber's. `proofs/chaos/verdict.py` says what each word means, `proofs/chaos/induced.py` when
an unknown outcome counts as brought about by a fault. A number that is not zero is written down as it is.

Statuses come by calls, looks and files. A file is a list of what a lender has, written out of its own ledger and sent
again and again until it is taken; some are sent twice, some are old by then, some are long, and all name a few ids that
nobody has. A file is one more way and must not hide what another one lost: `proofs/chaos/lists.py` says which lender
lists what. A row about an opportunity of ours has to be stored once, a row about nobody has to be kept, and the status
that is shown is the one that the lender holds, whatever an old list says. A run that counts no files had none.
"""
MEANING = {
    "lost": "lost",
    "doubled": "twice at a partner",
    "invented": "at a partner that nobody sent it to",
    "wrong": "shown otherwise than the partner holds it",
    "parked_without_reason": "parked without an induced unknown",
    "renumbered": "versions under two ids, or ids with two contents",
    "untold": "versions that the subscriber never got",
    "disordered": "versions told after a later one",
    "files_lost": "files taken and not read to their end",
    "files_doubled": "files that came again and were taken for another",
    "rows_lost": "rows of files neither heard nor kept",
    "rows_doubled": "rows stored as more than one observation",
    "rows_invented": "stored as a file's word, and no file says it",
}
ORDER: list[str] = [*KINDS]
MOST = 12
"""Violations of one name that are listed."""
Row = tuple[str, str]


def rows(result: Result) -> list[Row]:
    """What must be zero first."""
    verdict = result.verdict
    found = [(MEANING[name], str(len(getattr(verdict, name)))) for name in ZERO]
    return [
        *found,
        ("applications sent, acknowledged", f"{result.sent}, {verdict.accepted}"),
        ("applications at partners", str(verdict.opportunities)),
        ("settled: we show what the partner holds", str(verdict.settled)),
        ("held back, as they had to be", str(verdict.withheld)),
        ("decided, and told nobody by the partner", str(verdict.never_told)),
        ("parked after an induced unknown", str(verdict.parked_with_reason)),
        ("files taken; came again and were recognised", f"{verdict.files}; {verdict.files_again}"),
        ("rows about ours; rows that brought another status", f"{verdict.rows}; {verdict.rows_changed}"),
        ("rows that name nobody, kept", str(verdict.strangers)),
        ("calls met by a fault, of all", f"{verdict.touched} of {verdict.calls}"),
        ("in the stated window of a frozen sender", str(len(verdict.frozen_window))),
        ("notices that came again under their one id", str(verdict.repeated)),
        ("versions superseded after a failed try", str(verdict.superseded)),
    ]


def show(result: Result, console: Console) -> None:
    table = Table(box=None, show_header=False, title=_verdict(result.verdict), title_justify="left")
    for place, (name, number) in enumerate(rows(result)):
        style = ("green" if number == "0" else "bold red") if place < len(ZERO) else ""
        table.add_row(name, number, style=style)
    console.print(table)
    recovery = Table(box=None, title="from the end of a fault to the first progress", title_justify="left")
    for name in ("fault", "made", "with work", "p50 s", "p95 s", "most s"):
        recovery.add_column(name, justify="left" if name == "fault" else "right")
    for line in recoveries(result.carried):
        recovery.add_row(*line)
    console.print(recovery)
    for remark in (*violations(result.verdict), *_remarks(result)):
        console.print(f"  {remark}", markup=False, highlight=False)
    console.print(f"seed {result.options.seed}, {result.seconds:.0f} s; again: {command(result)}", highlight=False)


def violations(verdict: Verdict) -> Iterator[str]:
    for name in (*ZERO, "frozen_window"):
        found: Sequence[str] = getattr(verdict, name)
        yield from (f"{name.replace('_', ' ')}: {each}" for each in found[:MOST])
        if len(found) > MOST:
            yield f"{name.replace('_', ' ')}: {len(found) - MOST} more"


def _remarks(result: Result) -> Iterator[str]:
    yield from (f"the upstream was refused: {said}, {count} times" for said, count in result.refused.items())
    if result.forged:
        yield f"{result.forged} notices had a wrong signature"
    if not result.quiet:
        yield "it was not quiet when the wait was over: what is called lost may only be late"
    yield from (f"still open at the end: {each}" for each in result.unfinished[:MOST])
    count = len(result.troubles)
    yield from (f"a fault was not as planned: {each}" for each in result.troubles[:3])
    if count > 3:
        yield f"{count - 3} more faults were not as planned"


def recoveries(carried: Sequence[Carried]) -> Iterator[tuple[str, ...]]:
    """By kind, a killed server by its name."""
    times: dict[str, list[float]] = defaultdict(list)
    made: Counter[str] = Counter()
    for each in carried:
        name = each.fault.kind + (f" {each.fault.target}" if each.fault.kind == "server-kill" else "")
        made[name] += 1
        times[name] += [] if each.progress is None else [each.progress]
    for name in sorted(made, key=lambda name: (ORDER.index(name.split()[0]), name)):
        all_of = times[name]
        told = (
            [f"{each:.1f}" for each in (percentile(all_of, 50), percentile(all_of, 95), max(all_of))] if all_of else []
        )
        yield name, str(made[name]), str(len(all_of)), *(told or ["", "", ""])


def _verdict(verdict: Verdict) -> str:
    return "every promise was kept" if verdict.kept else "a promise was broken"


def command(result: Result) -> str:
    options = result.options
    asked = f"--seed {options.seed} --seconds {options.seconds:.0f} --applications {options.applications}"
    some = "" if options.kinds == frozenset(KINDS) else f" --faults {','.join(sorted(options.kinds)) or 'none'}"
    pace = "" if options.every == 4.0 else f" --every {options.every:g}"
    return f'make chaos ARGS="{asked}{some}{pace}"'


def section(result: Result, title: str) -> str:
    """As Markdown."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    kills = Counter(each.fault.kind for each in result.carried)
    lines = [
        f"## {today}, {title}: {_verdict(result.verdict)}",
        "",
        f"Commit {commit()}, seed {result.options.seed}, {result.seconds:.0f} s on {hardware()}. "
        f"{len(result.carried)} faults: {', '.join(f'{count} {kind}' for kind, count in sorted(kills.items()))}.",
        "",
        "| counted | |",
        "|---|---:|",
        *(f"| {name} | {number} |" for name, number in rows(result)),
        "",
        "| fault | made | with work | p50 s to progress | p95 s | most s |",
        "|---|---:|---:|---:|---:|---:|",
        *(f"| {' | '.join(line)} |" for line in recoveries(result.carried)),
        "",
        *(f"- {line}" for line in (*violations(result.verdict), *_remarks(result))),
        "",
        f"Again: `{command(result)}`",
        "",
    ]
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def append(text: str, page: Path = PAGE) -> None:
    """The newest run stands last."""
    page.parent.mkdir(parents=True, exist_ok=True)
    known = page.read_text() if page.exists() else HEAD
    page.write_text(f"{known.rstrip()}\n\n{text}")


def commit() -> str:
    """With a word where files differ from it."""
    name = _git("rev-parse", "--short", "HEAD")
    return f"{name} with changes" if _git("status", "--porcelain", "--untracked-files=no") else name


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=PROJECT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or ("unknown" if words[0] == "rev-parse" else "")


def hardware() -> str:
    model = next((line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "a CPU")
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return f"{os.cpu_count()} x {model}, {memory / 1024 / 1024:.0f} GiB"


def _lines(file: str) -> list[str]:
    path = Path(file)
    return path.read_text().splitlines() if path.exists() else []
