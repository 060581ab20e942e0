"""`make bench ARGS="--mixed-load"`: what a partner with most of the work, and a dead one, cost the others.

Three lenders get the same applications at the same random times in each phase. In the middle one a fourth gets them as
well and answers nothing, and a fifth gets so many of its own that 70 % of all work is its. The phases before and after,
without these two, are the yardstick; see `hanging.py`, whose method this is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from proofs.ending import orderly
from proofs.page import PAGES, Check, Ran, Table, show, verdict, write
from rich.console import Console

from benchmarks.hanging import Bench
from benchmarks.sides import Lendrail, running
from benchmarks.waits import FROM, LENDERS, Phase, compared, ratio, tables, yardstick

PAGE = PAGES / "mixed-load.md"
HEAVY, DEAD = "forward-financing", "finpace"
OTHERS = tuple(each for each in LENDERS if each not in (HEAVY, DEAD))
HEAVY_SHARE = 0.7
DEAD_SECONDS = 90.0
"""It sits on each call for longer than we wait."""
COUNT = 120
"""Applications of each phase for the others."""
MOST = 1.1
"""So many times as long as without the two may the slowest hundredth of the others' applications take."""
HEAD = f"""# Mixed load: one partner has most of the work, and one is dead

Written by `make bench ARGS="--mixed-load"`. Three lenders ({", ".join(OTHERS)}) get the same applications at the same
random times in each of three phases of one run on one stack. In the middle one {DEAD} gets them as well and sits on
each call for {DEAD_SECONDS:.0f} s, which is longer than we wait, and {HEAVY} gets so many of its own that
{HEAVY_SHARE:.0%} of all work is its. The phases before and after, without these two, are the yardstick; how much they
differ from one another is the noise. Waits are from our event to the partner's own note of when the call arrived.
"""
console = Console(highlight=False, width=140)


def run(rate: float, count: int = COUNT, page: Path = PAGE) -> bool:
    """Measure, tell, and write the page. Whether all was kept."""
    orderly()
    ran = Ran()
    with running(Lendrail) as side:
        bench = Bench(side, DEAD, rate)
        phases = asyncio.run(_phases(bench, count))
        counts = bench.lost_or_twice(phases)
    judged = checks(phases, counts)
    told = [*tables(phases, DEAD), _work(phases, counts), verdict(judged)]
    show(told, console)
    write(page, HEAD, ran, told)
    return all(check.kept for check in judged)


async def _phases(bench: Bench, count: int) -> list[Phase]:
    beside = count * (len(OTHERS) + 1)
    heavy = round(beside * HEAVY_SHARE / (1 - HEAVY_SHARE))
    await bench.phase("warm", count)
    first = await bench.phase("without 1", count, lenders=OTHERS)
    both = await bench.phase("with both", count, DEAD_SECONDS, (*OTHERS, DEAD), (HEAVY, heavy))
    return [first, both, await bench.phase("without 2", count, lenders=OTHERS)]


def checks(phases: Sequence[Phase], counts: Mapping[str, tuple[int, int]]) -> list[Check]:
    """`counts`: by partner, how many never arrived, and how many more than once."""
    lost, twice = (sum(each) for each in zip(*counts.values(), strict=True))
    others = compared(phases, DEAD)
    found = [
        Check("nothing is lost, the dead one's and the heavy one's included", lost == 0, str(lost)),
        Check("nothing is at a partner twice", twice == 0, str(twice)),
    ]
    for phase in phases:
        if phase.hang:
            waited = phase.waiting > 0
            found.append(Check("the dead one was dead", waited, f"{phase.waiting} waited for it"))
        for title, pick in FROM.items():
            if phase.hang:
                seen = ratio(phase, yardstick(phases, phase), others, pick)
                found.append(Check(f"the others' p99 {title}: at most {MOST:g} times", seen <= MOST, f"{seen:.2f}"))
    return found


def _work(phases: Sequence[Phase], counts: Mapping[str, tuple[int, int]]) -> Table:
    """What each partner had to get in all phases."""
    rows = []
    for partner, (lost, twice) in counts.items():
        asked = [
            sum((len(phase.sent) * (partner in phase.lenders), len(phase.crowd) * (partner == phase.crowded)))
            for phase in phases
        ]
        rows.append((partner, *map(str, asked), str(lost), str(twice)))
    return Table("Applications", ("partner", *(phase.name for phase in phases), "lost", "twice"), rows)
