"""`python -m proofs.poison --records 10000 --seed S`: spoilt records onto every topic of a stack of its own."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.flow.stack import Stack

from proofs.poison.attack import Attack, Verdict, attack_seed


def told(verdict: Verdict) -> str:
    lines = [
        f"{verdict.sent} spoilt records sent, {verdict.letters} letters, {verdict.too_long} of them not whole",
        f"{verdict.good} good applications between them",
        f"longest that a partition stood still: {verdict.longest_stand:.1f} s; all in {verdict.seconds:.0f} s",
        "kinds: " + ", ".join(f"{kind} {count}" for kind, count in verdict.kinds.most_common()),
        *(f"{count:>8}  {reason}" for reason, count in verdict.reasons.most_common(40)),
    ]
    for name, found in verdict.bad.items():
        lines += [f"{name}: {len(found)}", *(f"  {each}" for each in found[:20])]
    return "\n".join([*lines, "NOT KEPT" if verdict.bad else "kept"])


async def run(stack: Stack, records: int, good: int, seed: int) -> Verdict:
    async with stack.client() as client:
        return await Attack(stack, seed, lambda text: print(text, flush=True)).run(client, records, good, patience=900)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs.poison", description=__doc__)
    parser.add_argument("--records", type=int, default=10_000, help="onto each topic")
    parser.add_argument("--good", type=int, default=40, help="applications between them")
    parser.add_argument("--seed")
    asked = parser.parse_args()
    seed = attack_seed(asked.seed)
    print(f"seed {seed}", flush=True)
    stack = Stack(Path(tempfile.mkdtemp(prefix="lendrail-poison-")))
    try:
        stack.up("--no-rate-limit")
        verdict = asyncio.run(run(stack, asked.records, asked.good, seed))
    finally:
        stack.down()
        shutil.rmtree(stack.folder, ignore_errors=True)
    print(told(verdict))
    return 1 if verdict.bad else 0


if __name__ == "__main__":
    sys.exit(main())
