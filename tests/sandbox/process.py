"""The sandbox as its users meet it: a process of its own behind a socket, killed and started again at will."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from lendrail.local.servers.ports import free_port

T = TypeVar("T")
KEY = {"api_key": "classic-test-key"}
USERS: list[dict[str, Any]] = [
    {"user": "classic", "apiKey": "classic-test-key", "settings": {"vocabulary": "classic", "decisionDelayMs": 0}},
    {"user": "current", "apiKey": "current-test-key",
     "oauth": {"username": "iso@example.test", "password": "not-a-secret"},
     "settings": {"vocabulary": "current", "decisionDelayMs": 0}},
    {"user": "paced", "apiKey": "paced-test-key", "rateLimit": {"requests": 1, "seconds": 1}},
    {"user": "counted", "apiKey": "counted-test-key"},
    {"user": "patient", "apiKey": "patient-test-key", "rateLimit": {"requests": 1, "seconds": 60}},
    {"user": "brief", "oauth": {"username": "brief@example.test", "password": "not-a-secret"},
     "settings": {"tokenSeconds": 1}},
]  # fmt: skip


class Sandbox:
    """One sandbox with its ledger folder; `kill` is kill -9, `start` goes on with the same ledger and port."""

    def __init__(self, folder: Path, tls: bool = False) -> None:
        self.folder, self.port, self.tls_port = folder, free_port(), free_port() if tls else None
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = f"{self.url}/forward-financing/v1"
        config = folder / "config.json"
        config.write_text(json.dumps({"users": [{"partner": "forward-financing"} | user for user in USERS]}))
        self.environment = os.environ | {
            "LENDRAIL_PORT": str(self.port),
            "LENDRAIL_SANDBOX_LEDGER": str(folder / "ledger"),
            "LENDRAIL_SANDBOX_CONFIG": str(config),
            "LENDRAIL_LOG_LEVEL": "DEBUG",
        }
        if tls:
            self.environment["LENDRAIL_SANDBOX_TLS_PORT"] = str(self.tls_port)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Sandbox":
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lendrail.sandbox"], env=self.environment, stderr=log
            )
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/ready", trust_env=False).status_code == 200:
                    return self
            except httpx.TransportError:
                time.sleep(0.03)
        raise TimeoutError(self.log())

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def dial(self, **dial: Any) -> str:
        """Set one; returns its id."""
        reply = httpx.post(f"{self.url}/_dials/forward-financing", json=dial, trust_env=False)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["dials"][0]["id"])

    def reset(self) -> None:
        assert httpx.delete(f"{self.url}/_dials/forward-financing", trust_env=False).status_code == 200

    def ledger(self, reference: str | None = None, **query: str) -> dict[str, Any]:
        query |= {"reference": reference} if reference else {}
        reply = httpx.get(f"{self.url}/_ledger/forward-financing", params=query, trust_env=False)
        assert reply.status_code == 200
        return dict(reply.json())

    def summary(self) -> dict[str, Any]:
        return dict(httpx.get(f"{self.url}/_ledger/forward-financing/summary", trust_env=False).json())

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.api, headers=KEY, trust_env=False, timeout=10, **options)

    def lead(self, client: httpx.Client, reference: str, **changes: Any) -> str:
        """A lead that is taken; its id."""
        reply = client.post("/lead", json=lead(reference, **changes))
        assert reply.status_code == 201, reply.text
        return str(reply.json()["id"])

    def until_stage(self, client: httpx.Client, lead_id: str, stage: str) -> dict[str, Any]:
        return wait_for(lambda: _if_stage(client.get(f"/deal_status/{lead_id}").json(), stage))


def _if_stage(body: dict[str, Any], stage: str) -> dict[str, Any] | None:
    return body if body.get("stage") == stage else None


def wait_for(look: Callable[[], T | None], seconds: float = 10) -> T:
    """What `look` finds. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise TimeoutError("it did not happen")


def lead(reference: str, capital: str = "50000") -> dict[str, Any]:
    """A lead that both vocabularies take."""
    address = {"street1": "1 Nowhere Rd", "city": "Faketown", "state": "MA", "zip": "00000"}
    return {
        "lead": {
            "contacts_attributes": [
                {"first_name": "Testa", "last_name": "Fakely", "born_on": "1980-01-01", "ssn": "900000001",
                 "cell_phone": "5550100000", "current_address_attributes": address}
            ],
            "account_attributes": {
                "entity_type": "LLC", "name": "Fake Bakery", "started_on": "2015-01-01", "phone": "5550100001",
                "fein": "990000001", "monthly_revenue": "$20,000-$50,000", "industry_name": "Restaurants & Bars",
                "current_address_attributes": address,
            },
            "loan_attributes": {"company_name": "Fake Lender", "daily_payment_amount": 25, "balance": 15000.23},
            "application_attributes": {
                "has_current_loan": True, "applicant_is_owner": True, "loan_use": "Equipment Purchase",
                "capital_needed": capital, "owner_1_percent_ownership": 60, "reference_id": reference,
            },
        }
    }  # fmt: skip


class Listener:
    """A plain HTTP server of the standard library: receives webhooks, serves files."""

    def __init__(self) -> None:
        self.received: list[tuple[float, Any]] = []
        self.files: dict[str, bytes] = {}
        self.url = ""
        self._came = asyncio.Condition()

    async def until(self, number: int, seconds: float = 8) -> None:
        """Wait for so many webhooks. Raises TimeoutError."""
        async with asyncio.timeout(seconds), self._came:
            await self._came.wait_for(lambda: len(self.received) >= number)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        _, path, *_ = head.split()
        length = next((int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length")), 0)
        body = await reader.readexactly(length)
        if head.startswith("post"):
            async with self._came:
                self.received.append((time.monotonic(), json.loads(body)))
                self._came.notify_all()
        content = self.files.get(path, b"") if head.startswith("get") else b"{}"
        status = "404 Not Found" if head.startswith("get") and path not in self.files else "200 OK"
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(port: int = 0) -> AsyncIterator[Listener]:
    listener = Listener()
    server = await asyncio.start_server(listener._serve, "127.0.0.1", port)
    listener.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield listener
    finally:
        server.close()
        await server.wait_closed()
