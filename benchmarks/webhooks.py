"""`make bench ARGS="--webhooks 4000"`: what a partner's call costs, and how soon it is a status.

First the gateway alone, beside a bare door that writes the same document to the same MongoDB with the same write
concern: the same calls from the same callers, in turns, so that whatever else the machine does meets both. A core's
worth is how many calls a door takes for one second of its own processor time; the gateway's includes publishing each
call on Kafka, which the bare door does not do. Then the whole stack: a lender that can only hint and one that signs its
word tell their decisions, and each version says itself how long its word was on the way.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bson
import httpx
from aiokafka import AIOKafkaProducer
from proofs.loans import loans
from proofs.watch import Seen, percentile, until, usage, watch
from pymongo import MongoClient
from rich.console import Console
from rich.table import Table
from tests.gateway.process import Gateway
from tests.support import WEBHOOK_PATH, topics

from benchmarks.sides import Lendrail, running
from lendrail.contracts.topics import TOPICS
from lendrail.local import publish
from lendrail.local.servers import Kafka, Mongo
from lendrail.local.servers.ports import free_port

console = Console(highlight=False, width=140)
CALLERS, WARM, ROUNDS = 32, 300, 3
QUIET_RATE, QUIET_CALLS = 60.0, 600
"""Random arrivals, so many a second, for the time to the answer while nothing queues."""
AIM = 0.7
HINTS, SIGNS = "forward-financing", "reference-partner"
LATER_MS = 4_000
"""The lenders decide a while after they have the application, so that each decision is a call of its own."""


@dataclass
class Turn:
    """What one door did in one turn, or in several together."""

    answered: list[float] = field(default_factory=list)
    """Seconds from each call to its 200."""
    seconds: float = 0.0
    cpu: float = 0.0
    refused: int = 0

    def __add__(self, other: Turn) -> Turn:
        return Turn(
            self.answered + other.answered,
            self.seconds + other.seconds,
            self.cpu + other.cpu,
            self.refused + other.refused,
        )

    @property
    def rate(self) -> float:
        return len(self.answered) / self.seconds

    @property
    def per_core(self) -> float:
        return len(self.answered) / self.cpu


class Caller:
    """One connection that is kept; as little HTTP as there can be, the same for both doors."""

    def __init__(self, port: int, path: str) -> None:
        self._port, self._head = port, f"POST {path} HTTP/1.1\r\nhost: door.test\r\ncontent-length: "
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, body: bytes) -> int:
        """The status of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(f"{self._head}{len(body)}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in answer.split(b"\r\n")[1:-2])
        await reader.readexactly(int(fields[b"content-length"]))
        return int(answer[9:12])

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


def bodies(count: int) -> list[bytes]:
    """As the lender writes them, each about another deal."""
    return [json.dumps({"lead_id": str(uuid.uuid4()), "event_type": "Approved"}).encode() for _ in range(count)]


Place = tuple[int, str, int]
"""Port, path and process of a door."""


@contextmanager
def both_doors(folder: Path) -> Iterator[dict[str, Place]]:
    """Both on one MongoDB; ended whatever happens."""
    with ExitStack() as running:
        kafka, mongo = Kafka(folder / "kafka"), Mongo(folder / "mongo")
        for server in (kafka, mongo):
            running.callback(server.stop)
            server.start()
        asyncio.run(topics(kafka.bootstrap, *(topic.name for topic in TOPICS), "intake-demo-crm"))
        gateway = Gateway(folder, kafka=kafka.bootstrap, mongo=mongo.url, prefix="bench_").start()
        running.callback(gateway.stop)
        gateway.wait_ready(60)
        path, port, file = f"/webhooks/{HINTS}/{WEBHOOK_PATH}", free_port(), folder / "model.bson"
        asyncio.run(turn((gateway.port, path, gateway.pid), 1))
        with MongoClient[dict[str, Any]](mongo.url) as client:
            file.write_bytes(bson.encode(client["bench_gateway"]["webhooks"].find_one() or {}))
        bare = subprocess.Popen([sys.executable, "-m", "benchmarks.bare_door", str(port), mongo.url, str(file)])
        running.callback(bare.wait)
        running.callback(bare.terminate)
        asyncio.run(until(lambda: _listens(port), 30))
        yield {"bare": (port, path, bare.pid), "gateway": (gateway.port, path, gateway.pid)}


def _listens(port: int) -> bool:
    try:
        return httpx.post(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


async def turn(place: Place, count: int, rate: float | None = None) -> Turn:
    """So many calls by as many callers as there are, one after the other each; or at random times."""
    (port, path, pid), done, waiting = place, Turn(), iter(bodies(count))
    callers = [Caller(port, path) for _ in range(CALLERS)]
    free = list(callers)

    async def call(caller: Caller, body: bytes) -> None:
        start = time.perf_counter()
        if await caller.call(body) == 200:
            done.answered.append(time.perf_counter() - start)
        else:
            done.refused += 1

    async def work(caller: Caller) -> None:
        for body in waiting:
            await call(caller, body)

    async def once(body: bytes) -> None:
        caller = free.pop() if free else Caller(port, path)
        await call(caller, body)
        free.append(caller)

    before, begin = usage({"door": pid})["door"].cpu, time.perf_counter()
    if rate is None:
        await asyncio.gather(*map(work, callers))
    else:
        async with asyncio.TaskGroup() as group:
            for body in waiting:
                await asyncio.sleep(random.expovariate(rate))
                group.create_task(once(body))
    done.seconds = time.perf_counter() - begin
    await asyncio.sleep(1)  # what the gateway still publishes is its work too
    done.cpu = usage({"door": pid})["door"].cpu - before
    for caller in {*callers, *free}:
        caller.close()
    return done


def doors(count: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="lendrail-bench-"))
    try:
        with both_doors(folder) as places:
            crowd, quiet = dict.fromkeys(places, Turn()), dict.fromkeys(places, Turn())
            for place in places.values():
                asyncio.run(turn(place, WARM))
            for _ in range(ROUNDS):
                for name, place in places.items():
                    crowd[name] += asyncio.run(turn(place, count // ROUNDS))
                    quiet[name] += asyncio.run(turn(place, QUIET_CALLS // ROUNDS, QUIET_RATE))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(crowd, f"{CALLERS} callers, one call after the other each, {ROUNDS} turns")
    show(quiet, f"random arrivals, {QUIET_RATE:g} a second")
    gateway, bare = crowd["gateway"], crowd["bare"]
    told = f"{gateway.per_core / bare.per_core:.2f} for each core, {gateway.rate / bare.rate:.2f} by the clock"
    console.print(f"the gateway takes {told} of what the bare door takes (aim {AIM})")


def show(turns: dict[str, Turn], title: str) -> None:
    table = Table(title=title, box=None, title_justify="left")
    for name in ("door", "200", "other", "a second", "for each core second", "to the answer p50/p99 ms"):
        table.add_column(name, justify="right")
    for name, each in turns.items():
        counts = str(len(each.answered)), str(each.refused)
        table.add_row(name, *counts, f"{each.rate:.0f}", f"{each.per_core:.0f}", _ms(each.answered))
    console.print(table)


def _ms(seconds: Sequence[float]) -> str:
    return f"{percentile(seconds, 50) * 1000:.1f} / {percentile(seconds, 99) * 1000:.1f}"


def on_the_way(lender: str, seen: dict[str, int]) -> Callable[[Any], tuple[str, float] | None]:
    """Reads decisions of this lender; `seen` gets the milliseconds from a call to the version that it made."""

    def decided(record: Any) -> tuple[str, float] | None:
        said = json.loads(record.value)
        if said.get("partner") != lender or said["status"] != "approved":
            return None
        hops = [hop for hop in (said.get("cause") or {}).get("hops", ()) if hop["from"] != "partner"]
        if any(hop["from"] == "received" for hop in hops):
            seen.setdefault(record.key.decode(), sum(hop["milliseconds"] for hop in hops))
        return record.key.decode(), 0.0

    return decided


async def _statuses(side: Lendrail, count: int) -> dict[str, dict[str, int]]:
    api, key = publish.Api(side.endpoints), publish.public_key(side.folder / "config" / "intake.jwk")
    async with api.client:
        for lender in (HINTS, SIGNS):
            later = {"kind": "decision_delay", "ms": LATER_MS}
            (await api.client.post(f"{side.sandbox}/_dials/{lender}", json=later)).raise_for_status()
    producer: Any = AIOKafkaProducer(bootstrap_servers=side.kafka, acks="all")
    await producer.start()
    for loan in loans(count, 0):
        value, headers, event = publish.record(loan | {"targetPartners": [HINTS, SIGNS]}, key)
        await producer.send_and_wait(side.topic, value, key=event.encode(), headers=headers)
        await asyncio.sleep(random.expovariate(4.0))
    await producer.stop()
    found: dict[str, dict[str, int]] = {HINTS: {}, SIGNS: {}}
    for lender, seen in found.items():
        async with asyncio.timeout(120):
            await watch(side.kafka, "status-updated", on_the_way(lender, seen), count, Seen())
    return found


def statuses(count: int) -> None:
    with running(Lendrail) as side:
        found = asyncio.run(_statuses(side, count))
    for lender, how in ((HINTS, "a hint, then asked"), (SIGNS, "signed, by its own word")):
        seconds = [each / 1000 for each in found[lender].values()]
        console.print(
            f"{lender} ({how}): {len(seconds)} of {count} calls, received to status p50/p99 {_ms(seconds)} ms"
        )


def run(count: int, applications: int = 60) -> None:
    doors(count)
    statuses(applications)
