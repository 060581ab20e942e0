"""`make bench ARGS="--lists 10000,1000000"`: lists and search among so many applications, through the HTTP door.

The entries are invented and written by the gateway's own writer into a database of their own; measured is a real
gateway process that answers one caller after the other. All entries but every hundredth belong to the tenant that asks,
and statuses, partners and times are spread so that common and rare answers are both among the questions.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from proofs.watch import percentile
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from rich.console import Console
from rich.table import Table
from tests.gateway.process import Gateway

from lendrail.contracts.terms import Reference, Status, opportunity_id
from lendrail.gateway.lists.index import Index
from lendrail.gateway.lists.search import entries_of_opportunities, entry_of_application
from lendrail.gateway.shapes import ApplicationView, OpportunityView, TimelineEntry
from lendrail.local.servers import Mongo
from lendrail.runtime.mongo import Document

console = Console(highlight=False, width=140)
BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
STEP = dt.timedelta(seconds=10)
LENDERS = tuple((f"fake-lender-{number}", f"fake-credential-{number}") for number in range(20))
COMMON = (Status.DECLINED, Status.IN_REVIEW, Status.APPROVED, Status.FUNDED, Status.WITHDRAWN)
RARE = 10_000
"""One of so many applications has a status that hardly any has."""
BULK, WRITERS = 400, 6
WARM, TRIES = 20, 300


@dataclass(frozen=True)
class Measured:
    question: str
    count: int
    p50: float
    p99: float
    shown: int


def invented(number: int) -> ApplicationView:
    """Application `number` at one or two of twenty lenders."""
    application = uuid.uuid5(uuid.NAMESPACE_OID, f"fake-application-{number}")
    received = BEGIN + number * STEP
    changed = received + (number * 7_919 % 100_000) * dt.timedelta(seconds=1)
    status = Status.INFO_REQUIRED if number % RARE == 77 else COMMON[number % len(COMMON)]
    lenders = [LENDERS[number % 20], LENDERS[number * 7 % 20]][: 1 + (number % 4 == 1)]
    at = [
        OpportunityView.model_construct(
            opportunity_id=opportunity_id(application, partner, credential),
            partner=partner,
            credential=credential,
            status=status,
            status_since=changed,
            age_seconds=0,
            observed_at=changed,
            source="fetch",
            partner_id=f"FAKE-{number}-{place}",
        )
        for place, (partner, credential) in enumerate(dict.fromkeys(lenders))
    ]
    return ApplicationView.model_construct(
        application_id=application,
        status=status,
        revision=1,
        mode="test",
        door="kafka",
        upstream="demo-crm",
        received_at=received,
        references=(Reference(system=f"crm-{number % 3}", kind="deal", value=f"FAKE-D-{number}"),),
        timeline=(TimelineEntry(time=changed, event="status-updated", service="status", status=status),),
        opportunities=tuple(at),
    )


async def fill(database: AsyncDatabase[Document], count: int) -> float:
    """Entries written each second, by several writers at a time."""
    began, batches = time.monotonic(), iter(range(0, count, BULK))

    async def writer() -> int:
        (applications, opportunities), written = lists_of(database), 0
        for first in batches:
            views = [
                (invented(n), "other" if n % 100 == 99 else "demo") for n in range(first, min(first + BULK, count))
            ]
            entries = [entry_of_application(view, tenant) for view, tenant in views]
            of_opportunities = [entry for view, tenant in views for entry in entries_of_opportunities(view, tenant)]
            await asyncio.gather(*map(applications.add, entries), *map(opportunities.add, of_opportunities))
            written += len(entries) + len(of_opportunities)
        return written

    return sum(await asyncio.gather(*(writer() for _ in range(WRITERS)))) / (time.monotonic() - began)


def lists_of(database: AsyncDatabase[Document]) -> tuple[Index, Index]:
    return (
        Index(database["listed_applications"], owner="_id"),
        Index(database["listed_opportunities"], owner="application"),
    )


def questions(count: int) -> dict[str, Sequence[tuple[str, dict[str, Any]]]]:
    """By name: the same question with other values each time, so that no answer is one that was just given."""
    some = [number * 7_907 % count for number in range(TRIES + WARM)]
    some = [number - (number % 100 == 99) for number in some]
    partner, credential = LENDERS[3]
    both = {"partner": partner, "credential": credential}
    return {
        "first page": [("applications", {})] * len(some),
        "one status": [("applications", {"status": COMMON[n % 5]}) for n in some],
        "three statuses": [("applications", {"status": list(COMMON[:3])})] * len(some),
        "rare status": [("applications", {"status": "info-required"})] * len(some),
        "partner": [("applications", {"partner": LENDERS[n % 20][0]}) for n in some],
        "partner and status": [("applications", {"partner": LENDERS[n % 20][0], "status": "funded"}) for n in some],
        "reference": [("applications", {"reference": f"FAKE-D-{n}"}) for n in some],
        "system and reference": [
            ("applications", {"reference": f"FAKE-D-{n}", "system": f"crm-{n % 3}"}) for n in some
        ],
        "partner's id": [("applications", {"partnerId": f"FAKE-{n}-0"}) for n in some],
        "received from": [("applications", {"receivedTo": (BEGIN + n * STEP).isoformat()}) for n in some],
        "changed since": [("applications", {"changedFrom": (BEGIN + n * STEP).isoformat()}) for n in some],
        "opportunities": [("opportunities", {})] * len(some),
        "opportunities: credential, status": [("opportunities", both | {"status": COMMON[n % 5]}) for n in some],
        "opportunities: partner's id": [("opportunities", {"partnerId": f"FAKE-{n}-0"}) for n in some],
    }


async def ask(client: httpx.AsyncClient, kind: str, query: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    began = time.perf_counter()
    answer = await client.get(f"/v1/{kind}", params=query)
    took = time.perf_counter() - began
    answer.raise_for_status()
    return took, answer.json()


async def measure(client: httpx.AsyncClient, count: int) -> AsyncIterator[Measured]:
    for name, asked in questions(count).items():
        told = [await ask(client, kind, query) for kind, query in asked]
        yield _measured(name, count, told)
    yield _measured("next pages", count, await pages(client, WARM + TRIES))


async def pages(client: httpx.AsyncClient, most: int) -> list[tuple[float, dict[str, Any]]]:
    """A walk through all, from the newest on."""
    told: list[tuple[float, dict[str, Any]]] = []
    query: dict[str, Any] = {}
    while len(told) < most:
        told.append(await ask(client, "applications", query))
        query = {"pageToken": told[-1][1]["nextPageToken"]} if "nextPageToken" in told[-1][1] else {}
    return told


def _measured(name: str, count: int, told: Sequence[tuple[float, dict[str, Any]]]) -> Measured:
    times = [took for took, _ in told[WARM:]]
    shown = sum(len(page["items"]) for _, page in told[WARM:]) // len(times)
    return Measured(name, count, percentile(times, 50) * 1000, percentile(times, 99) * 1000, shown)


async def one(folder: Path, mongo: str, count: int) -> list[Measured]:
    """A database of `count` applications, filled and asked."""
    prefix = f"lists_{count}_"
    client: AsyncMongoClient[Document] = AsyncMongoClient(mongo, tz_aware=True, w="majority", journal=True)
    database = client[f"{prefix}gateway"]
    for index in lists_of(database):
        await index.prepare()
    rate = await fill(database, count)
    console.print(f"{count} applications: {rate:.0f} entries written a second")
    await client.close()
    gateway = Gateway(folder, kafka="127.0.0.1:1", mongo=mongo, prefix=prefix).start()
    try:
        await asyncio.to_thread(gateway.wait_ready)
        async with gateway.caller() as caller:
            return [each async for each in measure(caller, count)]
    finally:
        gateway.stop()


def show(results: Sequence[Measured]) -> None:
    table = Table(title="lists and search: p50 / p99 in ms, entries shown", box=None, title_justify="left")
    counts = list(dict.fromkeys(each.count for each in results))
    table.add_column("question")
    for count in counts:
        table.add_column(str(count), justify="right")
    by = {(each.question, each.count): each for each in results}
    for name in dict.fromkeys(each.question for each in results):
        cells = [by[name, count] for count in counts]
        table.add_row(name, *(f"{each.p50:.1f} / {each.p99:.1f}  ({each.shown})" for each in cells))
    console.print(table)


def run(counts: Sequence[int]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="lendrail-bench-"))
    mongo = Mongo(folder / "mongo").start()
    results: list[Measured] = []
    try:
        for count in counts:
            place = folder / str(count)
            place.mkdir()
            results += asyncio.run(one(place, mongo.url, count))
            show(results)
    finally:
        mongo.stop()
        shutil.rmtree(folder, ignore_errors=True)
