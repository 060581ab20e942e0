"""`make sabotage`: every protection off once, in a copy. Ends with 1 when a proof stays green, or a row is stale."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lendrail.local.servers import Kafka, Mongo
from proofs.sabotage.copied import Copy
from proofs.sabotage.report import PAGE, line, page
from proofs.sabotage.row import Row
from proofs.sabotage.run import Found, sabotaged, whole
from proofs.sabotage.table import ROWS

PROJECT = Path(__file__).resolve().parents[2]


@contextmanager
def servers(rows: Sequence[Row], folder: Path) -> Iterator[dict[str, str]]:
    """One MongoDB for all runs, and one Kafka where a proof needs it, unless the environment names some."""
    with ExitStack() as running:
        told: dict[str, str] = {}
        if "MONGO_URL" not in os.environ:
            mongo = Mongo(folder / "mongo").start()
            running.callback(mongo.stop)
            told["MONGO_URL"] = mongo.url
        if any(row.kafka for row in rows) and "KAFKA_BOOTSTRAP_SERVERS" not in os.environ:
            kafka = Kafka(folder / "kafka").start()
            running.callback(kafka.stop)
            told["KAFKA_BOOTSTRAP_SERVERS"] = kafka.bootstrap
        yield told


def run(rows: Sequence[Row], folder: Path) -> Iterator[Found]:
    """What is found of each, as soon as it is."""
    copy = Copy(PROJECT, folder / "copy")
    with servers(rows, folder) as told:
        before = whole(copy, rows, told)
        for row in rows:
            yield sabotaged(copy, row, before, told)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs.sabotage", description=__doc__)
    parser.add_argument("--only", metavar="NAME", action="append", choices=[row.name for row in ROWS])
    asked = parser.parse_args().only
    rows = [row for row in ROWS if not asked or row.name in asked]
    all_found: list[Found] = []
    with tempfile.TemporaryDirectory(prefix="sabotage-") as folder:
        print(f"{len(rows)} protections; first every proof with all of them on ...", flush=True)
        for found in run(rows, Path(folder)):
            all_found.append(found)
            print(line(found), flush=True)
            if not asked:
                (PROJECT / PAGE).parent.mkdir(parents=True, exist_ok=True)
                (PROJECT / PAGE).write_text(page(all_found, len(rows), PROJECT))
    failed = [each for each in all_found if each.fault]
    print(f"{len(all_found) - len(failed)} of {len(all_found)} violations reported")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
