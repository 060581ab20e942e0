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
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import httpx
import psutil
from aiokafka import AIOKafkaProducer
from proofs.loans import loans
from proofs.page import show
from proofs.watch import Seen, header_time, until, usage, watch
from pymongo import MongoClient
from rich.console import Console

from benchmarks.sides import Lendrail, get, running, seconds
from benchmarks.waits import LENDERS, Phase, Waits, tables, wanted
from lendrail.contracts.intake import imported_application_id
from lendrail.contracts.terms import attempt_id, opportunity_id
from lendrail.local import publish
from lendrail.local.configure import TENANT

WARM = 300
"""Applications before the first phase: with fewer it is the slowest of the healthy ones."""
SEED = 20
"""Of the random times, the same in each phase."""
CALM_SECONDS = 5.0
"""Before ledgers are read, which costs partners time, and before the next phase."""
LEFT_OVER_SECONDS = 900.0
"""At most so long may it take, once the partner answers again, until all that waited for it has arrived."""
console = Console(highlight=False, width=140)


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
        self._dials = f"{side.sandbox}/_dials/{partner}"
        self._made = self._asked = 0

    async def phase(
        self,
        name: str,
        count: int,
        hang: float | None = None,
        lenders: Sequence[str] = tuple(LENDERS),
        crowd: tuple[str, int] = ("", 0),
    ) -> Phase:
        """Publish, wait until all but one who hangs have everything, then let that one answer and catch up.

        `crowd`: a partner, and how many applications go to it alone in the same time.
        """
        phase = Phase(name, hang, lenders, crowded=crowd[0])
        records, more = self._records(count, lenders), self._records(crowd[1], crowd[:1])
        others = [each for each in lenders if each != self._partner]
        dials = self._hang(hang) if hang else []
        used, _ = self._used(), psutil.cpu_percent()
        begin = time.monotonic()
        faster = self._rate * crowd[1] / count
        await asyncio.gather(self._publish(phase.sent, records, self._rate), self._publish(phase.crowd, more, faster))
        phase.ours = (self._used() - used) / (time.monotonic() - begin) / (psutil.cpu_count() or 1)
        phase.busy = psutil.cpu_percent() / 100
        await asyncio.sleep(CALM_SECONDS)
        await until(lambda: not any(self._missing(phase, each) for each in others), 120)
        phase.waiting = self._missing(phase, self._partner) if hang else 0
        self._answer_again(dials)
        with suppress(TimeoutError):  # what never arrives is counted as lost
            await until(lambda: not self._left_over(phase), LEFT_OVER_SECONDS)
        await asyncio.sleep(CALM_SECONDS)
        submits = await self._submits()
        phase.waits = {each: self._waits(phase, each, submits) for each in lenders}
        return phase

    def _used(self) -> float:
        """CPU seconds of the stack so far."""
        pids = {name: each["pid"] for name, each in self._side.endpoints["services"].items()}
        return sum(each.cpu for each in usage(pids).values())

    def _records(self, count: int, lenders: Sequence[str]) -> list[tuple[bytes, Any, str]]:
        key = publish.public_key(self._side.folder / "config" / "intake.jwk")
        made = loans(count, self._made)
        self._made += count
        self._asked += count * len(lenders)
        return [publish.record(loan | {"targetPartners": list(lenders)}, key) for loan in made]

    async def _publish(
        self, sent: dict[uuid.UUID, float], records: Sequence[tuple[bytes, Any, str]], rate: float
    ) -> None:
        producer: Any = AIOKafkaProducer(bootstrap_servers=self._side.kafka, acks="all", enable_idempotence=True)
        await producer.start()
        try:
            begin, futures = time.monotonic(), []
            for (value, headers, event), at in zip(records, arrivals(len(records), rate), strict=True):
                await asyncio.sleep(begin + at - time.monotonic())
                sent[imported_application_id(TENANT, publish.SOURCE, event)] = time.time()
                futures.append(await producer.send(self._side.topic, value, key=event.encode(), headers=headers))
            await asyncio.gather(*futures)
        finally:
            await producer.stop()

    def _hang(self, secs: float) -> list[str]:
        dial = {"kind": "delay", "ms": int(secs * 1000)}
        reply = httpx.post(self._dials, json={"dials": [dial]}, trust_env=False)
        return [each["id"] for each in reply.raise_for_status().json()["dials"]]

    def _answer_again(self, dials: Iterable[str]) -> None:
        for each in dials:
            httpx.delete(f"{self._dials}/{each}", trust_env=False).raise_for_status()

    def taken(self, partner: str) -> list[tuple[str, float]]:
        """Every application that the partner has noted, by reference, and when its call arrived."""
        found = get(f"{self._side.sandbox}/_ledger/{partner}?bodies=false")["leads"]
        return [(each["reference"], seconds(each["at"])) for each in found]

    def _missing(self, phase: Phase, partner: str) -> int:
        known = {name for name, _ in self.taken(partner)}
        return sum(reference(each, partner) not in known for each in wanted(phase, partner))

    def _left_over(self, phase: Phase) -> int:
        """What somebody has not got yet, or where something is still to be done."""
        partners = {*phase.lenders, phase.crowded} - {""}
        return sum(self._missing(phase, each) for each in partners) + self._unfinished()

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
            await watch(self._side.kafka, "submit", asked, self._asked, seen)
        return seen.decided

    def _waits(self, phase: Phase, partner: str, submits: dict[str, float]) -> Waits:
        arrived = dict(reversed(self.taken(partner)))  # the first, should there be two
        waits = Waits([], [])
        for application, sent in phase.sent.items():
            if (at := arrived.get(reference(application, partner))) is None:
                continue
            asked = submits[str(opportunity_id(application, partner, LENDERS[partner]))]
            waits.from_publication.append(at - sent)
            waits.from_submit.append(at - asked)
        return waits

    def lost_or_twice(self, phases: Iterable[Phase]) -> dict[str, tuple[int, int]]:
        """By partner: how many never arrived, and how many more than once, over the whole run."""
        found = {}
        for partner in LENDERS:
            counts = Counter(name for name, _ in self.taken(partner))
            times = [counts[reference(each, partner)] for phase in phases for each in wanted(phase, partner)]
            found[partner] = times.count(0), sum(count > 1 for count in times)
        return found


def waited(phases: Iterable[Phase], partner: str) -> Iterator[str]:
    for phase in phases:
        if phase.hang:
            yield f"{phase.name}: {phase.waiting} waited for {partner} when the others had everything"


def run(hangs: Sequence[float], partner: str, count: int, rate: float) -> None:
    """A healthy phase, then for each of `hangs` (seconds) a phase with it and another healthy one."""
    with running(Lendrail) as side:
        asyncio.run(_phases(Bench(side, partner, rate), hangs, partner, count))


async def _phases(bench: Bench, hangs: Sequence[float], partner: str, count: int) -> None:
    await bench.phase("warm", WARM)
    phases = [await bench.phase("healthy 1", count)]
    for number, hang in enumerate(hangs, 2):
        phases.append(await bench.phase(f"{partner} hangs {hang:g} s", count, hang))
        phases.append(await bench.phase(f"healthy {number}", count))
    show(tables(phases, partner), console)
    for line in waited(phases, partner):
        console.print(line)
    for name, (lost, twice) in bench.lost_or_twice(phases).items():
        console.print(f"{name}: {lost} lost, {twice} twice")
