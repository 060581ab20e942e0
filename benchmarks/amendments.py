"""`make bench ARGS="--amendments 500"`: changes of applications, through the HTTP door of the whole stack.

So many applications are posted, and once the lender has them each is changed once: half are corrected, a quarter get a
document, a quarter are withdrawn. Both go through the same door, by the same number of callers, one after the other in
one run; so the applications are the yardstick of the changes. Measured is the time from a request to its answer 202, to
validation's report of it (by the report's own time), and, of every tenth, until the read model shows it.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import psutil
from proofs.loans import loans
from proofs.watch import Seen, header_time, percentile, until, usage, watch
from pymongo import MongoClient
from rich.console import Console
from rich.table import Table

from benchmarks.sides import Lendrail, running
from lendrail.local import publish

console = Console(highlight=False, width=140)
LENDER = "soap-lender"
"""It takes corrections, documents and withdrawals, and has no rate limit."""
KINDS = ("corrected", "document-added", "corrected", "withdrawn")
CALLERS, WARM, SAMPLE = 16, 60, 10
LATER_MS = 600_000
"""The lender decides nothing meanwhile."""
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


@dataclass
class Phase:
    name: str
    answered: list[float] = field(default_factory=list)
    """Seconds from each request to its 202."""
    by_kind: dict[str, list[float]] = field(default_factory=dict)
    """The same, of each kind."""
    reported: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    door: float = 0.0
    """Seconds from the first request to the last answer."""
    all: float = 0.0
    """Seconds from the first request to the last report."""
    ours: float = 0.0
    busy: float = 0.0
    """Which part of the machine's processors the stack used, and anybody."""

    @property
    def rate(self) -> float:
        return len(self.answered) / self.door

    @property
    def through(self) -> float:
        return len(self.reported) / self.all


@dataclass(frozen=True)
class Change:
    """One request, and the revision that it makes."""

    kind: str
    method: str
    path: str
    revision: int
    headers: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


def change(application: str, content: dict[str, Any], kind: str) -> Change:
    path = f"/v1/applications/{application}"
    if kind == "corrected":
        amount = {"amount": "31000", "currency": "USD"}
        corrected = content | {"requestedFinance": content["requestedFinance"] | {"amount": amount}}
        return Change(kind, "PUT", path, 2, {"If-Match": '"1"'}, {"json": corrected})
    if kind == "document-added":
        query = {"kind": "bank-statement", "name": "fake.pdf"}
        return Change(kind, "POST", f"{path}/documents", 2, {}, {"params": query, "content": PDF})
    return Change(kind, "POST", f"{path}/withdraw", 2, {}, {"json": {"reason": "the applicant found another way"}})


class Bench:
    def __init__(self, side: Lendrail, api: publish.Api) -> None:
        self._side, self._api, self._seen, self._wanted = side, api, Seen(), 0

    async def phase(self, name: str, changes: Sequence[Change]) -> tuple[Phase, list[str]]:
        """All of these by some callers at a time; also the applications, in the order of the requests."""
        phase, began = Phase(name), {}
        waiting, ids = iter(enumerate(changes)), [""] * len(changes)
        looks: list[asyncio.Task[float]] = []

        async def caller() -> None:
            for place, each in waiting:
                start = time.time()
                answer = await self._ask(each)
                if answer.status_code != 202:
                    phase.refused[f"{answer.status_code} {answer.json().get('code')}"] += 1
                    continue
                ids[place] = answer.json()["applicationId"]
                phase.answered.append(time.time() - start)
                phase.by_kind.setdefault(each.kind, []).append(phase.answered[-1])
                began[f"{ids[place]}/{each.revision}"] = start
                if place % SAMPLE == 0:
                    looks.append(asyncio.create_task(self._until_shown(ids[place], each.revision, start)))

        async with self._used(phase):
            begin = time.time()
            await asyncio.gather(*(caller() for _ in range(CALLERS)))
            phase.door = time.time() - begin
            await self._until_reported(len(began))
        phase.shown = await asyncio.gather(*looks)
        phase.reported = [self._seen.decided[name] - start for name, start in began.items()]
        phase.all = max(self._seen.decided[name] for name in began) - begin
        return phase, ids

    async def _ask(self, change: Change) -> httpx.Response:
        headers = await self._api.headers() | {"Idempotency-Key": str(uuid.uuid4())} | change.headers
        return await self._api.client.request(change.method, change.path, headers=headers, **change.more)

    async def _until_reported(self, more: int) -> None:
        """Validation's word on each; one that it finds unsound is not among them, and the run fails."""
        self._wanted += more
        async with asyncio.timeout(60 + more / 5):
            await watch(self._side.kafka, "application-validated", reported, self._wanted, self._seen)

    async def _until_shown(self, application: str, revision: int, start: float) -> float:
        while True:
            view = (await self._api.get(f"/v1/applications/{application}")).json()
            known = {each["revision"]: each["state"] for each in view.get("amendments", ()) if "revision" in each}
            judged = known.get(revision, "received") != "received" if revision > 1 else bool(view.get("opportunities"))
            if judged:
                return time.time() - start
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def _used(self, phase: Phase) -> AsyncIterator[None]:
        before, begin = self._cpu(), time.monotonic()
        psutil.cpu_percent()
        yield
        phase.ours = (self._cpu() - before) / (time.monotonic() - begin) / (psutil.cpu_count() or 1)
        phase.busy = psutil.cpu_percent() / 100

    def _cpu(self) -> float:
        """CPU seconds of the stack so far."""
        pids = {name: each["pid"] for name, each in self._side.endpoints["services"].items()}
        return sum(each.cpu for each in usage(pids).values())

    def unfinished(self) -> int:
        """Opportunities in which something is still to be done."""
        with MongoClient[dict[str, Any]](self._side.mongo) as client:
            return client["submission"]["opportunities"].count_documents({"due": {"$type": "date"}})


def reported(record: Any) -> tuple[str, float]:
    said = orjson.loads(record.value)
    return f"{said['applicationId']}/{said.get('revision', 1)}", header_time(record)


async def _round(bench: Bench, contents: Sequence[dict[str, Any]]) -> list[Phase]:
    """These applications, and one change of each when nothing is left to do."""
    posts = [Change("new", "POST", "/v1/applications", 1, {}, {"json": each}) for each in contents]
    new, ids = await bench.phase("applications", posts)
    await until(lambda: not bench.unfinished(), 300)
    kinds = (KINDS[place % len(KINDS)] for place in range(len(ids)))
    changes = [change(*each) for each in zip(ids, contents, kinds, strict=True) if each[0]]
    changed, _ = await bench.phase("amendments", changes)
    await until(lambda: not bench.unfinished(), 300)
    return [new, changed]


async def _measured(side: Lendrail, count: int) -> list[Phase]:
    api = publish.Api(side.endpoints)
    async with api.client:
        later = {"kind": "decision_delay", "ms": LATER_MS}
        (await api.client.post(f"{side.sandbox}/_dials/{LENDER}", json=later)).raise_for_status()
        contents = [each | {"targetPartners": [LENDER]} for each in loans(WARM + count, 0)]
        bench = Bench(side, api)
        await _round(bench, contents[:WARM])
        return await _round(bench, contents[WARM:])


def show(phases: Sequence[Phase]) -> None:
    table = Table(title=f"through one door, {CALLERS} callers at a time", box=None, title_justify="left")
    columns = ("", "202", "a second", "to 202 p50/p99 ms", "reported a second", "to report p50/p99 ms")
    for name in (*columns, "to view p50/p99 ms", "CPU stack / all"):
        table.add_column(name, justify="right")
    for each in phases:
        ms = [
            f"{percentile(values, 50) * 1000:.0f} / {percentile(values, 99) * 1000:.0f}"
            for values in (each.answered, each.reported, each.shown)
        ]
        count, used = str(len(each.answered)), f"{each.ours:.0%} / {each.busy:.0%}"
        table.add_row(each.name, count, f"{each.rate:.1f}", ms[0], f"{each.through:.1f}", *ms[1:], used)
    console.print(table)
    for each in phases:
        for code, times in each.refused.items():
            console.print(f"  {each.name}: {times} refused, {code}")
    new, changed = phases
    for kind, values in changed.by_kind.items():
        told = f"{percentile(values, 50) * 1000:.0f} / {percentile(values, 99) * 1000:.0f} ms to 202 p50/p99"
        console.print(f"  {kind}: {len(values)}, {told}")
    ratios = changed.rate / new.rate, changed.through / new.through
    console.print(f"amendments against applications: {ratios[0]:.2f} at the door, {ratios[1]:.2f} until reported")


def run(count: int) -> None:
    console.print(f"load of the machine before: {_load()}")
    with running(Lendrail) as side:
        console.print(f"load with the stack up: {_load()}")
        show(asyncio.run(_measured(side, count)))
        console.print(f"load after: {_load()}")


def _load() -> str:
    return " ".join(f"{each:.1f}" for each in os.getloadavg()) + f" on {psutil.cpu_count()} processors"
