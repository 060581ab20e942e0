"""A proof run against a copy, as the whole and as the sabotaged one, and what is to be said of both runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from proofs.sabotage.copied import Copy, Moved, module_of
from proofs.sabotage.row import Row

LIMIT_SECONDS = 180.0
"""For each proof of a run; one that hangs without its protection reports nothing."""
REPORTS = ("AssertionError", "Failed")
"""What a proof raises to report a violation; anything else is a crash."""
LONGEST = 160


@dataclass(frozen=True, kw_only=True)
class Note:
    """One phase of one test."""

    test: str
    phase: str
    kind: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What came of one run."""

    notes: tuple[Note, ...]
    origins: tuple[str, ...]
    """Where each Python program of the run took the sabotaged module from."""
    tail: str
    ended: bool
    """By itself, in time."""

    def of(self, proof: str) -> list[Note]:
        return [each for each in self.notes if each.test == proof or each.test.startswith((f"{proof}[", f"{proof}::"))]

    def green(self, proof: str) -> bool:
        found = self.of(proof)
        return self.ended and any(each.phase == "call" for each in found) and not any(each.kind for each in found)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is said of one protection. `fault` is why the row fails; none: the violation was reported."""

    row: Row
    violation: str = ""
    fault: str = ""
    programs: int = 0
    """Python programs of the sabotaged run, all of which had the copy."""
    seconds: float = 0.0


def whole(copy: Copy, rows: Sequence[Row], environment: Mapping[str, str]) -> Ran:
    """All proofs, while every protection is on. One that is red gets a second try, as on a machine that is busy."""
    proofs, file = list(dict.fromkeys(each for row in rows for each in row.proofs)), rows[0].edits[0].file
    first = _run(copy, proofs, file, environment)
    red = [each for each in proofs if not first.green(each)]
    if not red or len(red) == len(proofs):
        return first
    again = _run(copy, red, file, environment)
    stays = [note for note in first.notes if not any(note in first.of(each) for each in red)]
    return replace(first, notes=(*stays, *again.notes), ended=again.ended)


def sabotaged(copy: Copy, row: Row, before: Ran, environment: Mapping[str, str]) -> Found:
    """One proof, while its protection is off; `before` is the run in which it was on."""
    red = [each for each in row.proofs if not before.green(each)]
    if red:
        return Found(row=row, fault=f"not green with its protection: {red[0]}: {_why(before, red[0])}")
    began = time.monotonic()
    try:
        with copy.without(row.edits):
            ran = _run(copy, row.proofs, row.edits[0].file, environment)
    except Moved as moved:
        return Found(row=row, fault=f"moved: {moved}")
    took = time.monotonic() - began
    fault, violation = judged(row, ran, copy.root)
    return Found(row=row, fault=fault, violation=violation, programs=len(ran.origins), seconds=took)


def judged(row: Row, ran: Ran, root: Path) -> tuple[str, str]:
    """The fault of the row, or the violation that its proof reported."""
    strangers = [each for each in ran.origins if not Path(each).is_relative_to(root)]
    if strangers or not ran.origins:
        return "a program of the run did not have the copy", ""
    raised = [each for proof in row.proofs for each in ran.of(proof) if each.kind]
    told = [each for each in raised if each.phase == "call" and each.kind in REPORTS]
    for each in told:
        if re.search(row.reports, each.text):
            return "", _line(each, row.reports)
    if raised:
        return f"red for another reason: {raised[0].kind}: {_first(raised[0].text)}", ""
    if not ran.ended or not any(ran.of(each) for each in row.proofs):
        return f"the proof did not come to its end: {ran.tail}", ""
    return "STAYS GREEN without its protection", ""


def _why(ran: Ran, proof: str) -> str:
    found = next((each for each in ran.of(proof) if each.kind), None)
    return f"{found.kind}: {_first(found.text)}" if found else ran.tail


def _line(note: Note, pattern: str) -> str:
    """The first line, or the one that says it."""
    lines = [each.strip() for each in note.text.splitlines() if each.strip()]
    return _plain(next((each for each in lines[:1] if re.search(pattern, each)), None) or _saying(lines, pattern))


def _saying(lines: Sequence[str], pattern: str) -> str:
    return next((each for each in lines if re.search(pattern, each)), lines[0])


def _first(text: str) -> str:
    return _plain(next((each.strip() for each in text.splitlines() if each.strip()), ""))


def _plain(text: str) -> str:
    """Without what differs from run to run and from machine to machine."""
    text = re.sub(r" at 0x[0-9a-f]+", "", text)
    text = re.sub(r"(/[\w.+-]+){2,}/", "…/", text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _run(copy: Copy, proofs: Sequence[str], file: str, environment: Mapping[str, str]) -> Ran:
    """A run in which something could not be set up, as on a machine that is busy, tells nothing: once more then."""
    ran = _once(copy, proofs, file, environment)
    unset = any(each.kind and each.phase == "setup" for each in ran.notes)
    return _once(copy, proofs, file, environment) if unset else ran


def _once(copy: Copy, proofs: Sequence[str], file: str, environment: Mapping[str, str]) -> Ran:
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        folder = Path(name)
        notes, seen, log = folder / "notes", folder / "seen", folder / "log"
        told = {
            "PYTHONPATH": copy.path,
            "PROOFS_NOTES": str(notes),
            "PROOFS_SEEN": str(seen),
            "PROOFS_SABOTAGED": module_of(file),
        }
        options = ["-p", "proofs.sabotage.notes", "-p", "no:cacheprovider", "--hypothesis-seed=6", "--tb=line", "-q"]
        command = [sys.executable, "-m", "pytest", *options, f"--basetemp={folder / 'tests'}", *proofs]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=copy.root, env=os.environ | dict(environment) | told, stdout=out, stderr=out,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            ended = _wait(process, LIMIT_SECONDS * len(proofs))
        return Ran(
            notes=tuple(Note(**json.loads(line)) for line in _lines(notes)),
            origins=tuple(_lines(seen)),
            tail=_first("\n".join(reversed(_lines(log)))),
            ended=ended,
        )


def _wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it ended by itself; nothing of it is left in any case."""
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines() if path.exists() else []
