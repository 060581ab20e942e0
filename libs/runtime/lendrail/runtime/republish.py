"""A Kafka that lost its data is filled again: `python -m lendrail.<service> republish` publishes the stored events of a
service once more, as they were.

A command and no part of the running service: nothing that is stored changes but the place of the walk. Receivers know
the ids of what they had already. Who states and hears these facts stands still meanwhile, so that nothing newer comes
before them; docs/rebuild.md has the order of things.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lendrail.contracts.event import Record
from lendrail.contracts.topics import TOPICS
from lendrail.runtime.clock import utc_now
from lendrail.runtime.faults import point
from lendrail.runtime.mongo import OUTAGES, Collection, Document
from lendrail.runtime.publisher import Publisher
from lendrail.runtime.service import Service
from lendrail.runtime.stored_events import Source, histories

DAYS = 37
"""As long as Kafka keeps an event and its dead letter together: what is older was in no topic any more."""
MOST_DAYS = 43
"""Receivers remember ids for 45 days at least; what is older would be news to them."""
RECORDS, BYTES = 500, 4 * 1024 * 1024
"""What is on its way at one time."""
SAY_SECONDS = 2.0
RUN = "run"
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command was asked for."""

    days: float = DAYS
    per_second: float = 0.0
    """At most so many events; 0: as fast as Kafka takes them."""
    resume: bool = False
    """Go on where a run was interrupted."""


@dataclass(kw_only=True)
class Walk:
    """How far one source is published."""

    after: Any = None
    histories: int = 0
    records: int = 0
    done: bool = False


def main(service: Service, arguments: Sequence[str]) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(
        prog=f"python -m lendrail.{service.name} republish",
        description="Publish the stored events of this service again, after Kafka lost its data. See docs/rebuild.md.",
    )
    parser.add_argument("--days", type=_days, default=DAYS, help=f"events of so many days, at most {MOST_DAYS}")
    parser.add_argument("--per-second", type=float, default=0.0, help="at most so many events a second")
    parser.add_argument("--resume", action="store_true", help="go on where this same rebuild was interrupted")
    given = parser.parse_args(arguments)
    asked = Asked(days=given.days, per_second=given.per_second, resume=given.resume)
    return asyncio.run(_command(service, asked))


def _days(text: str) -> float:
    days = float(text)
    if not 0 < days <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"more than 0 and at most {MOST_DAYS}: receivers forget what is older")
    return days


async def _command(service: Service, asked: Asked) -> int:
    assert service.kafka is not None
    connecting = asyncio.create_task(service.kafka.run())
    try:
        lacking = await service.kafka.lacking(_topics(service))
        if lacking:
            print(f"{service.name}: Kafka has no topic {', '.join(lacking)}; run `lendrail topics apply` first")
            return 1
        await Republishing(service.republished, service.publisher, asked, _say(service.name)).run(service.sources)
    finally:
        connecting.cancel()
        await service.kafka.stop()
        await service.http.aclose()
        await service.client.close()
    return 0


def _topics(service: Service) -> set[str]:
    own = {topic.name for topic in TOPICS if service.name in topic.producers}
    return own.union(*(source.topics() for source in service.sources)) if service.sources else set()


def _say(name: str) -> Say:
    return lambda text: print(f"{name}: {text}", flush=True)


class Republishing:
    """Publishes what some sources hold, one after the other."""

    def __init__(self, places: Collection, publisher: Publisher, asked: Asked, say: Say) -> None:
        """`places`: where the walks stand; a collection of the service's own."""
        self._places, self._publisher, self._asked, self._say = places, publisher, asked, say
        self._began, self._sent = time.monotonic(), 0
        self._said = self._began

    async def run(self, sources: Sequence[Source]) -> None:
        """All of them. An outage of a store is waited for."""
        since, walks = await self._begin()
        for source in sources:
            name = source.collection.name
            walk = walks.get(name, Walk())
            while not walk.done:
                try:
                    await self._walk(source, walk, since)
                except OUTAGES as error:
                    self._say(f"waits for its store: {type(error).__name__}")
                    await asyncio.sleep(1.0)
            self._say(f"{name}: all {walk.records} events of {walk.histories} histories are published")
        await self._places.update_one({"_id": RUN}, {"$set": {"ended": utc_now()}})

    async def _begin(self) -> tuple[dt.datetime, dict[str, Walk]]:
        """From when on, and how far it came already. Nothing older than receivers remember, whenever it began."""
        now = utc_now()
        place = await self._places.find_one({"_id": RUN, "ended": {"$exists": False}}) if self._asked.resume else None
        if place is not None:
            self._say(f"goes on with the run of {place['began']:%Y-%m-%d %H:%M} UTC")
            since = max(place["since"], now - dt.timedelta(days=MOST_DAYS))
            return since, {name: Walk(**walk) for name, walk in place["walks"].items()}
        since = now - dt.timedelta(days=self._asked.days)
        fresh: Document = {"began": now, "since": since, "walks": {}}
        await self._places.replace_one({"_id": RUN}, fresh, upsert=True)
        return since, {}

    async def _walk(self, source: Source, walk: Walk, since: dt.datetime) -> None:
        """From where it stands to the end."""
        total = await source.collection.estimated_document_count()
        waiting, size, seen = list[Record](), 0, 0
        after = walk.after
        async for place, documents in histories(source, since, walk.after):
            found = await source.records(documents, since)
            waiting += found
            size += sum(len(record.value) for record in found)
            after, seen = place, seen + 1
            if len(waiting) >= RECORDS or size >= BYTES or seen >= RECORDS:
                await self._publish(source, walk, waiting, after, seen)
                waiting, size, seen = [], 0, 0
                self._tell(source, walk, total)
        await self._publish(source, walk, waiting, after, seen)
        walk.done = True
        await self._keep(source, walk)

    async def _publish(self, source: Source, walk: Walk, records: list[Record], after: Any, seen: int) -> None:
        """The place moves on only after Kafka has them; whoever dies in between publishes them once more."""
        await self._publisher.publish(records)
        point("republish.published")
        walk.after, walk.histories, walk.records = after, walk.histories + seen, walk.records + len(records)
        await self._keep(source, walk)
        self._sent += len(records)
        if self._asked.per_second > 0:
            ahead = self._sent / self._asked.per_second - (time.monotonic() - self._began)
            await asyncio.sleep(max(0.0, ahead))

    async def _keep(self, source: Source, walk: Walk) -> None:
        await self._places.update_one({"_id": RUN}, {"$set": {f"walks.{source.collection.name}": vars(walk)}})

    def _tell(self, source: Source, walk: Walk, total: int) -> None:
        now = time.monotonic()
        if now - self._said < SAY_SECONDS:
            return
        self._said, rate = now, self._sent / (now - self._began)
        of = f" of about {total}" if source.about == "_id" else ""
        self._say(f"{source.collection.name}: {walk.records} events of {walk.histories}{of} histories, {rate:.0f}/s")
