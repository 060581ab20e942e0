"""`make chaos` and `make chaos-night`: a run, its board, its verdict. Exit code 1 when a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import logging
import secrets
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from lendrail.local.programs import KAFKA, MONGO
from lendrail.local.servers import ServerError
from proofs.chaos import board, report
from proofs.chaos.faults import Unwell
from proofs.chaos.plan import KINDS, plan
from proofs.chaos.run import Result, Run
from proofs.chaos.shapes import Fault, Kind, Options

NONE = "none"
NIGHT_APPLICATIONS, NIGHT_STEP = 10_000, 300.0
NIGHT = {"services": 330, KAFKA: 11, MONGO: 11}
"""Kills of a night at least: more are planned than must be made (300, 10, 10), since one may meet what is dead."""


def options(words: list[str]) -> tuple[Options, argparse.Namespace]:
    parser = argparse.ArgumentParser(prog="python -m proofs.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="for how long faults are made")
    parser.add_argument("--applications", type=int, default=None, help="default 500; of a night 10 000")
    parser.add_argument("--seed", type=int, default=None, help="drawn where it is absent, and told")
    parser.add_argument("--faults", default=",".join(KINDS), help=f"some of {','.join(KINDS)}; or {NONE}")
    parser.add_argument("--every", type=float, default=4.0, help="seconds between faults on average")
    parser.add_argument("--night", action="store_true", help="until enough was killed")
    parser.add_argument("--keep", type=Path, help="a new folder for data, logs and ledgers, which stays")
    parser.add_argument("--report", type=Path, help="a Markdown file to which the report is appended")
    asked = parser.parse_args(words)
    wanted: list[Kind] = [kind for kind in KINDS if kind in asked.faults.split(",")]
    if unknown := set(asked.faults.split(",")) - {*KINDS, NONE}:
        parser.error(f"there is no fault {', '.join(sorted(unknown))}")
    made = Options(
        seed=secrets.randbelow(2**31) if asked.seed is None else asked.seed,
        seconds=asked.seconds,
        applications=asked.applications or (NIGHT_APPLICATIONS if asked.night else 500),
        kinds=frozenset(wanted),
        every=asked.every,
    )
    return (long_enough(made) if asked.night else made), asked


def long_enough(made: Options) -> Options:
    """The shortest run that has all kills of a night."""
    while any(killed(plan(made))[name] < count for name, count in NIGHT.items()):
        made = Options(**{**vars(made), "seconds": made.seconds + NIGHT_STEP})
    return made


def killed(faults: Iterable[Fault]) -> Counter[str]:
    """Kills of services, of Kafka, of MongoDB."""
    kinds = {"kill": "services", "kill-at": "services"}
    return Counter(
        fault.target if fault.kind == "server-kill" else kinds[fault.kind]
        for fault in faults
        if fault.kind in (*kinds, "server-kill")
    )


async def play(made: Options, folder: Path, console: Console) -> Result:
    run = Run(made, folder)
    async with board.shown(run.state, console):
        return await run.run()


def main(words: list[str]) -> int:
    made, asked = options(words)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that Kafka is away is what we are here for
    console = Console()
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="lendrail-chaos-"))
    begun = f"{made.applications} applications, faults for {made.seconds:.0f} s, seed {made.seed}"
    console.print(f"{begun}; files in {folder}", highlight=False)
    try:
        result = asyncio.run(play(made, folder, console))
    except (ServerError, Unwell, TimeoutError) as error:
        console.print(f"no verdict: {error or type(error).__name__}; seed {made.seed}, logs in {folder}", markup=False)
        return 2
    report.show(result, console)
    if asked.report or asked.night:
        title = "a night" if asked.night else "a run"
        report.append(report.section(result, title), asked.report or report.PAGE)
    if result.verdict.kept and not asked.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if result.verdict.kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
