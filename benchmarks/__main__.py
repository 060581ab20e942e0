"""`make bench`: Lendrail's own services against a bare loop, one run, the same machine, the same durability.

Applications are published to the Kafka intake all at once (or at a rate, for latency); the clock runs from the first
record published to the last decision stated on the status topic. The simulated partner decides at once, has no rate
limit, and is the same program on both sides, and so are Kafka, MongoDB and the endpoint that receives the notices.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from proofs.watch import Seen, Usage, percentile, usage, watch
from pymongo import MongoClient
from rich.console import Console
from rich.table import Table

from benchmarks.amendments import run as amend_many
from benchmarks.hanging import run as hang_one
from benchmarks.imports import run as import_files
from benchmarks.lists import run as ask_lists
from benchmarks.mixed_load import run as mix_load
from benchmarks.recovery import run as recover
from benchmarks.sides import PARTNER, Bare, Lendrail, Side, get, running
from benchmarks.waits import LENDERS
from benchmarks.webhooks import run as call_doors

console = Console(highlight=False, width=140)


@dataclass
class Result:
    side: str
    count: int
    seconds: float
    to_partner: list[float]
    to_status: list[float]
    use: dict[str, Usage]
    writes: float
    calls: float
    notices: float

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    @property
    def cpu(self) -> float:
        """CPU seconds of the side's own processes for each 1 000 applications."""
        return sum(each.cpu for each in self.use.values()) / self.count * 1000


async def publish_all(kafka: str, topic: str, records: Sequence[tuple[bytes, Any, bytes]], rate: float | None) -> None:
    """Publish; at random times with the mean `rate` a second when that is given."""
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True)
    await producer.start()
    futures = []
    for value, headers, key in records:
        futures.append(await producer.send(topic, value, key=key, headers=headers))
        if rate:
            await asyncio.sleep(random.expovariate(rate))
    await asyncio.gather(*futures)
    await producer.stop()


def operations(mongo: str) -> int:
    """Documents written since MongoDB started."""
    with MongoClient[dict[str, Any]](mongo) as client:
        written = client.admin.command("serverStatus")["metrics"]["document"]
    return int(written["inserted"] + written["updated"] + written["deleted"])


async def measure(side: Side, count: int, start: int, rate: float | None, seconds: float) -> Result:
    """One run; `start` applications were sent before."""
    records = side.records(count, start)
    before, written = usage(side.pids), operations(side.mongo)
    called = get(f"{side.sandbox}/_ledger/{PARTNER}/summary")["counts"]["calls"]
    told = get(side.notices)
    seen, begin = Seen(), time.time()
    async with asyncio.timeout(seconds):
        await asyncio.gather(
            publish_all(side.kafka, side.topic, records, rate),
            watch(side.kafka, side.results, side.decided, start + count, seen),
        )
    end = max(seen.decided.values())
    await asyncio.sleep(3)
    after = usage(side.pids)
    use = {n: Usage(after[n].cpu - before[n].cpu, after[n].peak) for n in after}
    accepted, partner = await side.accepted(start + count), side.called()
    ours = [key for key, time_ in accepted.items() if time_ >= begin - 0.01 and key in partner]
    return Result(
        side.name,
        count,
        end - begin,
        [partner[key] - accepted[key] for key in ours],
        [seen.decided[key] - accepted[key] for key in ours if key in seen.decided],
        use,
        (operations(side.mongo) - written) / count,
        (get(f"{side.sandbox}/_ledger/{PARTNER}/summary")["counts"]["calls"] - called) / count,
        (get(side.notices) - told) / count,
    )


def show(results: Sequence[Result], title: str) -> None:
    table = Table(title=title, box=None, title_justify="left")
    columns = ("side", "applications", "a second", "to partner p50/p99 ms", "to status p50/p99 ms", "CPU s/1000")
    for name in (*columns, "writes", "partner calls", "notices"):
        table.add_column(name, justify="right")
    for r in results:
        ms = [f"{percentile(v, 50) * 1000:.0f} / {percentile(v, 99) * 1000:.0f}" for v in (r.to_partner, r.to_status)]
        cells = (
            r.side,
            str(r.count),
            f"{r.rate:.1f}",
            *ms,
            f"{r.cpu:.2f}",
            f"{r.writes:.1f}",
            f"{r.calls:.2f}",
            f"{r.notices:.2f}",
        )
        table.add_row(*cells)
    console.print(table)
    for r in results:
        parts = ", ".join(f"{n} {u.cpu / r.count * 1000:.2f} s {u.peak:.0f} MB" for n, u in r.use.items())
        console.print(f"  {r.side} {r.count}: CPU s/1000 and peak memory: {parts}")


def _counts(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--applications", type=int, nargs="+", default=[1000, 10_000, 30_000])
    parser.add_argument("--sides", nargs="+", default=["bare", "lendrail"], choices=["bare", "lendrail"])
    parser.add_argument("--latency-rate", type=float, default=5.0, help="random arrivals a second; 0 leaves this out")
    hanging = parser.add_argument_group("one partner of five hangs, instead of the comparison")
    hanging.add_argument(
        "--hanging",
        type=float,
        nargs="*",
        metavar="SECONDS",
        help="for each call (default 30); several: one after the other",
    )
    hanging.add_argument("--partner", default="forward-financing", choices=list(LENDERS), help="the one that hangs")
    hanging.add_argument("--phase", type=int, default=300, help="applications in each phase")
    hanging.add_argument("--rate", type=float, default=2.0, help="applications a second, at random times")
    parser.add_argument(
        "--webhooks",
        type=int,
        nargs="?",
        const=3000,
        metavar="COUNT",
        help="so many calls of a partner beside a bare door (default 3000), and how soon one is a status, "
        "instead of the comparison",
    )
    parser.add_argument(
        "--imports",
        type=int,
        nargs="?",
        const=20_000,
        metavar="COUNT",
        help="a file of statuses with so many rows (default 20000), instead of the comparison",
    )
    parser.add_argument(
        "--lists",
        type=_counts,
        metavar="COUNTS",
        help="lists and search among so many applications, such as 10000,1000000, instead of the comparison",
    )
    parser.add_argument(
        "--amendments",
        type=int,
        nargs="?",
        const=500,
        metavar="COUNT",
        help="so many applications and a change of each (default 500), instead of the comparison",
    )
    parser.add_argument(
        "--mixed-load",
        type=float,
        nargs="?",
        const=1.0,
        metavar="RATE",
        help="one partner holds 70 %% of the work and one is dead, beside so many applications a second to others "
        "(default 1), instead of the comparison; writes docs/proofs/mixed-load.md, exit code 1: a target is missed",
    )
    parser.add_argument(
        "--recovery",
        type=int,
        nargs="?",
        const=5,
        metavar="TIMES",
        help="how soon work goes on after each kind of death (default 5 times each), instead of the comparison; writes "
        "docs/proofs/recovery.md, exit code 1: a target is missed",
    )
    arguments = parser.parse_args()
    if arguments.recovery is not None:
        sys.exit(not recover(arguments.recovery))
    if arguments.mixed_load is not None:
        sys.exit(not mix_load(arguments.mixed_load))
    if arguments.amendments is not None:
        amend_many(arguments.amendments)
        return
    if arguments.webhooks is not None:
        call_doors(arguments.webhooks)
        return
    if arguments.imports is not None:
        import_files(arguments.imports)
        return
    if arguments.lists is not None:
        ask_lists(arguments.lists)
        return
    if arguments.hanging is not None:
        hang_one(arguments.hanging or [30.0], arguments.partner, arguments.phase, arguments.rate)
        return
    results: list[Result] = []
    quiet: list[Result] = []
    for name in arguments.sides:
        kind: type[Side] = Bare if name == "bare" else Lendrail
        with running(kind) as side:
            sent = 100
            asyncio.run(measure(side, sent, 0, None, 60))  # warm
            if arguments.latency_rate:
                quiet.append(asyncio.run(measure(side, 200, sent, arguments.latency_rate, 300)))
                sent += 200
            for count in arguments.applications:
                results.append(asyncio.run(measure(side, count, sent, None, 60 + count / 10)))
                show(results[-1:], f"{name} {count}")
                sent += count
    show(results, "all at once")
    if quiet:
        show(quiet, f"random arrivals, {arguments.latency_rate:g} a second")
    rates = {(r.side, r.count): r.rate for r in results}
    for count in arguments.applications:
        if ("bare", count) in rates and ("lendrail", count) in rates:
            ratio = rates["lendrail", count] / rates["bare", count]
            console.print(f"{count} applications: Lendrail does {ratio:.2f} of the bare loop")


if __name__ == "__main__":
    main()
