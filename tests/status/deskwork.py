"""What tests of the desk share: its routes on a bench, a partner that reports by itself, requests of an operator."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import KeySet
from tests import support
from tests.status.bench import PARTNER, Bench, Deal
from tests.status.reading import ISSUER, KEY, bearer

from lendrail.contracts.partner_webhook import PartnerWebhook
from lendrail.contracts.sensitive import Document as Body
from lendrail.contracts.terms import Report, Status
from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Hint
from lendrail.partners.partner import Partner, Webhook
from lendrail.partners.signatures import STANDARD_WEBHOOKS
from lendrail.runtime import http
from lendrail.runtime.tokens import Verifier
from lendrail.status.desk.parts import Desk

WORD = "Pipeline 4b"
REASON = "told by Zelda Fakename"


def desk_of(bench: Bench) -> Desk:
    return bench.parts.desk


def application(bench: Bench) -> FastAPI:
    async def keys() -> KeySet:
        return KeySet([KEY])

    app = FastAPI()
    app.state.verifier = Verifier(ISSUER, keys)
    http.install(app, 100_000)
    app.include_router(desk_of(bench).routes())
    return app


class Operator:
    """Speaks to the desk of one bench."""

    def __init__(self, bench: Bench, tenant: str = support.TENANT, scope: str = "operator") -> None:
        transport = httpx.ASGITransport(application(bench))
        self.client = httpx.AsyncClient(
            transport=transport, base_url="http://status.test", headers=bearer(scope, tenant)
        )

    async def get(self, path: str = "", **query: Any) -> Any:
        answer = await self.client.get(f"/v1/desk{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: dict[str, Any], key: str = "") -> httpx.Response:
        name = {"Idempotency-Key": key or str(uuid.uuid4())}
        return await self.client.post(f"/v1/desk{path}", json=body, headers=name)

    async def map(self, word: str = WORD, status: str = "declined", **more: Any) -> httpx.Response:
        body = {"partner": PARTNER, "word": word, "status": status, "reason": REASON}
        return await self.post("/words", body | more)


def unknown(deal: Deal, word: str = WORD, **changes: Any) -> Any:
    """The partner's answer with a word that no table knows."""
    return deal.ack(report=Report(status=None, words=word), **changes)


def hint(body: bytes, path_id: str | None) -> Hint | None:
    return None


def report(body: bytes) -> Report | None:
    told = json.loads(body) if body.startswith(b"{") else {}
    return Report(status=Status(told["status"]), words=told["status"]) if "status" in told else None


def reporting() -> Partner:
    """It calls with proof and reports by itself; nobody can ask it."""
    webhook = Webhook(proof=STANDARD_WEBHOOKS, hint=hint, report=report)
    return replace(PARTNERS[PARTNER], webhook=webhook, read=None, report=None)


def call(deal: Deal, status: str, foreign_id: str, **more: Any) -> PartnerWebhook:
    body = Body(json.dumps({"status": status}))
    return deal.webhook(foreign_id, body=body, **{"verification": "verified"} | more)


def use(partner: Partner, setitem: Callable[..., None]) -> None:
    setitem(PARTNERS, PARTNER, partner)


@pytest.fixture
def reports_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The partner of the bench tells its word with its call."""
    use(reporting(), monkeypatch.setitem)


@pytest.fixture
async def operator(bench: Bench) -> AsyncIterator[Operator]:
    operator = Operator(bench)
    yield operator
    await operator.client.aclose()
