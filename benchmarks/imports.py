"""`make bench ARGS="--imports 20000"`: a file of statuses, beside `csv` and a bulk insert of the same rows.

The bare side reads the file with Python's `csv` and inserts each row as a document, a thousand at a time, into the same
MongoDB with the same write concern, in turns with ours. Ours is a real gateway and a real status service: the file is
sealed and stored, read, each row matched to its opportunity, folded, written and told on Kafka, and reported. Four
files: every row changes its deal; the same rows in another file, so that nothing is new; rows that nobody knows; and a
dry run of ten times as many, whose memory must be that of the others.
"""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from pymongo import MongoClient, WriteConcern
from rich.console import Console
from rich.table import Table
from tests.gateway.process import Gateway
from tests.status.bench import PARTNER, Bench, Deal, credentials_file, settings
from tests.support import topics

from lendrail.contracts.topics import TOPICS
from lendrail.local.servers import Kafka, Mongo

console = Console(highlight=False, width=140)
PREFIX = "bench_"
BULK, ACKS = 1000, 200
AIM = 0.5
HEADER = "partnerId,status,statusAt,notes"
SETTLE_SECONDS = 0.2


@dataclass
class Measured:
    side: str
    rows: int
    seconds: float
    counts: str = ""
    service_mb: float = 0.0
    reader_mb: float = 0.0

    @property
    def rate(self) -> float:
        return self.rows / self.seconds


@contextmanager
def status_service(folder: Path, gateway: Gateway) -> Iterator[subprocess.Popen[bytes]]:
    environment = (
        os.environ
        | gateway.environment
        | {
            "LENDRAIL_PORT": str(gateway.owner_port),
            "LENDRAIL_INSTANCE": "status-1",
            "LENDRAIL_LOG_LEVEL": "WARNING",
            "LENDRAIL_CREDENTIALS_FILE": str(credentials_file(folder)),
            "LENDRAIL_JWKS_URL": f"{gateway.url}/.well-known/jwks.json",
        }
    )
    with (folder / "status.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "lendrail.status"], env=environment, stdout=log, stderr=log)
    try:
        url, end = f"http://127.0.0.1:{gateway.owner_port}/ready", time.monotonic() + 60
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError((folder / "status.log").read_text()[-2000:])
            time.sleep(SETTLE_SECONDS)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


async def deals(folder: Path, mongo: str, count: int) -> list[Deal]:
    """So many that the partner has, written by the service's own handlers."""
    os.environ["LENDRAIL_LOG_LEVEL"] = "WARNING"
    bench = Bench(settings(folder, os.environ.__setitem__, mongo=mongo, prefix=PREFIX, instance="maker"))
    await bench.start()
    found = [Deal() for _ in range(count)]
    for at in range(0, count, ACKS):
        await bench.deliver(*(deal.ack() for deal in found[at : at + ACKS]))
    await bench.stop()
    return found


def file_of(ids: list[str], status: str, day: int) -> bytes:
    time = dt.datetime(2026, 3, day, tzinfo=dt.UTC)
    rows = (f"{id},{status},{(time + dt.timedelta(seconds=n)).isoformat()},note {n}" for n, id in enumerate(ids))
    return "\n".join([HEADER, *rows, ""]).encode()


def bare(mongo: str, content: bytes, name: str) -> Measured:
    """`csv` and a bulk insert."""
    with MongoClient[dict[str, Any]](mongo) as client:
        target = client["bare"].get_collection(uuid.uuid4().hex, write_concern=WriteConcern("majority", j=True))
        began, rows, count = time.monotonic(), list[dict[str, Any]](), 0
        for row in csv.DictReader(io.StringIO(content.decode())):
            rows.append(dict(row))
            count += 1
            if len(rows) == BULK:
                target.insert_many(rows, ordered=False)
                rows = []
        if rows:
            target.insert_many(rows, ordered=False)
        return Measured(f"csv + bulk insert: {name}", count, time.monotonic() - began)


def ours(caller: httpx.Client, service: int, content: bytes, name: str, dry: bool = False) -> Measured:
    """From the first byte sent to the end of the import; polled seldom, so that looking costs little."""
    began, peaks = time.monotonic(), [0.0, 0.0]
    answer = caller.post("/v1/imports", params={"partner": PARTNER, "dryRun": dry}, content=content)
    answer.raise_for_status()
    told = answer.json()
    while told["state"] in ("waiting", "running"):
        time.sleep(SETTLE_SECONDS)
        peaks = [max(pair) for pair in zip(peaks, _memory(service), strict=True)]
        told = caller.get(f"/v1/imports/{told['id']}?pageSize=1").json()
    seconds = time.monotonic() - began
    if told["state"] != "done":
        raise RuntimeError(f"the import ended as {told['state']}: {told.get('problem', {}).get('code')}")
    counts = ", ".join(f"{count} {outcome}" for outcome, count in told["counts"].items())
    return Measured(f"lendrail import: {name}", told["done"], seconds, counts, *peaks)


def _memory(service: int) -> tuple[float, float]:
    """Resident MB of the service and of the process that reads the file."""
    process = psutil.Process(service)
    readers = process.children()
    own = process.memory_info().rss / 1e6
    return own, sum(each.memory_info().rss for each in readers if each.is_running()) / 1e6


def show(results: list[Measured]) -> None:
    table = Table(title="files of statuses", box=None, title_justify="left")
    for name in ("side", "rows", "seconds", "rows a second", "what became of them", "service MB", "reader MB"):
        table.add_column(name, justify="left" if name in ("side", "what became of them") else "right")
    for each in results:
        memory = [f"{mb:.0f}" if mb else "" for mb in (each.service_mb, each.reader_mb)]
        table.add_row(each.side, str(each.rows), f"{each.seconds:.2f}", f"{each.rate:.0f}", each.counts, *memory)
    console.print(table)
    for theirs, mine in zip(results[::2], results[1::2], strict=True):
        share = mine.rate / theirs.rate
        reached = "reached" if share >= AIM else "missed"
        console.print(f"{mine.side}: {share:.2f} of csv + bulk insert (aim {AIM}, {reached})")


def run(count: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="lendrail-imports-"))
    kafka, mongo = Kafka(folder / "kafka").start(), Mongo(folder / "mongo").start()
    gateway: Gateway | None = None
    try:
        asyncio.run(topics(kafka.bootstrap, *(topic.name for topic in TOPICS)))
        made = asyncio.run(deals(folder, mongo.url, count))
        gateway = Gateway(folder, kafka=kafka.bootstrap, mongo=mongo.url, prefix=PREFIX).start()
        gateway.wait_ready(60)
        with status_service(folder, gateway) as service:
            show(_measured(gateway, service.pid, mongo.url, [deal.partner_id for deal in made]))
    finally:
        if gateway is not None:
            gateway.stop()
        kafka.stop()
        mongo.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _measured(gateway: Gateway, service: int, mongo: str, ids: list[str]) -> list[Measured]:
    token = httpx.post(
        f"{gateway.url}/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=("demo-upstream", "not-a-real-secret"),
        trust_env=False,
    ).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    changing = file_of(ids, "approved", 2)
    strangers = [f"FAKE.{uuid.uuid4().hex}" for _ in ids]
    many = [f"FAKE.{uuid.uuid4().hex}" for _ in range(10 * len(ids))]
    files = (
        ("every row changes its deal", changing, False),
        ("nothing is new", changing + b"\n", False),
        ("nobody knows the deals", file_of(strangers, "approved", 3), False),
        ("dry run of ten times as many", file_of(many, "approved", 4), True),
    )
    results: list[Measured] = []
    with httpx.Client(base_url=gateway.url, headers=headers, trust_env=False, timeout=600) as caller:
        ours(caller, service, file_of([f"FAKE.{uuid.uuid4().hex}" for _ in range(200)], "approved", 1), "warm")
        for name, content, dry in files:
            results += [bare(mongo, content, name), ours(caller, service, content, name, dry)]
    return results
