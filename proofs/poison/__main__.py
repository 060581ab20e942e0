"""`python -m proofs.poison --records 10000 --seed S`: spoilt records onto every topic of a stack of its own."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from tests.flow.stack import Stack

from proofs.ending import orderly
from proofs.page import Ran, show, write
from proofs.poison.attack import Attack, Verdict, attack_seed
from proofs.poison.report import HEAD, PAGE, checks, tables
from proofs.signed_in import client

PATIENCE_SECONDS = 3600.0
"""At most so long, once all is sent, until everything is read and every good application has ended."""


async def run(stack: Stack, records: int, good: int, seed: int) -> Verdict:
    attack = Attack(stack, seed, lambda text: print(text, flush=True))
    async with client(stack) as signed_in:
        return await attack.run(signed_in, records, good, patience=PATIENCE_SECONDS)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs.poison", description=__doc__)
    parser.add_argument("--records", type=int, default=10_000, help="onto each topic")
    parser.add_argument("--good", type=int, default=40, help="applications between them")
    parser.add_argument("--seed")
    parser.add_argument("--report", type=Path, default=PAGE, help="where the page about the run is written")
    asked = parser.parse_args()
    orderly()
    seed, ran = attack_seed(asked.seed), Ran()
    print(f"seed {seed}", flush=True)
    stack = Stack(Path(tempfile.mkdtemp(prefix="lendrail-poison-")))
    try:
        stack.up("--no-rate-limit")
        found = asyncio.run(run(stack, asked.records, asked.good, seed))
    finally:
        stack.down()
        shutil.rmtree(stack.folder, ignore_errors=True)
    told = tables(found, seed)
    show(told, Console(highlight=False, width=140))
    write(asked.report, HEAD, ran, told)
    return 0 if all(check.kept for check in checks(found)) else 1


if __name__ == "__main__":
    sys.exit(main())
