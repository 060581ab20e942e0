"""`make overload`: a burst of ten times what the platform carries, through its front door, for two minutes.

Real Kafka, MongoDB and partners' simulators, each service a process. First it is measured how many applications a
second go all the way; then new clients come at random times, ten times as often. Half of them do as `Retry-After`
says, half come again at once; then they give up. Beside them a second tenant sends one application a second, and a
keeper asks for health. The run ends when nothing is left to do. Then the partner's own ledger is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.flow.stack import Stack

from proofs.overload.report import checks, document, show
from proofs.overload.run import Overload

REPORT = Path(__file__).parents[2] / "docs" / "proofs" / "overload.md"
UP = ("--no-rate-limit", "--no-email", "--no-outcomes")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long the burst lasts")
    parser.add_argument("--factor", type=float, default=10.0, help="how many times what the platform carries")
    parser.add_argument("--sample", type=int, default=400, help="applications by which that is measured")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the page about the run is written")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lendrail-overload-"))
    stack, load = Stack(folder), os.getloadavg()[0]
    try:
        stack.up(*UP, LENDRAIL_LOG_LEVEL="WARNING")
        run = Overload(stack, arguments.seconds, arguments.factor, lambda text: print(text, flush=True))
        found = asyncio.run(run.run(arguments.sample))
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)
    show(found)
    arguments.report.parent.mkdir(parents=True, exist_ok=True)
    arguments.report.write_text(document(found, load))
    return 0 if all(check.kept for check in checks(found)) else 1


if __name__ == "__main__":
    sys.exit(main())
