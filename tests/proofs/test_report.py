"""What people see of a chaos run: the options, the section of the page, and how it is repeated."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from proofs.chaos import __main__ as cli
from proofs.chaos import report
from proofs.chaos.plan import KINDS, plan
from proofs.chaos.run import Result
from proofs.chaos.shapes import Carried, Fault, Kind, Options, Verdict
from rich.console import Console

OPTIONS = Options(seed=7, seconds=60, applications=40, kinds=frozenset(KINDS))


def carried(kind: Kind, target: str, progress: float | None) -> Carried:
    return Carried(fault=Fault(at=1, kind=kind, target=target, seconds=1), began=1, ended=2, progress=progress)


def result(verdict: Verdict, *faults: Carried) -> Result:
    return Result(
        verdict=verdict, options=OPTIONS, carried=faults, troubles=(), sent=40, refused={}, forged=0, unfinished=(),
        seconds=90,
    )  # fmt: skip


def test_the_section_says_what_broke_how_fast_it_came_back_and_how_to_repeat_it() -> None:
    broken = replace(Verdict(accepted=40), lost=("ZZ000001 at finpace",), parked_with_reason=3)
    faults = [carried("kill", "status", 1.0), carried("kill", "gateway", 3.0), carried("server-kill", "kafka", None)]
    text = report.section(result(broken, *faults), "a run")
    assert "a promise was broken" in text
    assert "| lost | 1 |" in text
    assert "- lost: ZZ000001 at finpace" in text
    assert "| kill | 2 | 2 | 2.0 | 2.9 | 3.0 |" in text
    assert "| server-kill kafka | 1 | 0 |  |  |  |" in text
    assert 'make chaos ARGS="--seed 7 --seconds 60 --applications 40"' in text
    assert "every promise was kept" in report.section(result(Verdict(accepted=40)), "a run")


def test_the_page_grows_by_sections(tmp_path: Path) -> None:
    page = tmp_path / "chaos.md"
    for name in ("one", "two"):
        report.append(f"## {name}\n", page)
    text = page.read_text()
    assert text.startswith("# Chaos")
    assert text.index("## one") < text.index("## two")


def test_the_terminal_shows_every_number(capsys: pytest.CaptureFixture[str]) -> None:
    report.show(result(Verdict(accepted=40)), Console(width=140))
    said = capsys.readouterr().out
    assert all(name in said for name, _ in report.rows(result(Verdict(accepted=40))))


def test_options() -> None:
    made, _ = cli.options(["--seed", "3", "--faults", "kill,freeze"])
    assert (made.seed, made.seconds, made.applications) == (3, 180, 500)
    assert made.kinds == frozenset({"kill", "freeze"})
    assert cli.options(["--faults", "none"])[0].kinds == frozenset()
    assert cli.options([])[0].kinds == frozenset(KINDS)
    with pytest.raises(SystemExit):
        cli.options(["--faults", "kil"])


def test_a_night_is_as_long_as_its_kills_take() -> None:
    made, _ = cli.options(["--night", "--seed", "3"])
    killed = cli.killed(plan(made))
    assert killed >= Counter({"services": 300, "kafka": 10, "mongo": 10})
    assert made.applications == 10_000
    assert made.seconds <= 4 * 3600
