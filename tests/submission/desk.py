"""What the tests of submission share: events to plan, a documents service, the lanes beside a real sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from tests import make, support
from tests.sandbox.process import Sandbox

from lendrail.contracts.event import Record, decode, envelope_of, read_envelope
from lendrail.contracts.partner_ack import PartnerAck
from lendrail.contracts.submit import Send, Submit
from lendrail.contracts.terms import DocumentRef, opportunity_id
from lendrail.runtime import mongo
from lendrail.runtime import tasks as background
from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import Credentials, Mounted, Tenants
from lendrail.runtime.partner_port import PartnerPort
from lendrail.runtime.settings import read_key
from lendrail.runtime.step import Delivery
from lendrail.runtime.vault import Key, LocalWrapper, Vault
from lendrail.submission.accounts.desks import Desks
from lendrail.submission.accounts.lists import PartnerLists
from lendrail.submission.app import build
from lendrail.submission.attempts.attempt import Attempt, Opportunity, reference
from lendrail.submission.handlers import Handlers
from lendrail.submission.registries.registry import Registry
from lendrail.submission.sending.asking import Asker
from lendrail.submission.sending.channels import Channels
from lendrail.submission.settings import Settings
from lendrail.submission.store import Store, read

PARTNER, CREDENTIAL, TENANT = "forward-financing", "demo-ff", "demo"
QUICK = {
    "lanes": "8",
    "lease_seconds": "5",
    "poll_seconds": "0.05",
    "partner_deadline_seconds": "1",
    "partner_processing_seconds": "0.3",
    "retry_seconds": "[0.2, 0.2, 0.2]",
    "unknown_seconds": "[0.1]",
    "credential_pause_seconds": "1",
}
"""Settings under which a whole story fits into a second or two."""


def submit(
    application: uuid.UUID | None = None, revision: int = 1, credential: str = CREDENTIAL, **changes: Any
) -> Submit:
    application = application or make.new_id()
    values: dict[str, Any] = {
        "tenant_id": TENANT,
        "mode": "test",
        "application_id": application,
        "revision": revision,
        "received_at": make.NOW,
        "opportunity_id": opportunity_id(application, PARTNER, credential),
        "partner": PARTNER,
        "credential": credential,
        "intent": Send(application=make.application()),
    }
    return Submit(**(values | changes))


def document(content: bytes, name: str = "summary.xlsx", **changes: Any) -> DocumentRef:
    digest = hashlib.sha256(content).hexdigest()
    values: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "kind": "application-summary",
        "name": name,
        "content_type": "application/octet-stream",
        "sha256": digest,
        "size": len(content),
    }
    return DocumentRef(**(values | changes))


def credential(base_url: str, **changes: Any) -> dict[str, Any]:
    values = {
        "id": CREDENTIAL,
        "tenant": TENANT,
        "partner": PARTNER,
        "mode": "test",
        "baseUrl": base_url,
        "auth": {"scheme": "api-key", "key": "classic-test-key"},
        "rate": None,
    }
    return values | changes


class Shelf:
    """Stands for the documents service: gives sealed bytes to whoever brings a service token."""

    def __init__(self) -> None:
        self.sealed: dict[str, bytes] = {}
        self.away = False
        self.asked: Counter[str] = Counter()
        self.url = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                name = head.split()[1].rpartition("/")[2]
                self.asked[name] += 1
                status, content = "200 OK", self.sealed.get(name, b"")
                if self.away:
                    status, content = "503 Service Unavailable", b""
                elif "authorization: bearer " not in head.lower() or not head.startswith("GET /internal/documents/"):
                    status, content = "401 Unauthorized", b""
                elif not content:
                    status = "404 Not Found"
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
                await writer.drain()
        writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Shelf]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()


class Heard:
    """A publisher that keeps what it was given."""

    ready = True

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def publish(self, records: Sequence[Record]) -> None:
        self.records += records


class Desk:
    """Submission on real MongoDB beside a real sandbox; the broker is left out."""

    def __init__(
        self, folder: Path, mongo_url: str, prefix: str, sandbox: Sandbox, shelf: Shelf, **settings: str
    ) -> None:
        self.folder, self.sandbox, self.shelf, self.heard = folder, sandbox, shelf, Heard()
        self.credentials(credential(sandbox.api))
        told = QUICK | {"credentials_file": str(folder / "credentials.json"), "documents_url": shelf.url} | settings
        self.environment = support.environment(folder, mongo=mongo_url, prefix=prefix, **told)
        os.environ.update(self.environment)
        self.settings = Settings()
        self.client: AsyncMongoClient[mongo.Document] = mongo.connect(self.settings)
        self.vault = Vault(
            mongo.database(self.client, self.settings, "keys")["data_keys"],
            LocalWrapper(read_key(self.settings.master_key_file)),
        )
        self.store = Store(mongo.database(self.client, self.settings, "submission")["opportunities"], "test")
        clearances = mongo.database(self.client, self.settings, "submission")["clearances"]
        self.registry = Registry(self.store, clearances, self.vault, 0.0, lambda: None)
        tenants = Mounted(self.settings.tenants_file, Tenants)
        credentials = Mounted(self.settings.credentials_file, Credentials)
        standing = mongo.database(self.client, self.settings, "partners")["credentials"]
        port = PartnerPort(standing, credentials, self.vault)
        asker = Asker(self.settings, port, Channels(port, 1))
        lists = mongo.database(self.client, self.settings, "submission")["lists"]
        self.lists = PartnerLists(self.settings, lists, tenants, port, asker)
        self.mounted = tenants, credentials
        self.desks = Desks(tenants, credentials, self.lists)
        self.handlers = Handlers(self.store, self.registry, self.desks, self.settings.gate_seconds, lambda: None)

    def credentials(self, *entries: dict[str, Any]) -> None:
        (self.folder / "credentials.json").write_text(json.dumps({"credentials": entries}))

    def tenants(self, **changes: Any) -> None:
        """Change the one partner account."""
        path = self.settings.tenants_file
        tenants = json.loads(path.read_text())
        tenants["tenants"][0]["partners"][0] |= changes
        path.write_text(json.dumps(tenants))

    async def key(self, event: Submit) -> Key:
        return (await self.vault.create([event.key_id]))[event.key_id]

    async def hear(self, *events: Submit) -> None:
        """As if these had come from Kafka in one batch."""
        deliveries = [Delivery(e, envelope_of(e, "test", utc_now()), await self.key(e)) for e in events]
        await self.handlers.on_submit(deliveries)

    async def submit(self, *contents: bytes, **changes: Any) -> Submit:
        """An application with documents of these bytes, heard."""
        refs = tuple(document(each, f"file{place}.bin") for place, each in enumerate(contents))
        event = submit(intent=Send(application=make.application(), documents=refs), **changes)
        key = await self.key(event)
        self.shelf.sealed |= {ref.id: key.seal_bytes(each) for ref, each in zip(refs, contents, strict=True)}
        await self.hear(event)
        return event

    @asynccontextmanager
    async def lanes(self, **settings: str) -> AsyncIterator[None]:
        """The service's background work in this process."""
        os.environ.update(self.environment | {f"LENDRAIL_{name.upper()}": value for name, value in settings.items()})
        service, _ = build(Settings(), publisher=self.heard, client=self.client)
        for prepare in service._prepare:
            await prepare()
        tasks = [asyncio.create_task(run()) for run in service._loops]
        try:
            yield
        finally:
            await background.end(tasks)  # else a loop may live on beside the process that the test starts next
            await asyncio.gather(*(drain(5) for drain in service._drains))
            os.environ.update(self.environment)

    def process(self, **more: str) -> subprocess.Popen[bytes]:
        """The service as a process of its own; Kafka is not there, which keeps it from hearing but not from working."""
        environment = (
            os.environ | self.environment | {f"LENDRAIL_{name.upper()}": value for name, value in more.items()}
        )
        with (self.folder / "submission.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "lendrail.submission"], env=environment, stdout=log, stderr=log
            )

    async def opportunity(self, event: Submit) -> Opportunity:
        return read(await self.store.load(str(event.opportunity_id)))

    async def create(self, event: Submit) -> Attempt:
        found = (await self.opportunity(event)).create
        assert found is not None
        return found

    async def states(self, event: Submit) -> list[str]:
        """Of its attempts; none while it is not planned yet."""
        if not await self.store.find([str(event.opportunity_id)]):
            return []
        return [str(each.state) for each in (await self.opportunity(event)).attempts]

    async def until(self, event: Submit, *states: str, seconds: float = 20) -> Opportunity:
        """Wait until the attempts are in these states."""

        async def there() -> bool:
            return await self.states(event) == list(states)

        try:
            await support.eventually(there, seconds)
        except AssertionError:
            raise AssertionError(f"states are {await self.states(event)}, not {list(states)}") from None
        return await self.opportunity(event)

    async def acks(self, event: Submit) -> list[PartnerAck]:
        """What is stored to be told, in order."""
        found = await self.store.collection.find_one({"_id": str(event.opportunity_id)}, {"outbox": 1})
        records = [Record.restored(each) for each in (found or {})["outbox"]]
        for each in records:
            read_envelope(each.headers, PartnerAck.type())
        key = await self.key(event)
        return [decode(PartnerAck, each.value, key) for each in records]

    async def outcomes(self, event: Submit) -> list[str]:
        return [each.outcome for each in await self.acks(event)]

    async def ledger(self, event: Submit) -> dict[str, Any]:
        return self.sandbox.ledger(reference(await self.create(event)))
