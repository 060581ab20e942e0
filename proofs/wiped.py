"""Kafka loses its data in the middle of a run, with every topic in between read and unread: `python -m proofs.wiped`.

Services are killed one after the other, from the end of the way to its beginning, and applications are sent between: so
when Kafka dies, records of every topic wait unread, partners' calls among them. Then its folder is deleted, an empty
Kafka takes its place, and `lendrail republish` fills it from what the services stored.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from pymongo import MongoClient
from rich.console import Console
from tests.flow.stack import SERVICES, Stack

from lendrail.local.servers.process import started_at
from proofs.ending import orderly
from proofs.judged import LENDERS, Sent, Verdict, judge, send, settled, taken
from proofs.page import PAGES, Check, Ran, Table, show, verdict, write
from proofs.subscriber import Subscriber

CALM_SECONDS = 60.0
ENDS_SECONDS = 180.0
LEAST = 3
"""Calls of partners that must be unread before it goes on."""
UNREAD = ("partner-webhook", "packages", "reports", "applications")
"""Of what some must be unread when Kafka dies; status is unread by the subscriber in any case."""
HOLDING = frozenset(
    {
        "gateway.applications",
        "gateway.webhooks",
        "validation.reports",
        "documents.packages",
        "submission.opportunities",
        "status.opportunities",
        "notifications.notices",
    }
)
"""Collections in which events rest; outcomes of tenants are made anew from what is kept of deliveries."""
PAGE = PAGES / "wiped.md"
HEAD = """# Kafka loses its data in the middle of a run

Written by `python -m proofs.wiped`. Applications go to five partners, several at once. Services are killed one after
the other, from the end of the way to its beginning, and more are sent between; so when Kafka is killed and its folder
deleted, events of every kind are unread. The gateway takes more while Kafka is away. An empty Kafka is started, and
`lendrail republish` fills it ([../rebuild.md](../rebuild.md)). The partners' ledgers, the subscriber's book and the
tenant's topic are what is counted.
"""


class Wiped:
    """One run on a stack of its own."""

    def __init__(self, stack: Stack, each: int, say: Callable[[str], None] = lambda _: None) -> None:
        """`each`: applications of each of seven groups."""
        self._stack, self._each, self._say = stack, each, say
        self._sent: list[Sent] = []
        self.unread: dict[str, int] = {}
        """Records that nobody had read when Kafka died, by what waited for them."""
        self.seconds = 0.0
        """From the command to its end."""
        self.forgotten = 0
        """Notices that the subscriber knew before, and not afterwards: its book would have been lost."""

    async def run(self) -> Verdict:
        subscriber = Subscriber()
        async with subscriber.open(), self._stack.client() as client:
            key = {"Idempotency-Key": str(uuid.uuid4())}
            (await client.post("/v1/endpoints", json={"url": subscriber.url}, headers=key)).raise_for_status()
            await self._under_way(client)
            await self._lose(client)
            before = dict(subscriber.told)
            began = time.monotonic()
            said = await asyncio.to_thread(self._stack.lendrail, "republish")
            self.seconds = time.monotonic() - began
            self._say(said)
            found = await judge(self._stack, client, self._sent, subscriber, ENDS_SECONDS)
            self.forgotten = len(before.keys() - subscriber.told.keys())
            return found

    def checks(self, found: Verdict) -> Iterator[Check]:
        """That it was a loss worth the name comes first."""
        for name in UNREAD:
            unread = self.unread.get(name, 0)
            yield Check(f"unread when Kafka died: {name}", unread >= min(LEAST, self._each), str(unread))
        resting = self.holding_events()
        differ = ", ".join(sorted(resting ^ HOLDING))
        yield Check("events rest in every collection that is to hold them", not differ, differ or f"in {len(resting)}")
        yield from found.checks()
        yield Check("the subscriber's book is whole", not self.forgotten, f"{self.forgotten} gone")
        many = found.told >= found.accepted
        yield Check("the subscriber heard of as many notices as applications, or more", many, str(found.told))
        once = found.repeated <= 1
        yield Check("no notice came again, but one that a killed process was telling", once, str(found.repeated))

    async def _under_way(self, client: httpx.AsyncClient) -> None:
        """A group that is done; and one in front of each service that is not there any more."""
        await self._send(client)
        done = await settled(self._stack, client, self._sent, CALM_SECONDS)
        assert not done.wrong, f"not as they must be before anything is killed: {done.wrong[0]}"
        self._stack.kill("notifications")
        at_partners = await self._send(client)
        await self._until(lambda: self._with_partners(at_partners), "applications at their partners")
        self._stack.kill("status")
        heard = self._count("gateway", "webhooks")
        self._stack.dial("forward-financing", kind="decision_delay", ms=200)
        deciding = await self._send(client)
        await self._until(lambda: self._with_partners(deciding), "applications at their partners")
        await self._until(lambda: self._relayed("webhooks", heard + LEAST), "calls of partners that nobody reads")
        self.unread["partner-webhook"] = self._count("gateway", "webhooks") - heard
        for service, collection, owner in (
            ("submission", "packages", "documents"),
            ("documents", "reports", "validation"),
            ("validation", "applications", "gateway"),
        ):
            self._stack.kill(service)
            there = self._count(owner, collection)
            await self._send(client)
            await self._until(lambda: self._count(owner, collection) >= there + self._each, collection)  # noqa: B023
            self.unread[collection] = self._each
        await self._until(lambda: self._relayed("applications", 1), "applications in Kafka")

    async def _lose(self, client: httpx.AsyncClient) -> None:
        """The folder goes; the gateway keeps accepting; an empty Kafka comes."""
        pid = self._stack.endpoints["services"]["kafka"]["pid"]
        self._stack.kill("kafka")
        await self._until(lambda: started_at(pid) is None, "end of Kafka")
        shutil.rmtree(self._stack.folder / "data" / "kafka" / "data")
        await self._send(client)
        self._say(f"Kafka's data is deleted; unread: {self.unread}")
        await asyncio.to_thread(self._stack.restart, "kafka")

    async def _send(self, client: httpx.AsyncClient) -> list[Sent]:
        sent = await send(client, self._each, len(self._sent))
        self._sent += sent
        return sent

    def _with_partners(self, sent: list[Sent]) -> bool:
        books = {partner: taken(self._stack, partner) for partner in LENDERS}
        return all(books[partner][each.reference(partner)] for each in sent for partner in each.partners)

    async def _until(self, check: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + CALM_SECONDS
        while not await asyncio.to_thread(check):
            assert time.monotonic() < end, f"no {what} within {CALM_SECONDS:.0f} s"
            await asyncio.sleep(0.1)

    def _relayed(self, collection: str, least: int) -> bool:
        """Whether Kafka has all of them, and so many there are."""
        waits = self._count("gateway", collection, {"pending": {"$exists": True}})
        return not waits and self._count("gateway", collection) >= least

    def holding_events(self) -> set[str]:
        """Collections in which events rest, as `database.collection`."""
        with MongoClient[dict[str, Any]](self._stack.endpoints["mongo"]) as client:
            return {
                f"{owner}.{name}"
                for owner in SERVICES
                for name in client[owner].list_collection_names()
                if client[owner][name].find_one({"outbox.0": {"$exists": True}})
            }

    def _count(self, owner: str, collection: str, where: dict[str, Any] | None = None) -> int:
        with MongoClient[dict[str, Any]](self._stack.endpoints["mongo"]) as client:
            return client[owner][collection].count_documents(where or {})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs.wiped", description=__doc__)
    parser.add_argument("--applications", type=int, default=70)
    parser.add_argument("--report", type=Path, default=PAGE, help="where the page about the run is written")
    asked = parser.parse_args()
    orderly()
    folder, ran = Path(tempfile.mkdtemp(prefix="lendrail-wiped-")), Ran()
    stack = Stack(folder)
    try:
        stack.up("--no-rate-limit", "--no-email")
        run = Wiped(stack, max(1, asked.applications // 7), print)
        found = asyncio.run(run.run())
        checks = list(run.checks(found))
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)
    counted = [*found.rows(), ("seconds of `lendrail republish`", f"{run.seconds:.1f}")]
    tables = [Table("What was counted", ("", ""), counted), verdict(checks)]
    show(tables, Console(highlight=False, width=140))
    write(asked.report, HEAD, ran, tables)
    return 0 if all(check.kept for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
