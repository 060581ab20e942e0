"""`python -m proofs.models`: the long form of the model tests, each as long as it is asked for.

--histories 100000 folds so many histories of an opportunity, each in several orders; --examples so many runs of every
machine of attempts; --lives so many runs of workers in virtual time; --doors so many runs at both doors, which need
MONGO_URL.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable

from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from proofs.models.attempts import MACHINES
from proofs.models.doors import Doors
from proofs.models.histories import Histories
from proofs.models.leases import Life


def folds(count: int, seed: int) -> list[str]:
    histories = Histories(seed)
    return [fault for number in range(count) if (fault := histories.check(number))]


def attempts(count: int, seed: int) -> list[str]:
    limits = hypothesis_settings(max_examples=count, stateful_step_count=40, deadline=None, database=None)
    for machine in MACHINES:
        run_state_machine_as_test(machine, settings=limits)
    return []


def lives(count: int, seed: int) -> list[str]:
    found = []
    for number in range(seed, seed + count):
        found += [f"seed {number}: {fault}" for fault in Life(number).run().faults]
    return found


def doors(count: int, seed: int) -> list[str]:
    Doors.mongo = os.environ["MONGO_URL"]
    limits = hypothesis_settings(max_examples=count, stateful_step_count=25, deadline=None, database=None)
    run_state_machine_as_test(Doors, settings=limits)
    return []


RUNS: dict[str, Callable[[int, int], list[str]]] = {
    "histories": folds, "examples": attempts, "lives": lives, "doors": doors,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs.models", description=__doc__)
    for name in RUNS:
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    asked = parser.parse_args()
    bad = False
    for name, run in RUNS.items():
        count = getattr(asked, name)
        if count:
            began = time.monotonic()
            faults = run(count, asked.seed)
            bad = bad or bool(faults)
            print(f"{name}: {count} of seed {asked.seed} in {time.monotonic() - began:.0f} s, {len(faults)} faults")
            print("\n".join(faults[:20]))
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
