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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from pymongo import MongoClient
from tests.flow.stack import SERVICES, Stack

from lendrail.local.servers.process import started_at
from proofs.judged import LENDERS, Sent, Verdict, judge, send, settled, taken
from proofs.subscriber import Subscriber

CALM_SECONDS = 60.0
ENDS_SECONDS = 180.0
LEAST = 3
"""Calls of partners that must be unread before it goes on."""


class Wiped:
    """One run on a stack of its own."""

    def __init__(self, stack: Stack, each: int, say: Callable[[str], None] = lambda _: None) -> None:
        """`each`: applications of each of six groups."""
        self._stack, self._each, self._say = stack, each, say
        self._sent: list[Sent] = []
        self.unread: dict[str, int] = {}
        """Records that nobody had read when Kafka died, by what waited for them."""
        self.seconds = 0.0
        """From the command to its end."""

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
            verdict = await judge(self._stack, client, self._sent, subscriber, ENDS_SECONDS)
            assert before.keys() <= subscriber.told.keys()
            return verdict

    async def _under_way(self, client: httpx.AsyncClient) -> None:
        """A group that is done; and one in front of each service that is not there any more."""
        await self._send(client)
        assert not await settled(client, self._sent, CALM_SECONDS)
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
    parser.add_argument("--applications", type=int, default=60)
    count = parser.parse_args().applications
    folder = Path(tempfile.mkdtemp(prefix="lendrail-wiped-"))
    stack = Stack(folder)
    try:
        stack.up("--no-rate-limit", "--no-email")
        run = Wiped(stack, max(1, count // 7), print)
        verdict = asyncio.run(run.run())
        print(f"\nrepublished within {run.seconds:.1f} s; unread when Kafka died: {run.unread}\n\n| | |\n|---|---|")
        print(*verdict.lines(), sep="\n")
        print(*(f"{name}: {each}" for name, found in verdict.bad.items() for each in found), sep="\n")
        return 1 if verdict.bad else 0
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
