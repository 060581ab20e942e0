"""Files of statuses for benchmarks: the stack that reads them, Lendrail's way and the bare one, and what each costs."""

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
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from pymongo import MongoClient, WriteConcern
from tests.gateway.process import Gateway
from tests.status.bench import PARTNER, Bench, Deal, credentials_file, settings
from tests.support import topics

from lendrail.contracts.topics import TOPICS
from lendrail.local.servers import Kafka, Mongo
from lendrail.runtime.mongo import Document

PREFIX = "bench_"
BULK, ACKS = 1000, 200
HEADER = "partnerId,status,statusAt,notes"
SETTLE_SECONDS, RENEW_SECONDS = 0.2, 60.0
DAYS = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


@dataclass
class Measured:
    """One side's way through one file; `cpu` are seconds of all processes that took part."""

    side: str
    file: str
    rows: int
    seconds: float
    cpu: float
    counts: str = ""
    service_mb: float = 0.0
    reader_mb: float = 0.0

    @property
    def rate(self) -> float:
        return self.rows / self.seconds

    def share(self, other: Measured) -> str:
        """Of what `other` does: by the clock, and for each second of processor time of all who took part."""
        by_core = (self.rows / self.cpu) / (other.rows / other.cpu)
        return f"{self.rate / other.rate:.3f} by the clock and {by_core:.3f} a core-second of {other.side}"


@dataclass(frozen=True)
class Moment:
    """How far an import is, and the resident MB of the service and of the process that reads the file."""

    seconds: float
    rows: int
    service_mb: float
    reader_mb: float


class Stack:
    """A gateway and a status service on Kafka and MongoDB, and deals that they know."""

    def __init__(self, caller: httpx.Client, mongo: Mongo, service: int, pids: Sequence[int], ids: list[str]) -> None:
        self._caller, self._mongo, self._service, self._pids = caller, mongo, service, pids
        self.ids = ids

    def ours(
        self, name: str, content: bytes, dry: bool = False, seen: Callable[[Moment], None] = lambda _: None
    ) -> Measured:
        """From the first byte sent to the end of the import; asked seldom, so that looking costs little."""
        used, began = self._cpu(), time.time()
        answer = self._caller.post("/v1/imports", params={"partner": PARTNER, "dryRun": dry}, content=content)
        told, peaks = answer.raise_for_status().json(), (0.0, 0.0)
        while told["state"] in ("waiting", "running"):
            time.sleep(SETTLE_SECONDS)
            now = Moment(time.time() - began, told["done"], *_memory(self._service))
            seen(now)
            peaks = max(peaks[0], now.service_mb), max(peaks[1], now.reader_mb)
            told = self._asked(told["id"]) or told
        if told["state"] != "done":
            raise RuntimeError(f"the import ended as {told['state']}: {told.get('problem', {}).get('code')}")
        seconds = dt.datetime.fromisoformat(told["endedAt"]).timestamp() - began
        counts = ", ".join(f"{count} {outcome}" for outcome, count in told["counts"].items())
        return Measured("lendrail", name, told["done"], seconds, self._cpu() - used, counts, *peaks)

    def _asked(self, id: str) -> dict[str, Any] | None:
        """How far it is; None where nobody answers in time, as on a machine that has other things to do."""
        answer = self._caller.get(f"/v1/imports/{id}", params={"pageSize": 1})
        return None if answer.status_code == 503 else answer.raise_for_status().json()

    def bare(self, name: str, content: bytes, like: tuple[str, Document] | None = None) -> Measured:
        """`csv` and a bulk insert of the rows; or of each row beside all that the last document holds that the status
        service wrote into the collection `like` for such a row, under the same indexes.
        """
        with MongoClient[Document](self._mongo.url) as client:
            target = client["bare"].get_collection(uuid.uuid4().hex, write_concern=WriteConcern("majority", j=True))
            beside = self._documents(client, target.name, *like) if like else {}
            used, began, count, rows = self._cpu(), time.time(), 0, list[Document]()
            for row in csv.DictReader(io.StringIO(content.decode())):
                rows.append(beside | row | {"_id": uuid.uuid4().hex, "partner_id": row["partnerId"]} if like else row)
                count += 1
                if len(rows) == BULK:
                    target.insert_many(rows, ordered=False)
                    rows = []
            if rows:
                target.insert_many(rows, ordered=False)
            seconds, cpu = time.time() - began, self._cpu() - used
            target.drop()
        what = "csv + documents like ours" if like else "csv + four cells"
        return Measured(what, name, count, seconds, cpu)

    def _documents(self, client: MongoClient[Document], target: str, collection: str, where: Document) -> Document:
        """One that was written, and the indexes of its collection made for `target` too."""
        ours = client[f"{PREFIX}status"][collection]
        for index in ours.list_indexes():
            if index["name"] != "_id_":
                partial = index.get("partialFilterExpression")
                more = {"partialFilterExpression": partial.to_dict()} if partial else {}
                client["bare"][target].create_index(list(index["key"].items()), **more)
        found = ours.find_one(where, sort=[("_id", 1)])
        if found is None:
            raise RuntimeError(f"nothing like it is in {collection}")
        return found

    def _cpu(self) -> float:
        """Of the servers, the services and ourselves, with what they started."""
        return sum(_cpu(psutil.Process(pid)) for pid in (*self._pids, os.getpid()))


def _cpu(process: psutil.Process) -> float:
    """Seconds, its ended children's among them; ours live on and are counted by themselves."""
    used = process.cpu_times()
    mine: float = used.user + used.system
    if process.pid == os.getpid():
        return mine
    living = sum(sum(each.cpu_times()[:2]) for each in process.children(recursive=True) if each.is_running())
    return mine + used.children_user + used.children_system + living


def _memory(service: int) -> tuple[float, float]:
    """Resident MB of the service and of the process that reads the file."""
    process = psutil.Process(service)
    readers = process.children()
    own = process.memory_info().rss / 1e6
    return own, sum(each.memory_info().rss for each in readers if each.is_running()) / 1e6


def file_of(ids: Sequence[str], status: str, day: int) -> bytes:
    """One row for each, of that day."""
    time = DAYS + dt.timedelta(days=day)
    rows = (f"{id},{status},{(time + dt.timedelta(seconds=n)).isoformat()},note {n}" for n, id in enumerate(ids))
    return "\n".join([HEADER, *rows, ""]).encode()


def strangers(count: int) -> list[str]:
    """Ids that nobody knows."""
    return [f"FAKE.{uuid.uuid4().hex}" for _ in range(count)]


@contextmanager
def stack(count: int) -> Iterator[Stack]:
    """With so many deals that the partner has."""
    folder = Path(tempfile.mkdtemp(prefix="lendrail-imports-"))
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        kafka = Kafka(folder / "kafka").start()
        undo.callback(kafka.stop)
        mongo = Mongo(folder / "mongo").start()
        undo.callback(mongo.stop)
        asyncio.run(topics(kafka.bootstrap, *(topic.name for topic in TOPICS)))
        ids = asyncio.run(_deals(folder, mongo.url, count))
        gateway = Gateway(folder, kafka=kafka.bootstrap, mongo=mongo.url, prefix=PREFIX).start()
        undo.callback(gateway.stop)
        gateway.wait_ready(60)
        service = undo.enter_context(_status_service(folder, gateway))
        pids = [pid for pid in (kafka.process.pid, mongo.process.pid, gateway.pid, service.pid) if pid is not None]
        options: dict[str, Any] = {"auth": _Bearer(gateway), "trust_env": False, "timeout": 600}
        caller = undo.enter_context(httpx.Client(base_url=gateway.url, **options))
        found = Stack(caller, mongo, service.pid, pids, ids)
        found.ours("warm", file_of(strangers(200), "approved", 0))
        yield found


class _Bearer(httpx.Auth):
    """A token of the gateway, and a new one in time: a large file takes longer than one holds."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway, self._token, self._until = gateway, "", 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if time.monotonic() > self._until:
            self._token, self._until = self._new(), time.monotonic() + RENEW_SECONDS
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request

    def _new(self) -> str:
        answer = httpx.post(
            f"{self._gateway.url}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=("demo-upstream", "not-a-real-secret"),
            trust_env=False,
        )
        token: str = answer.json()["access_token"]
        return token


async def _deals(folder: Path, mongo: str, count: int) -> list[str]:
    """Written by the service's own handlers."""
    os.environ["LENDRAIL_LOG_LEVEL"] = "WARNING"
    bench = Bench(settings(folder, os.environ.__setitem__, mongo=mongo, prefix=PREFIX, instance="maker"))
    await bench.start()
    ids: list[str] = []
    for at in range(0, count, ACKS):
        some = [Deal() for _ in range(min(ACKS, count - at))]
        await bench.deliver(*(deal.ack() for deal in some))
        ids += [deal.partner_id for deal in some]
        bench.published.records.clear()
    await bench.stop()
    return ids


@contextmanager
def _status_service(folder: Path, gateway: Gateway) -> Iterator[subprocess.Popen[bytes]]:
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
