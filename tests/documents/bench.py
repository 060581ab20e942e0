"""Documents on a real MongoDB, with what a test may want to spoil."""

import json
import secrets
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import make, support

from lendrail.contracts.application_validated import ApplicationValidated, Eligible, Ineligible
from lendrail.contracts.event import Record, decode, envelope_of
from lendrail.contracts.submit import Intent, Send, Submit
from lendrail.contracts.terms import FieldProblem, opportunity_id
from lendrail.documents.app import build
from lendrail.documents.files import Files
from lendrail.documents.handlers import Handlers
from lendrail.documents.links import Links
from lendrail.documents.process import Rendered
from lendrail.documents.renderer import Renderer
from lendrail.documents.settings import Settings
from lendrail.documents.workbook import render
from lendrail.runtime.broker import make_broker
from lendrail.runtime.directory import Mounted, Tenants
from lendrail.runtime.publisher import BrokerPublisher
from lendrail.runtime.settings import read_key
from lendrail.runtime.step import Delivery
from lendrail.runtime.tokens import ServiceTokens
from lendrail.runtime.vault import Key

FF = "forward-financing"
PUBLIC = "http://127.0.0.1:9"
Validated = Delivery[ApplicationValidated]


class InProcess(Renderer):
    """Draws here, so that a test may count and spoil."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = 0
        self.spoilt: set[int] = set()

    async def render(self, sheets: Any) -> list[Rendered]:
        self.drawn += len(sheets)
        return ["ValueError" if at in self.spoilt else render(sheet) for at, sheet in enumerate(sheets)]


class Bench:
    def __init__(self, folder: Path, mongo: str, prefix: str, patch: pytest.MonkeyPatch, **more: str) -> None:
        """`more`: settings."""
        told = support.environment(folder, mongo=mongo, prefix=prefix, public_url=PUBLIC, **more)
        for name, value in told.items():
            patch.setenv(name, value)
        self.folder, self.settings, self.renderer = folder, Settings(), InProcess()
        broker = make_broker(self.settings, "documents")
        doubles = {"broker": broker, "publisher": BrokerPublisher(broker)}
        self.service, self.app = build(self.settings, renderer=self.renderer, **doubles)
        self.database = self.service.database
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=PUBLIC)
        self.files, self.links = Files(self.database), Links(self.database["links"])

    @property
    def handlers(self) -> Handlers:
        tenants = Mounted(self.settings.tenants_file, Tenants)
        return Handlers(self.database["packages"], self.files, self.links, self.renderer, tenants, self.settings)

    def attachments(self, way: str) -> None:
        """How the tenant's account wants documents."""
        tenants = json.loads(support.tenants_file(self.folder).read_text())["tenants"]
        tenants[0]["partners"][0]["options"]["attachments"] = way
        support.tenants_file(self.folder, tenants)

    async def deliveries(self, count: int = 1, partners: tuple[str, ...] = (FF,), **changes: Any) -> list[Validated]:
        events = [validated(partners, **changes) for _ in range(count)]
        keys = await self.service.vault.create([event.key_id for event in events])
        return [Delivery(e, envelope_of(e, "validation", make.NOW), keys[e.key_id]) for e in events]

    async def hear(self, deliveries: list[Validated]) -> list[Record]:
        return list(await self.handlers.on_application_validated(deliveries))

    async def key(self) -> Key:
        """That of a new application."""
        id = str(make.new_id())
        return (await self.service.vault.create([id]))[id]

    def token(self) -> dict[str, str]:
        return ServiceTokens(read_key(self.settings.service_key_file), "gateway").header()

    async def upload(
        self, application: str | uuid.UUID, content: Any, kind: str = "bank-statement", name: str | None = None
    ) -> httpx.Response:
        """`content`: bytes, or an iterator of them for one whose size is not stated."""
        told = {"kind": kind} | ({"name": name} if name is not None else {})
        path = f"/internal/applications/{application}/documents"
        return await self.http.put(path, params=told, content=content, headers=self.token())

    async def counts(self) -> tuple[int, int]:
        """Files and chunks that are stored."""
        names = ("fs.files", "fs.chunks")
        files, chunks = [await self.database[name].count_documents({}) for name in names]
        return files, chunks

    async def fetch(self, link: str, method: str = "GET") -> httpx.Response:
        return await self.http.request(method, link)


def validated(partners: tuple[str, ...], **changes: Any) -> ApplicationValidated:
    application_id = make.new_id()
    reason = FieldProblem(pointer="", code="no", message="no", phase="partner", partner="rival")
    values: dict[str, Any] = {
        "application_id": application_id,
        "tenant_id": "demo",
        "mode": "test",
        "revision": 1,
        "received_at": make.NOW,
        "application": make.application(uploads=[]),
        "eligible": tuple(
            Eligible(partner=p, credential="demo-ff", opportunity_id=opportunity_id(application_id, p, "demo-ff"))
            for p in partners
        ),
        "ineligible": (Ineligible(partner="rival", opportunity_id=make.new_id(), reasons=(reason,)),),
    }
    return ApplicationValidated(**(values | changes))


def submit(record: Record, delivery: Validated) -> tuple[Submit, Send]:
    event = decode(Submit, record.value, delivery.key)
    assert isinstance(event.intent, Send)
    return event, event.intent


def intent(record: Record, delivery: Validated) -> Intent:
    return decode(Submit, record.value, delivery.key).intent


def pdf(size: int = 2000) -> bytes:
    """Whole as far as its ends tell, and different each time."""
    begin, end = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", b"\n%%EOF\n"
    return begin + secrets.token_bytes(size - len(begin) - len(end)) + end
