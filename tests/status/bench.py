"""The status service on a real MongoDB, with a publisher that remembers; events are handed to its handlers."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from tests import make, support

from lendrail.contracts.application_amended import Amendment
from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated, Eligible, Ineligible
from lendrail.contracts.event import Event, Record, decode, read_envelope
from lendrail.contracts.partner_ack import PartnerAck
from lendrail.contracts.partner_webhook import PartnerWebhook
from lendrail.contracts.sensitive import Document as Body
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import FieldProblem, opportunity_id
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import Document
from lendrail.runtime.service import Service
from lendrail.runtime.step import Delivery
from lendrail.runtime.tasks import end
from lendrail.status.app import NAME, Parts, assemble
from lendrail.status.settings import Settings

PARTNER = "forward-financing"
REFUSAL = FieldProblem(pointer="/business", code="refused", message="was refused by the partner", phase="partner")


class Collector:
    """A publisher that keeps what it is given; `broken` makes it fail as a dying process would."""

    ready = True

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.broken = False

    async def publish(self, records: Sequence[Record]) -> None:
        if self.broken:
            raise ConnectionAbortedError("the process ends here")
        self.records += records


def credentials_file(folder: Path, base_url: str = "http://127.0.0.1:1/v1", rate: dict[str, Any] | None = None) -> Path:
    path = folder / "credentials.json"
    auth = {"scheme": "api-key", "key": "classic-test-key"}
    credential = {"id": support.CREDENTIAL, "tenant": support.TENANT, "partner": PARTNER, "mode": "test"}
    path.write_text(json.dumps({"credentials": [credential | {"baseUrl": base_url, "auth": auth, "rate": rate}]}))
    return path


def settings(folder: Path, environment: Callable[[str, str], None], **more: Any) -> Settings:
    """Settings from an environment; `environment` sets one variable for the time of the test."""
    file = credentials_file(folder, more.pop("base_url", "http://127.0.0.1:1/v1"))
    for name, value in support.environment(folder, credentials_file=str(file), **more).items():
        environment(name, value)
    return Settings()


class Bench:
    """One status service without Kafka and HTTP."""

    def __init__(self, told: Settings) -> None:
        self.published = Collector()
        self.service = Service(NAME, told, publisher=self.published)
        self.parts: Parts = assemble(self.service, told)
        self.opportunities = self.parts.opportunities.collection
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.service.vault.prepare()
        await self.parts.prepare()

    def work(self) -> None:
        """Let the workers look at partners."""
        self._tasks.append(asyncio.create_task(self.parts.workers.run()))

    async def stop(self) -> None:
        await end(self._tasks)
        await self.parts.drain(5)
        await self.service.client.close()

    async def deliver(self, *events: Event) -> None:
        """Hand events of one kind to their handler, as a batch from Kafka."""
        handlers = self.parts.handlers
        handles: dict[type[Event], Callable[[Any], Awaitable[Any]]] = {
            ApplicationValidated: handlers.on_application_validated,
            ApplicationRejected: handlers.on_application_rejected,
            PartnerAck: handlers.on_partner_ack,
            PartnerWebhook: handlers.on_partner_webhook,
        }
        await handles[type(events[0])]([await self.delivery(event) for event in events])

    async def delivery(self, event: Event) -> Delivery[Any]:
        key = (await self.service.vault.create([event.key_id]))[event.key_id]
        record = make.record(event, key)
        headers: list[tuple[str, bytes | None]] = list(record.headers)
        return Delivery(decode(type(event), record.value, key), read_envelope(headers), key)

    async def document(self, document_id: uuid.UUID) -> Document:
        found = await self.opportunities.find_one({"_id": str(document_id)})
        assert found is not None, "nothing is known of it"
        return found

    async def told(self, document_id: uuid.UUID) -> list[StatusUpdated]:
        """The versions that were published about one subject, in the order of publication, repeats included."""
        found = []
        for record in self.published.records:
            envelope = read_envelope(list(record.headers))
            key = (await self.service.vault.find([envelope.key_id]))[envelope.key_id]
            event = decode(StatusUpdated, record.value, key)
            if event.entity == str(document_id):
                found.append(event)
        return found

    async def statuses(self, document_id: uuid.UUID) -> list[str]:
        return [event.status.value for event in await self.told(document_id)]


class Deal:
    """One application at one partner, and the events that tell of it."""

    def __init__(self) -> None:
        self.application_id = make.new_id()
        self.id = opportunity_id(self.application_id, PARTNER, support.CREDENTIAL)
        self.partner_id = f"FAKE.{self.id.hex}"
        self.attempt = uuid.uuid5(self.id, "attempt")
        self._common: dict[str, Any] = {"tenant_id": support.TENANT, "mode": "test"}

    def _about(self) -> dict[str, Any]:
        return self._common | {"application_id": self.application_id}

    def validated(self, eligible: bool = True, **changes: Any) -> ApplicationValidated:
        fit = Eligible(partner=PARTNER, credential=support.CREDENTIAL, opportunity_id=self.id)
        unfit = Ineligible(partner=PARTNER, credential=support.CREDENTIAL, opportunity_id=self.id, reasons=(REFUSAL,))
        lists = {"eligible": (fit,)} if eligible else {"eligible": (), "ineligible": (unfit,)}
        values = self._about() | {"revision": 1, "received_at": make.NOW, "application": make.application()} | lists
        return ApplicationValidated(**(values | changes))

    def amended(self, amendment: Amendment, revision: int = 2, eligible: bool = True) -> ApplicationValidated:
        """Validation's word on a change."""
        return self.validated(eligible, revision=revision, amendment=amendment)

    def rejected(self, revision: int = 1) -> ApplicationRejected:
        problems = (REFUSAL, REFUSAL)
        return ApplicationRejected(**self._about(), revision=revision, received_at=make.NOW, problems=problems)

    def answer(self, operation: str, outcome: str = "accepted", **changes: Any) -> PartnerAck:
        """What came of a change."""
        number = uuid.uuid5(self.id, f"{operation}-{changes.get('document')}")
        return self.ack(outcome, **{"operation": operation, "attempt_id": number, "partner_id": None} | changes)

    def ack(self, outcome: str = "accepted", **changes: Any) -> PartnerAck:
        values = self._about() | {
            "opportunity_id": self.id,
            "partner": PARTNER,
            "credential": support.CREDENTIAL,
            "attempt_id": self.attempt,
            "attempt_version": 1,
            "operation": "create",
            "outcome": outcome,
            "partner_id": self.partner_id if outcome in ("accepted", "id-bound") else None,
            "occurred_at": utc_now(),
        }
        return PartnerAck(**(values | changes))

    def webhook(self, foreign_id: str | None = None, **changes: Any) -> PartnerWebhook:
        values = self._common | {
            "webhook_id": uuid.uuid4(),
            "partner": PARTNER,
            "credential": support.CREDENTIAL,
            "verification": "hint",
            "foreign_id": foreign_id or self.partner_id,
            "words": "Approved",
            "received_at": utc_now(),
            "body": Body('{"lead_id": "FAKE", "event_type": "Approved"}'),
            "intake_key": f"intake-{dt.date(2026, 3, 2)}",
        }
        return PartnerWebhook(**(values | changes))
