"""The one place where the status service is put together."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from lendrail.contracts.topics import APPLICATION_REJECTED, APPLICATION_VALIDATED, PARTNER_ACK, PARTNER_WEBHOOK
from lendrail.runtime.directory import Credentials, Mounted
from lendrail.runtime.outbox import Relay
from lendrail.runtime.partner_port import PartnerPort
from lendrail.runtime.service import Service
from lendrail.runtime.tokens import Verifier
from lendrail.status.channels import Lanes
from lendrail.status.fetch import Fetch
from lendrail.status.handlers import Handlers
from lendrail.status.hints import Hints
from lendrail.status.settings import Settings
from lendrail.status.store import Opportunities
from lendrail.status.timing import Timing
from lendrail.status.view import routes
from lendrail.status.workers import Workers

NAME = "status"


def build(settings: Settings, *, verifier: Verifier | None = None, **doubles: Any) -> tuple[Service, FastAPI]:
    """`doubles`: a broker, publisher or client instead of the real one (see `Service`)."""
    service = Service(NAME, settings, **doubles)
    collection, orphans = service.database["opportunities"], service.database["orphans"]
    instance = settings.instance or f"{NAME}-1"
    relay = Relay([collection], service.publisher, instance)
    opportunities, timing = Opportunities(collection, relay, instance), Timing(settings)

    credentials = Mounted(settings.credentials_file, Credentials)
    port = PartnerPort(service.shared("partners")["credentials"], credentials, service.vault)
    lanes = Lanes()
    fetch = Fetch(opportunities, timing, port, service.vault, lanes, settings)
    workers = Workers(collection, fetch, port, credentials, settings)

    async def drain(seconds: float) -> None:
        await workers.drain(seconds)
        await lanes.close()

    hints = Hints(opportunities, orphans, workers.wake, settings.orphan_sweep_seconds)

    handlers = Handlers(opportunities, hints, timing)
    service.on(APPLICATION_VALIDATED, handlers.on_application_validated)
    service.on(APPLICATION_REJECTED, handlers.on_application_rejected)
    service.on(PARTNER_ACK, handlers.on_partner_ack)
    service.on(PARTNER_WEBHOOK, handlers.on_partner_webhook)

    for part in (relay, opportunities, hints):
        service.prepare(part.prepare)
    service.loop(relay.run)
    service.loop(workers.run, drain)
    service.loop(hints.run)
    api = service.api("Lendrail status", verifier)
    api.include_router(routes(collection, orphans, service.vault))
    return service, api
