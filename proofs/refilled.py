"""How long an empty Kafka takes to be filled again: `python -m proofs.refilled --applications 10000`.

A stack carries some applications to their end; then its services stop, and what they stored is multiplied inside
MongoDB until there are as many as asked for. Kafka is killed, its folder deleted, and an empty one takes its place.
Each service's own command then publishes all of it, as an operator would run it. Receivers are away, so this is the
commands alone; records are of true sizes. In the end Kafka must hold as many records as the commands say.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from pymongo import MongoClient
from rich.console import Console
from tests.flow.stack import SERVICES, Stack

from lendrail.local import control, topics
from lendrail.local.configure import files_of
from lendrail.local.programs import Addresses, command, environment
from lendrail.local.servers.process import started_at
from lendrail.local.state import State, read_json
from proofs.ending import orderly
from proofs.judged import send, settled
from proofs.page import PAGES, Check, Ran, Table, show, verdict, write

FEW = 100
CARRY_SECONDS = 180.0
LOOK_SECONDS = 0.1
STORED = {
    "gateway": ("applications", "webhooks"),
    "validation": ("reports",),
    "documents": ("packages",),
    "submission": ("opportunities",),
    "status": ("opportunities",),
    "notifications": ("deliveries",),
}
UNIQUE = ("idempotency", "amendments", "audit", "partner_id", "pending")
"""Fields of unique indexes, and what a relay or a chain would take up."""
COPY = re.compile("-x[0-9]+$")
"""How the ids of copies end."""
PAGE = PAGES / "refilled.md"
HEAD = """# How long an empty Kafka takes to be filled again

Written by `python -m proofs.refilled`. A stack carries some applications to their end; then its services stop, and what
they stored is multiplied inside MongoDB. Kafka is killed, its folder deleted, and an empty one takes its place. Each
service's own command ([../rebuild.md](../rebuild.md)) publishes all of it, one command after the other, on the machine
that also runs Kafka and MongoDB. Receivers are away, so this is the commands alone; a command's start is in its time.
"""
console = Console(highlight=False, width=140)


@dataclass(frozen=True)
class Published:
    """One service's command."""

    service: str
    events: int
    seconds: float
    peak: int
    """Bytes of memory."""


def _carried(stack: Stack) -> None:
    """A few applications to their end; then nobody is there who would hear of anything."""

    async def carry() -> None:
        async with stack.client() as client:
            done = await settled(stack, client, await send(client, FEW), CARRY_SECONDS)
            assert not done.wrong, f"not as it must be, so nothing to multiply: {done.wrong[0]}"

    asyncio.run(carry())
    for name in SERVICES:
        ended, said = control.ask(State(stack.folder), "stop", name, {})
        assert ended, said


def _multiply(mongo: str, times: int) -> None:
    """Each document stands there so many times, under ids that sort apart."""
    with MongoClient[dict[str, Any]](mongo) as client:
        for owner, names in STORED.items():
            for name in names:
                for number in range(1, times):
                    client[owner][name].aggregate(copied(owner, name, number))


def copied(owner: str, name: str, number: int) -> list[dict[str, Any]]:
    """The stages that add one copy of each document that is none. Histories of several documents are copied whole."""
    suffix = f"-x{number}"
    renamed = {field: {"$concat": [f"${field}", suffix]} for field in ("_id", *_named(owner))}
    return [
        {"$match": {"_id": {"$not": COPY}}},
        {"$unset": list(UNIQUE)},
        {"$set": renamed},
        {"$merge": {"into": name}},
    ]


def _named(owner: str) -> tuple[str, ...]:
    return ("application",) if owner in ("validation", "documents") else ()


def _empty(stack: Stack) -> Addresses:
    """A Kafka that has nothing but its topics."""
    pid = stack.endpoints["services"]["kafka"]["pid"]
    stack.kill("kafka")
    while started_at(pid) is not None:
        time.sleep(LOOK_SECONDS)
    shutil.rmtree(stack.folder / "data" / "kafka" / "data")
    stack.restart("kafka")
    kafka, state = stack.endpoints["kafka"], State(stack.folder)
    asyncio.run(topics.apply(kafka, *topics.of_tenants(files_of(state).tenants)))
    return Addresses(kafka, stack.endpoints["mongo"], read_json(state.folder / "ports.json"))


def _published(stack: Stack, addresses: Addresses) -> Iterator[Published]:
    """What each command says, and what it took."""
    state = State(stack.folder)
    for name in SERVICES:
        told = environment(name, state, files_of(state), addresses)
        program = [*command(name, state, addresses), "republish"]
        said = stack.folder / "logs" / f"{name}-republish.log"
        began, peak = time.monotonic(), 0
        with said.open("wb") as out:
            running = psutil.Popen(program, env=told, stdout=out, stderr=out)
            while running.poll() is None:
                peak = max(peak, _memory(running))
                time.sleep(LOOK_SECONDS)
        seconds = time.monotonic() - began
        assert running.returncode == 0, said.read_text()[-3000:]
        yield Published(name, events_of(said.read_text()), seconds, peak)


def events_of(said: str) -> int:
    """By the last line of each source."""
    return sum(int(count) for count in re.findall(r"all (\d+) events", said))


def _memory(process: psutil.Popen) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


async def records(kafka: str) -> int:
    """How many Kafka has in all topics but its own."""
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=kafka)
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await admin.start()
    await consumer.start()
    try:
        described = [each for each in await admin.describe_topics() if not each["is_internal"]]
        places = [TopicPartition(each["topic"], part["partition"]) for each in described for part in each["partitions"]]
        return sum((await consumer.end_offsets(places)).values())
    finally:
        await consumer.stop()
        await admin.close()


def checks(found: list[Published], applications: int, records: int) -> list[Check]:
    events = sum(each.events for each in found)
    by_service = {each.service: each.events for each in found}
    wanted = by_service.get("gateway", 0) >= applications and all(each.events > 0 for each in found)
    return [
        Check("every service published, the gateway each application", wanted, str(by_service.get("gateway", 0))),
        Check("Kafka holds what the commands say", events == records, f"{records} records of {events} events"),
    ]


def table(found: list[Published]) -> Table:
    rows = [
        (each.service, str(each.events), f"{each.seconds:.1f}", f"{each.events / each.seconds:.0f}", _megabytes(each))
        for each in found
    ]
    events, seconds = sum(each.events for each in found), sum(each.seconds for each in found)
    peak = max(_megabytes(each) for each in found)
    rows.append(("one after the other", str(events), f"{seconds:.1f}", f"{events / seconds:.0f}", peak))
    return Table("What the commands did", ("service", "events", "seconds", "events a second", "memory, MB"), rows)


def _megabytes(each: Published) -> str:
    return f"{each.peak / 2**20:.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs.refilled", description=__doc__)
    parser.add_argument("--applications", type=int, default=10_000, help=f"in hundreds; at least {FEW}")
    parser.add_argument("--report", type=Path, default=PAGE, help="where the page about the run is written")
    asked = parser.parse_args()
    orderly()
    times = max(1, asked.applications // FEW)
    folder, ran, found = Path(tempfile.mkdtemp(prefix="lendrail-refilled-")), Ran(), list[Published]()
    stack = Stack(folder)
    try:
        stack.up("--no-rate-limit", "--no-email")
        _carried(stack)
        _multiply(stack.endpoints["mongo"], times)
        for each in _published(stack, _empty(stack)):
            console.print(f"{each.service}: {each.events} events in {each.seconds:.1f} s")
            found.append(each)
        stored = asyncio.run(records(stack.endpoints["kafka"]))
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)
    judged = checks(found, FEW * times, stored)
    tables = [Table("What was stored", ("", ""), [("applications", str(FEW * times))]), table(found), verdict(judged)]
    show(tables, console)
    write(asked.report, HEAD, ran, tables)
    return 0 if all(check.kept for check in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
