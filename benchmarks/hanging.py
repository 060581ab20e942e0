"""What one partner that hangs costs the others: one run, the same stack, phases with and without it.

Every application goes to five lenders. In some phases all are well; in the others one of them sits on each call for
so many seconds before it answers, of whatever kind the call is. All phases have the same applications at the same
random times, so the healthy ones before and after a hanging one are its yardstick, and their difference is the noise.
A wait runs from the record's publication to the partner's own note of when the call arrived that it took.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from aiokafka import AIOKafkaProducer
from pymongo import MongoClient
from rich.console import Console
from rich.table import Table

from benchmarks.sides import Lendrail, get, listener, loans, seconds
from benchmarks.watch import Seen, header_time, percentile, until, usage, watch
from lendrail.contracts.intake import imported_application_id
from lendrail.contracts.terms import attempt_id, opportunity_id
from lendrail.local import publish
from lendrail.local.configure import TENANT

LENDERS = {
    "forward-financing": "demo-ff",
    "finpace": "demo-finpace",
    "soap-lender": "demo-soap",
    "reference-partner": "demo-reference",
    "email-lender": "demo-mail",
}
"""Each with the account that the demo tenant has there."""
WARM = 300
"""Applications before the first phase: with fewer it is the slowest of the healthy ones."""
SEED = 20
"""Of the random times, the same in each phase."""
CALM_SECONDS = 5.0
"""Before ledgers are read, which costs the partners time, and before the next phase."""
LEFT_OVER_SECONDS = 900.0
"""At most so long may it take, once the partner answers again, until all that waited for it has arrived."""
console = Console(highlight=False, width=140)


@dataclass(frozen=True)
class Waits:
    """Of one phase at one partner, in seconds."""

    from_publication: list[float]
    from_submit: list[float]
    """From the event that asked for it: without the way through the services before."""


@dataclass
class Phase:
    name: str
    hang: float | None
    sent: dict[uuid.UUID, float] = field(default_factory=dict)
    """When each application was published, in seconds since the epoch."""
    waits: dict[str, Waits] = field(default_factory=dict)
    ours: float = 0.0
    """Which part of the machine's processors the stack used: services, sandbox, Kafka and MongoDB."""
    busy: float = 0.0
    """Which part was in use by anybody; much more than `ours` means that others disturbed the phase."""
    waiting: int = 0
    """How many of the hanging partner's were not with it when the phase's last was with all others."""


def arrivals(count: int, rate: float) -> list[float]:
    """Seconds from the begin of a phase."""
    draw, at, found = random.Random(SEED), 0.0, []
    for _ in range(count):
        at += draw.expovariate(rate)
        found.append(at)
    return found


def reference(application: uuid.UUID, partner: str) -> str:
    """What the partner knows the application by."""
    opportunity = opportunity_id(application, partner, LENDERS[partner])
    return str(attempt_id(opportunity, "create", "", 1))


class Bench:
    def __init__(self, side: Lendrail, partner: str, rate: float) -> None:
        """`partner` is the one that hangs now and then."""
        self._side, self._partner, self._rate = side, partner, rate
        self._others = [each for each in LENDERS if each != partner]
        self._dials = f"{side.sandbox}/_dials/{partner}"
        self._made = 0

    async def phase(self, name: str, count: int, hang: float | None = None) -> Phase:
        """Publish, wait until all but one who hangs have everything, then let that one answer and catch up."""
        records, phase = self._records(count), Phase(name, hang)
        dials = self._hang(hang) if hang else []
        used, _ = self._used(), psutil.cpu_percent()
        begin = time.monotonic()
        await self._publish(phase, records)
        phase.ours = (self._used() - used) / (time.monotonic() - begin) / (psutil.cpu_count() or 1)
        phase.busy = psutil.cpu_percent() / 100
        await asyncio.sleep(CALM_SECONDS)
        await until(lambda: not any(self._missing(phase, each) for each in self._others), 120)
        phase.waiting = self._missing(phase, self._partner) if hang else 0
        self._answer_again(dials)
        await until(lambda: not self._missing(phase, self._partner) and not self._unfinished(), LEFT_OVER_SECONDS)
        await asyncio.sleep(CALM_SECONDS)
        submits = await self._submits()
        phase.waits = {each: self._waits(phase, each, submits) for each in LENDERS}
        return phase

    def _used(self) -> float:
        """CPU seconds of the stack so far."""
        pids = {name: each["pid"] for name, each in self._side.endpoints["services"].items()}
        return sum(each.cpu for each in usage(pids).values())

    def _records(self, count: int) -> list[tuple[bytes, Any, str]]:
        key = publish.public_key(self._side.folder / "config" / "intake.jwk")
        made = loans(count, self._made)
        self._made += count
        return [publish.record(loan | {"targetPartners": list(LENDERS)}, key) for loan in made]

    async def _publish(self, phase: Phase, records: Sequence[tuple[bytes, Any, str]]) -> None:
        producer: Any = AIOKafkaProducer(bootstrap_servers=self._side.kafka, acks="all", enable_idempotence=True)
        await producer.start()
        try:
            begin, futures = time.monotonic(), []
            for (value, headers, event), at in zip(records, arrivals(len(records), self._rate), strict=True):
                await asyncio.sleep(begin + at - time.monotonic())
                phase.sent[imported_application_id(TENANT, publish.SOURCE, event)] = time.time()
                futures.append(await producer.send(self._side.topic, value, key=event.encode(), headers=headers))
            await asyncio.gather(*futures)
        finally:
            await producer.stop()

    def _hang(self, secs: float) -> list[str]:
        dial = {"kind": "delay", "ms": int(secs * 1000)}
        reply = httpx.post(self._dials, json={"dials": [dial]}, trust_env=False).raise_for_status()
        return [each["id"] for each in reply.json()["dials"]]

    def _answer_again(self, dials: Iterable[str]) -> None:
        for each in dials:
            httpx.delete(f"{self._dials}/{each}", trust_env=False).raise_for_status()

    def taken(self, partner: str) -> list[tuple[str, float]]:
        """Every application that the partner has noted, by reference, and when its call arrived."""
        found = get(f"{self._side.sandbox}/_ledger/{partner}?bodies=false")["leads"]
        return [(each["reference"], seconds(each["at"])) for each in found]

    def _missing(self, phase: Phase, partner: str) -> int:
        known = {name for name, _ in self.taken(partner)}
        return sum(reference(each, partner) not in known for each in phase.sent)

    def _unfinished(self) -> int:
        """Opportunities in which something is still to be done."""
        with MongoClient[dict[str, Any]](self._side.mongo) as client:
            return client["submission"]["opportunities"].count_documents({"due": {"$type": "date"}})

    async def _submits(self) -> dict[str, float]:
        """When each opportunity was asked for."""

        def asked(record: Any) -> tuple[str, float]:
            return json.loads(record.value)["opportunityId"], header_time(record)

        seen = Seen()
        async with asyncio.timeout(120):
            await watch(self._side.kafka, "submit", asked, self._made * len(LENDERS), seen)
        return seen.decided

    def _waits(self, phase: Phase, partner: str, submits: dict[str, float]) -> Waits:
        arrived = dict(reversed(self.taken(partner)))  # the first, should there be two
        waits = Waits([], [])
        for application, sent in phase.sent.items():
            at = arrived[reference(application, partner)]
            asked = submits[str(opportunity_id(application, partner, LENDERS[partner]))]
            waits.from_publication.append(at - sent)
            waits.from_submit.append(at - asked)
        return waits

    def lost_or_twice(self, phases: Iterable[Phase]) -> dict[str, tuple[int, int]]:
        """By partner: how many never arrived, and how many more than once, over the whole run."""
        found = {}
        for partner in LENDERS:
            counts = Counter(name for name, _ in self.taken(partner))
            wanted = [counts[reference(each, partner)] for phase in phases for each in phase.sent]
            found[partner] = wanted.count(0), sum(count > 1 for count in wanted)
        return found


def show(bench: Bench, phases: Sequence[Phase], partner: str) -> None:
    others = [each for each in LENDERS if each != partner]
    for title, pick in (
        ("from publication", lambda waits: waits.from_publication),
        ("from `submit`", lambda waits: waits.from_submit),
    ):
        _table(phases, others, title, pick)
    for phase in phases:
        if phase.hang:
            console.print(f"{phase.name}: {phase.waiting} waited for {partner} when the others had everything")
    for name, (lost, twice) in bench.lost_or_twice(phases).items():
        console.print(f"{name}: {lost} lost, {twice} twice")


def _table(phases: Sequence[Phase], others: Sequence[str], title: str, pick: Any) -> None:
    table = Table(title=f"{title} to arrival, p50 / p99 ms", box=None, title_justify="left")
    for name in ("phase", "applications", "CPU stack / all", *others, "the four together"):
        table.add_column(name, justify="right")
    for phase in phases:
        each = [pick(phase.waits[name]) for name in others]
        told = [_told(values) for values in (*each, [wait for values in each for wait in values])]
        table.add_row(phase.name, str(len(phase.sent)), f"{phase.ours:.0%} / {phase.busy:.0%}", *told)
    console.print(table)
    healthy = [phase for phase in phases if not phase.hang]
    for phase in phases:
        yardstick = _beside(phases, phase) if phase.hang else [each for each in healthy if each is not phase]
        ratios = [_ratio(phase, yardstick, [name], pick) for name in others]
        told = [f"{ratio:.2f}" for ratio in (*ratios, _ratio(phase, yardstick, others, pick))]
        against = " and ".join(each.name for each in yardstick)
        console.print(f"  p99 of {phase.name} against {against}: {', '.join(told[:-1])}; together {told[-1]}")


def _beside(phases: Sequence[Phase], phase: Phase) -> list[Phase]:
    """The healthy ones just before and just after."""
    place = phases.index(phase)
    return [each for each in (*phases[place - 1 : place], *phases[place + 1 : place + 2]) if not each.hang]


def _ratio(phase: Phase, yardstick: Sequence[Phase], partners: Sequence[str], pick: Any) -> float:
    """Of the 99th percentile to that of the yardstick's phases taken together."""
    mine = [wait for name in partners for wait in pick(phase.waits[name])]
    theirs = [wait for each in yardstick for name in partners for wait in pick(each.waits[name])]
    return percentile(mine, 99) / percentile(theirs, 99)


def _told(values: Sequence[float]) -> str:
    return f"{percentile(values, 50) * 1000:.0f} / {percentile(values, 99) * 1000:.0f}"


def run(hangs: Sequence[float], partner: str, count: int, rate: float) -> None:
    """A healthy phase, then for each of `hangs` (seconds) a phase with it and another healthy one."""
    folder = Path(tempfile.mkdtemp(prefix="lendrail-bench-"))
    with listener() as notices:
        side = Lendrail(folder, notices)
        try:
            side.start()
            asyncio.run(_phases(Bench(side, partner, rate), hangs, partner, count))
        finally:
            side.stop()
            shutil.rmtree(folder, ignore_errors=True)


async def _phases(bench: Bench, hangs: Sequence[float], partner: str, count: int) -> None:
    await bench.phase("warm", WARM)
    phases = [await bench.phase("healthy 1", count)]
    for number, hang in enumerate(hangs, 2):
        phases.append(await bench.phase(f"{partner} hangs {hang:g} s", count, hang))
        phases.append(await bench.phase(f"healthy {number}", count))
    show(bench, phases, partner)
