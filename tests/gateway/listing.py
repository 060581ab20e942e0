"""What tests of the lists share: entries of invented applications, and the lists' stores on a real MongoDB."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pymongo import AsyncMongoClient, WriteConcern
from pymongo.read_concern import ReadConcern
from tests import make

from lendrail.contracts.application_validated import ApplicationValidated, Eligible
from lendrail.contracts.event import ApplicationEvent, envelope_of
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import Reference, Status, opportunity_id
from lendrail.gateway.handlers import Handlers
from lendrail.gateway.lists.index import Index
from lendrail.gateway.lists.indexer import Indexer, Sweep
from lendrail.gateway.lists.routes import Lists
from lendrail.gateway.reads import Reader
from lendrail.gateway.shapes import ApplicationView, OpportunityView, TimelineEntry
from lendrail.gateway.store import Applications, Facts
from lendrail.gateway.stored import document_of
from lendrail.runtime.step import Delivery
from lendrail.runtime.tokens import Caller
from lendrail.runtime.vault import LocalWrapper, Vault

CALLER = Caller("demo", "demo-upstream", "test", frozenset({"applications:read"}))
PARTNERS = {"first-lender": "demo-first", "second-lender": "demo-second"}


def at(milliseconds: int) -> dt.datetime:
    return make.NOW + dt.timedelta(milliseconds=milliseconds)


def opportunity(application: uuid.UUID, partner: str, status: Status, **more: Any) -> OpportunityView:
    values: dict[str, Any] = {
        "opportunity_id": opportunity_id(application, partner, PARTNERS[partner]),
        "partner": partner,
        "credential": PARTNERS[partner],
        "status": status,
        "status_since": make.NOW,
        "age_seconds": 0,
        "observed_at": make.NOW,
        "source": "ack",
    }
    return OpportunityView(**(values | more))


def seen(
    status: Status = Status.RECEIVED,
    received: int = 0,
    changed: int | None = None,
    references: Sequence[tuple[str, str]] = (),
    partners: Sequence[tuple[str, str | None]] = (),
    application: uuid.UUID | None = None,
) -> ApplicationView:
    """An application as the fold shows it; times in milliseconds since `make.NOW`, partners with their ids of it."""
    application = application or uuid.uuid4()
    happened = TimelineEntry(time=at(received if changed is None else changed), event="x", service="x", status=status)
    return ApplicationView(
        application_id=application,
        status=status,
        revision=1,
        mode="test",
        door="rest",
        upstream="demo-upstream",
        received_at=at(received),
        references=tuple(Reference(system=system, kind="deal", value=value) for system, value in references),
        timeline=(happened,),
        opportunities=tuple(opportunity(application, name, status, partner_id=own) for name, own in partners),
    )


class Room:
    """The lists of one gateway, with the stores that they are made from."""

    def __init__(self, client: AsyncMongoClient[Any], prefix: str, now: dt.datetime = make.NOW) -> None:
        concerns: dict[str, Any] = {
            "write_concern": WriteConcern("majority"),
            "read_concern": ReadConcern("majority"),
        }
        self.database = client.get_database(f"{prefix}gateway", **concerns)
        keys = client.get_database(f"{prefix}keys", **concerns)
        self.vault = Vault(keys["data_keys"], LocalWrapper(os.urandom(32)))
        self.listed = Index(self.database["listed_applications"], owner="_id")
        self.listed_opportunities = Index(self.database["listed_opportunities"], owner="application")
        self.applications = Applications(self.database["applications"], self.listed)
        self.facts = Facts(self.database["facts"])
        self.reader = Reader(self.applications, self.facts, self.vault)
        self.indexer = Indexer(self.applications, self.reader.views, self.listed, self.listed_opportunities)
        self.sweep = Sweep(self.indexer, self.applications, self.listed, self.database["sweeps"], lambda: now)
        self.handlers = Handlers(self.facts, self.indexer)
        self.lists = Lists(self.listed, self.listed_opportunities, self.indexer, self.vault, lambda: now)

    async def prepare(self) -> None:
        for store in (self.applications, self.facts, self.listed, self.listed_opportunities):
            await store.prepare()

    async def receive(self, **changes: Any) -> str:
        """A new application at the door; its id."""
        event = make.received(**changes)
        key = (await self.vault.create([event.key_id]))[event.key_id]
        await self.applications.add(document_of(event, key, "fake-fingerprint"))
        return event.key_id

    async def hear(self, *events: ApplicationEvent) -> None:
        """Each in a batch of its own, as its topic would deliver it."""
        for event in events:
            key = await self.vault.get(event.key_id)
            delivery: Any = Delivery(event, envelope_of(event, "test", _said(event)), key)
            handler: Any = {
                "application-validated": self.handlers.on_application_validated,
                "status-updated": self.handlers.on_status_updated,
            }[event.topic]
            await handler([delivery])


def _said(event: ApplicationEvent) -> dt.datetime:
    return event.observed_at if isinstance(event, StatusUpdated) else make.NOW


def validated(application: str, *partners: str, tenant: str = "demo") -> ApplicationValidated:
    id = uuid.UUID(application)
    return ApplicationValidated(
        tenant_id=tenant,
        mode="test",
        application_id=id,
        revision=1,
        received_at=make.NOW,
        application=make.application(),
        eligible=tuple(
            Eligible(partner=name, credential=PARTNERS[name], opportunity_id=opportunity_id(id, name, PARTNERS[name]))
            for name in partners
        ),
    )


def updated(application: str, partner: str, version: int, status: Status, **more: Any) -> StatusUpdated:
    id = uuid.UUID(application)
    values: dict[str, Any] = {
        "tenant_id": "demo",
        "mode": "test",
        "application_id": id,
        "opportunity_id": opportunity_id(id, partner, PARTNERS[partner]),
        "partner": partner,
        "credential": PARTNERS[partner],
        "state_version": version,
        "status": status,
        "source": "fetch",
        "observed_at": at(1000 * version),
    }
    return StatusUpdated(**(values | more))


@asynccontextmanager
async def room(mongo: str, prefix: str, now: dt.datetime = make.NOW) -> AsyncIterator[Room]:
    """Stores of their own, gone afterwards."""
    client: AsyncMongoClient[Any] = AsyncMongoClient(mongo, tz_aware=True)
    made = Room(client, prefix, now)
    await made.prepare()
    try:
        yield made
    finally:
        for name in ("gateway", "keys"):
            await client.drop_database(prefix + name)
        await client.close()


@pytest.fixture
async def lists(mongo: str, database_prefix: str) -> AsyncIterator[Room]:
    async with room(mongo, database_prefix, now=at(60_000)) as made:
        yield made
