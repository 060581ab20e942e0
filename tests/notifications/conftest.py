"""Notifications on a real MongoDB, with an in-memory broker, a real listener and a real mail server."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI
from faststream.kafka import TestKafkaBroker
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from pymongo import AsyncMongoClient
from tests import make, support

from lendrail.contracts.event import Record
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import Money, Offer, Reference, Status
from lendrail.local.smtp import certificate
from lendrail.notifications.app import build
from lendrail.notifications.settings import Settings
from lendrail.runtime import mongo as runtime_mongo
from lendrail.runtime.broker import make_broker
from lendrail.runtime.publisher import BrokerPublisher
from lendrail.runtime.service import Service
from lendrail.runtime.tokens import AUDIENCE, Verifier
from lendrail.runtime.topic_port import Writer

ISSUER = "http://127.0.0.1/test-issuer"
SIGNING = ECKey.generate_key("P-256")
Document = runtime_mongo.Document


class Listener:
    """A tenant's webhook endpoint on a real socket; `plan` gives the answer to the n-th call."""

    def __init__(self, plan: Callable[[int], bytes | None]) -> None:
        self.plan = plan
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head.splitlines()[1:] if line)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.calls.append((headers, body))
                answer = self.plan(len(self.calls))
                if answer is None:
                    await asyncio.sleep(3600)
                    continue
                writer.write(answer)
                await writer.drain()
        writer.close()


def answer(status: int, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@pytest.fixture
async def listen() -> AsyncIterator[Callable[[Callable[[int], bytes | None]], Awaitable[Listener]]]:
    servers = []

    async def start(plan: Callable[[int], bytes | None]) -> Listener:
        listener = Listener(plan)
        server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
        servers.append(server)
        listener.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        return listener

    yield start
    for server in servers:
        server.close()
        server.close_clients() if hasattr(server, "close_clients") else None


class Mailbox:
    """aiosmtpd's handler; `replies` are given to RCPT and DATA while there are any."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.recipients: list[str] = []
        self.connections = 0
        self.rcpt_replies: list[str] = []
        self.data_replies: list[str] = []
        self.cut = 0
        self.transports: list[Any] = []
        self.port = 0
        self.ca = Path()

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, to: str, options: Any) -> str:
        assert session.ssl is not None
        if self.rcpt_replies:
            return self.rcpt_replies.pop(0)
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data_replies:
            return self.data_replies.pop(0)
        self.mails.append(envelope.original_content or b"")
        self.recipients += envelope.rcpt_tos
        if self.cut:
            self.cut -= 1
            assert server.transport is not None
            server.transport.abort()  # type: ignore[attr-defined]
        return "250 OK"

    def close_connections(self) -> None:
        for transport in self.transports:
            transport.abort()


@pytest.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[Mailbox]:
    """A mail relay that insists on STARTTLS."""
    box = Mailbox()
    context = certificate(tmp_path)
    box.ca = tmp_path / "smtp.pem"

    class Counted(SMTP):
        def connection_made(self, transport: Any) -> None:
            box.connections += transport.get_extra_info("sslcontext") is None
            box.transports.append(transport)
            super().connection_made(transport)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Counted(box, hostname="localhost", tls_context=context, require_starttls=True), "127.0.0.1", 0
    )
    box.port = server.sockets[0].getsockname()[1]
    yield box
    server.close()
    box.close_connections()


class Running:
    """The service under test."""

    def __init__(self, service: Service, app: FastAPI, client: AsyncMongoClient[Document]) -> None:
        self.service, self.client = service, client
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notifications.test")
        self.deliveries = service.database["deliveries"]
        self._tasks: list[asyncio.Task[None]] = []

    async def work(self) -> None:
        """Let the workers run."""
        self._tasks = [asyncio.create_task(run()) for run in self.service._loops]

    async def rest(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(drain(5) for drain in self.service._drains))

    async def register(self, body: dict[str, Any], key: str = "", **how: Any) -> httpx.Response:
        headers = token(**how) | {"Idempotency-Key": key or uuid.uuid4().hex}
        return await self.http.post("/v1/endpoints", json=body, headers=headers)

    async def record(self, event: StatusUpdated) -> Record:
        key = (await self.service.vault.create([event.key_id]))[event.key_id]
        return make.record(event, key, "status")

    async def state(self, event: StatusUpdated, wanted: str, seconds: float = 10) -> dict[str, Any]:
        """The delivery of `event`'s version, as soon as it is in this state."""

        async def look() -> Any:
            query = {"notices": {"$elemMatch": {"version": event.version, "state": wanted}}}
            queue = await self.deliveries.find_one({"application": str(event.application_id), **query})
            return queue and next(n for n in queue["notices"] if n["version"] == event.version)

        found: dict[str, Any] = await support.eventually(look, seconds)
        return found

    async def publish(self, *events: StatusUpdated) -> None:
        for event in events:
            await self.service.publisher.publish([await self.record(event)])


def token(
    scopes: str = "endpoints:write applications:read", tenant: str = "demo", mode: str = "test"
) -> dict[str, str]:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": now + 60,
        "tenant": tenant,
        "client_id": "demo-upstream",
        "mode": mode,
        "scope": scopes,
    }
    return {"Authorization": f"Bearer {jwt.encode({'alg': 'ES256'}, claims, SIGNING)}"}


def updated(version: int = 1, status: Status = Status.APPROVED, **changes: Any) -> StatusUpdated:
    values: dict[str, Any] = {
        "tenant_id": "demo",
        "mode": "test",
        "application_id": make.new_id(),
        "opportunity_id": make.new_id(),
        "partner": "forward-financing",
        "credential": "demo-ff",
        "state_version": version,
        "status": status,
        "source": "fetch",
        "observed_at": dt.datetime(2026, 3, 2, 11, 0, tzinfo=dt.UTC),
        "offers": (
            Offer(id="offer-1", amount=Money(amount="25000.00", currency="USD"), action_link="https://x.test/a"),
        ),
        "references": (Reference(system="demo-crm", kind="deal", value="DEAL-1"),),
        "missing_info": "Ask Zelda Fakename for the March statement",
    }
    return StatusUpdated.model_validate(values | changes)


@pytest.fixture
async def start(
    mongo: str, mailbox: Mailbox, tmp_path: Path, database_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Awaitable[Running]]]:
    """Start the service with settings of the test's choice, on an in-memory broker."""
    async with contextlib.AsyncExitStack() as stack:

        async def begin(writer: Writer | None = None, **more: str) -> Running:
            mail = {"smtp_host": "localhost", "smtp_port": str(mailbox.port), "smtp_ca_file": str(mailbox.ca)}
            given = (
                mail | {"smtp_sender": "lendrail@demo.example.test", "public_url": "https://api.example.test"} | more
            )
            for name, value in support.environment(tmp_path, mongo=mongo, prefix=database_prefix, **given).items():
                monkeypatch.setenv(name, value)
            settings = Settings()
            broker = make_broker(settings, "notifications")

            async def keys() -> KeySet:
                return KeySet([SIGNING])

            service, app = build(
                settings,
                verifier=Verifier(ISSUER, keys),
                writer=writer,
                broker=broker,
                publisher=BrokerPublisher(broker),
            )
            for action in service._prepare:
                await action()
            await stack.enter_async_context(TestKafkaBroker(broker))
            running = Running(service, app, service.client)
            stack.push_async_callback(service.client.close)
            stack.push_async_callback(service.http.aclose)
            stack.push_async_callback(running.rest)
            return running

        yield begin
