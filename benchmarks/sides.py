"""The two sides of the comparison, each with a start, a stop, its records and its partner's ledger."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from proofs.loans import loans
from proofs.watch import Seen, header_time, until, watch
from pymongo import MongoClient
from tests.support import topics

from benchmarks import bare
from lendrail.local import publish
from lendrail.local.servers import Kafka, Mongo
from lendrail.local.servers.ports import free_port

PARTNER = "forward-financing"


def seconds(time: str) -> float:
    """An RFC 3339 time of the ledger, since the epoch."""
    return dt.datetime.fromisoformat(time).timestamp()


def get(url: str) -> Any:
    return httpx.get(url, trust_env=False, timeout=120).json()


@contextmanager
def listener() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.listener", str(port)])
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


class Lendrail:
    """Side (b): the stack as `lendrail up` starts it."""

    name = "lendrail"

    def __init__(self, folder: Path, notices: str) -> None:
        self.folder, self.notices = folder, notices

    def start(self) -> None:
        command = ("up", "--detach", "--no-rate-limit", "--no-email", "--no-outcomes")
        self._lendrail(*command, LENDRAIL_LOG_LEVEL="WARNING")
        self.endpoints = self.read()
        self.kafka, self.mongo = self.endpoints["kafka"], self.endpoints["mongo"]
        self.sandbox = self.endpoints["sandbox"]["url"]
        asyncio.run(self._register())

    def read(self) -> Any:
        """Where everything is now: who was started again has another process."""
        return json.loads((self.folder / "endpoints.json").read_text())

    async def _register(self) -> None:
        api = publish.Api(self.endpoints)
        async with api.client:
            (await api.post("/v1/endpoints", {"url": self.notices})).raise_for_status()
            at_once = {"kind": "decision_delay", "ms": 0}
            (await api.client.post(f"{self.sandbox}/_dials/{PARTNER}", json=at_once)).raise_for_status()

    def stop(self) -> None:
        self._lendrail("down")

    def _lendrail(self, *arguments: str, **more: str) -> None:
        command = [sys.executable, "-m", "lendrail.local", *arguments, "--state", str(self.folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | more)

    @property
    def pids(self) -> dict[str, int]:
        return {name: self.endpoints["services"][name]["pid"] for name in bare.ROLES}

    topic, results = "intake-demo-crm", "status-updated"

    def records(self, count: int, start: int) -> list[tuple[bytes, Any, bytes]]:
        key = publish.public_key(self.folder / "config" / "intake.jwk")
        made = (publish.record(loan, key) for loan in loans(count, start))
        return [(value, headers, event_id.encode()) for value, headers, event_id in made]

    @staticmethod
    def decided(record: Any) -> tuple[str, float] | None:
        if b'"status":"approved"' not in record.value:
            return None
        return record.key.decode(), header_time(record)

    async def accepted(self, count: int) -> dict[str, float]:
        seen = Seen()
        await watch(self.kafka, "application-received", lambda r: (r.key.decode(), header_time(r)), count, seen)
        return seen.decided

    def called(self) -> dict[str, float]:
        """When the partner took each lead, by application."""
        with MongoClient[dict[str, Any]](self.mongo) as client:
            found = client["submission"]["opportunities"].find({}, {"partner_id": 1, "application_id": 1})
            owner = {str(each.get("partner_id")): str(each["application_id"]) for each in found}
        leads = get(f"{self.sandbox}/_ledger/{PARTNER}?bodies=false")["leads"]
        return {owner[lead["leadId"]]: seconds(lead["at"]) for lead in leads if lead["leadId"] in owner}


class Bare:
    """Side (a): benchmarks/bare.py, one process for each role."""

    name = "bare"

    def __init__(self, folder: Path, notices: str) -> None:
        self.folder, self.notices = folder, notices
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        self._kafka, self._mongo = Kafka(self.folder / "kafka").start(), Mongo(self.folder / "mongo").start()
        self.kafka, self.mongo = self._kafka.bootstrap, self._mongo.url
        asyncio.run(topics(self.kafka, *bare.TOPICS, partitions=bare.PARTITIONS))
        port, webhooks = free_port(), free_port()
        self.sandbox = f"http://127.0.0.1:{port}"
        user = {"partner": PARTNER, "user": "demo", "apiKey": "fake-key", "rateLimit": None}
        config = self.folder / "sandbox.json"
        settings = {"vocabulary": "classic", "decisionDelayMs": 0}
        config.write_text(json.dumps({"users": [user | {"settings": settings}]}))
        environment = os.environ | {
            "LENDRAIL_PORT": str(port),
            "LENDRAIL_SANDBOX_LEDGER": str(self.folder / "ledger"),
            "LENDRAIL_SANDBOX_CONFIG": str(config),
            "BARE_KAFKA": self.kafka,
            "BARE_MONGO": self.mongo,
            "BARE_PARTNER": f"{self.sandbox}/{PARTNER}/v1",
            "BARE_PARTNER_KEY": "fake-key",
            "BARE_LISTENER": self.notices,
            "BARE_WEBHOOK_PORT": str(webhooks),
            "BARE_DOCUMENTS_PORT": str(free_port()),
        }
        self._sandbox = subprocess.Popen(
            [sys.executable, "-m", "lendrail.sandbox"], env=environment, stdout=subprocess.DEVNULL
        )
        for role in bare.ROLES:
            self.running[role] = subprocess.Popen([sys.executable, "-m", "benchmarks.bare", role], env=environment)
        asyncio.run(until(self._up, 30))
        body = {"webhook_url": f"http://127.0.0.1:{webhooks}/"}
        url = f"{self.sandbox}/{PARTNER}/v1/webhook"
        httpx.post(url, json=body, headers={"api_key": "fake-key"}, trust_env=False).raise_for_status()
        time.sleep(3)

    def _up(self) -> bool:
        try:
            return httpx.get(f"{self.sandbox}/ready", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        for process in (*self.running.values(), self._sandbox):
            process.terminate()
        for process in (*self.running.values(), self._sandbox):
            process.wait(10)
        self._kafka.stop()
        self._mongo.stop()

    @property
    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self.running.items()}

    topic, results = "b-intake", "b-status"

    def records(self, count: int, start: int) -> list[tuple[bytes, Any, bytes]]:
        found = loans(count, start)
        return [(json.dumps(loan).encode(), None, f"app-{start + n}".encode()) for n, loan in enumerate(found)]

    @staticmethod
    def decided(record: Any) -> tuple[str, float] | None:
        if b'"approved"' not in record.value[:60]:
            return None
        return record.key.decode(), record.timestamp / 1000

    async def accepted(self, count: int) -> dict[str, float]:
        seen = Seen()
        await watch(self.kafka, "b-received", lambda r: (r.key.decode(), r.timestamp / 1000), count, seen)
        return seen.decided

    def called(self) -> dict[str, float]:
        leads = get(f"{self.sandbox}/_ledger/{PARTNER}?bodies=false")["leads"]
        return {lead["reference"]: seconds(lead["at"]) for lead in leads}


Side = Lendrail | Bare
OneSide = TypeVar("OneSide", bound=Side)


@contextmanager
def running(kind: type[OneSide]) -> Iterator[OneSide]:
    """One side in a folder of its own, with a listener of its own; ended, and the folder gone, whatever happens."""
    own = tempfile.TemporaryDirectory(prefix="lendrail-bench-", ignore_cleanup_errors=True)
    with own as folder, listener() as notices:
        side = kind(Path(folder), notices)
        try:
            side.start()
            yield side
        finally:
            side.stop()
