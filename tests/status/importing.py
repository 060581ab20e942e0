"""Imports on a bench: files are sent through the HTTP door, and read as the worker would."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from joserfc.jwk import KeySet
from tests.status.bench import PARTNER, Bench, Deal
from tests.status.reading import ISSUER, KEY, bearer

from lendrail.runtime import due, http
from lendrail.runtime.mongo import Document
from lendrail.runtime.tokens import Verifier
from lendrail.status.imports.parts import Importing
from lendrail.status.imports.routes import routes

HEADER = "partnerId,status,statusAt,notes"
LIMIT = 64 * 1024 * 1024
OPERATOR = bearer("operator")


def door(bench: Bench) -> FastAPI:
    """The routes of imports alone."""

    async def keys() -> KeySet:
        return KeySet([KEY])

    app = FastAPI()
    app.state.verifier = Verifier(ISSUER, keys)
    http.install(app, 1000)
    http.allow_body(app, "POST", r"/v1/imports", LIMIT)
    parts = bench.parts.importing
    app.include_router(routes(parts.taking, parts.imports, parts.expected, lambda: None))
    return app


def client_of(bench: Bench) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(door(bench)), base_url="http://status.test")


def csv(*rows: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def row(deal: Deal, status: str = "approved", at: str = "2026-03-02T10:00:00Z", notes: str = "") -> str:
    return f"{deal.partner_id},{status},{at},{notes}"


class Files:
    """A bench's imports."""

    def __init__(self, bench: Bench, client: httpx.AsyncClient) -> None:
        self.bench, self.client = bench, client

    @property
    def parts(self) -> Importing:
        return self.bench.parts.importing

    async def send(self, content: bytes, status: int = 202, **query: Any) -> dict[str, Any]:
        headers = OPERATOR | ({"Idempotency-Key": uuid.uuid4().hex} if query.get("again") else {})
        answer = await self.client.post(
            "/v1/imports", params={"partner": PARTNER} | query, content=content, headers=headers
        )
        assert answer.status_code == status, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def work(self) -> int:
        """Read all that is due, as the worker does; how many turns there were."""
        turns = 0
        while claimed := await due.claim(self.parts.imports.collection, {}, 1, 60):
            for document, lease in claimed:
                await self.parts.runner.turn(document, lease, 0)
                turns += 1
        return turns

    async def bring(self, content: bytes, **query: Any) -> dict[str, Any]:
        """Send it and have it read; how it ended, with all its rows."""
        sent = await self.send(content, **query)
        await self.work()
        return await self.told(sent["id"])

    async def told(self, id: str, **query: Any) -> dict[str, Any]:
        answer = await self.client.get(f"/v1/imports/{id}", params=query, headers=OPERATOR)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def listed(self, **query: Any) -> dict[str, Any]:
        told: dict[str, Any] = (await self.client.get("/v1/imports", params=query, headers=OPERATOR)).json()
        return told

    async def stored(self, id: str) -> Document:
        found = await self.parts.imports.find(id)
        assert found is not None
        return found


def outcomes(told: dict[str, Any]) -> list[str]:
    return [each["outcome"] for each in told["rows"]]


def account_options(folder: Path, options: dict[str, str], **more: Any) -> None:
    """Give the tenant's account these options from now on."""
    path = folder / "tenants.json"
    told = json.loads(path.read_text())
    told["tenants"][0]["partners"][0] |= {"options": options} | more
    path.write_text(json.dumps(told))


async def known(bench: Bench, count: int) -> list[Deal]:
    """So many deals that the partner has."""
    deals = [Deal() for _ in range(count)]
    await bench.deliver(*(deal.ack() for deal in deals))
    return deals


def all_text(documents: Iterable[Any]) -> str:
    return repr(list(documents))


def pairs(rows: Sequence[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(each["row"], each["outcome"]) for each in rows]
