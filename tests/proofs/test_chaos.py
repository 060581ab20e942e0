"""The short form of `make chaos`: a stack of its own, a few applications, every kind of fault; no promise broken."""

from __future__ import annotations

import json
from pathlib import Path

from proofs.chaos.plan import KINDS, plan
from proofs.chaos.report import section, show
from proofs.chaos.run import Run
from proofs.chaos.shapes import Options
from rich.console import Console

OPTIONS = Options(seed=6, seconds=45, applications=40, kinds=frozenset(KINDS), every=2.0)


async def test_nothing_is_lost_sent_twice_or_shown_wrong(tmp_path: Path) -> None:
    result = await Run(OPTIONS, tmp_path).run()
    show(result, Console(width=140))
    verdict = result.verdict
    assert verdict.kept, section(result, "the short form")
    assert verdict.accepted == result.sent == OPTIONS.applications, result.refused
    assert (result.refused, result.forged, result.quiet) == ({}, 0, True)
    planned = plan(OPTIONS)
    assert {each.kind for each in planned} == set(KINDS)
    assert len(result.carried) >= 0.8 * len(planned), result.troubles
    assert verdict.files > 0
    assert verdict.rows > 0
    assert verdict.strangers > 0
    ended = verdict.settled + verdict.withheld + verdict.never_told + verdict.parked_with_reason
    assert verdict.opportunities <= ended, "what is parked beside a creation is counted too"
    lines = [json.loads(line) for line in (tmp_path / "upstream.jsonl").read_text().splitlines()]
    assert sum(line["kind"] == "accepted" for line in lines) == OPTIONS.applications
