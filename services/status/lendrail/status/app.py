"""The one place where the status service is put together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from lendrail.contracts.topics import APPLICATION_REJECTED, APPLICATION_VALIDATED, PARTNER_ACK, PARTNER_WEBHOOK
from lendrail.runtime import audit_reads
from lendrail.runtime.breaker import Rules
from lendrail.runtime.directory import Credentials, Mounted
from lendrail.runtime.mongo import Collection
from lendrail.runtime.outbox import Relay
from lendrail.runtime.partner_port import PartnerPort
from lendrail.runtime.service import Service
from lendrail.runtime.settings import read_key
from lendrail.runtime.stored_events import Outboxes
from lendrail.runtime.tokens import Verifier
from lendrail.status.alarms import Alarms
from lendrail.status.desk.correcting import Correcting
from lendrail.status.desk.correcting import routes as correcting_routes
from lendrail.status.desk.parts import Desk, desk_of
from lendrail.status.desk.pins import Pins
from lendrail.status.desk.twins import Twins
from lendrail.status.desk.vocabulary import Vocabulary
from lendrail.status.forget import Forgetter
from lendrail.status.handlers import Handlers
from lendrail.status.hints import Hints
from lendrail.status.imports.parts import Importing
from lendrail.status.imports.parts import assemble as assemble_imports
from lendrail.status.polling.asking import Asking
from lendrail.status.polling.channels import Lanes
from lendrail.status.polling.feeds import Feeds
from lendrail.status.polling.fetch import Fetch
from lendrail.status.polling.measuring import Measuring
from lendrail.status.polling.silence import Callers, Watch
from lendrail.status.polling.staleness import Staleness
from lendrail.status.polling.staleness import routes as staleness_routes
from lendrail.status.polling.workers import Workers
from lendrail.status.reports import Reports
from lendrail.status.settings import Settings
from lendrail.status.store import Opportunities
from lendrail.status.timing import Timing
from lendrail.status.view import routes

NAME = "status"


@dataclass(frozen=True)
class Parts:
    """What the service is made of, under the hood of Kafka and HTTP."""

    relay: Relay
    opportunities: Opportunities
    hints: Hints
    handlers: Handlers
    timing: Timing
    measuring: Measuring
    watch: Watch
    staleness: Staleness
    alarms: Alarms
    workers: Workers
    feeds: Feeds
    lanes: Lanes
    orphans: Collection
    desk: Desk
    correcting: Correcting
    pins: Pins
    importing: Importing

    async def prepare(self) -> None:
        """Indexes; needs MongoDB."""
        for part in (self.relay, self.opportunities, self.hints, self.feeds, self.desk, self.pins):
            await part.prepare()
        for each in (self.measuring, self.watch, self.staleness, self.alarms, self.importing):
            await each.prepare()

    async def drain(self, seconds: float) -> None:
        working = (self.workers, self.feeds.worker, self.desk.refolding.worker, self.measuring.worker)
        await asyncio.gather(*(each.drain(seconds) for each in working))
        await self.lanes.close()


def assemble(service: Service, settings: Settings) -> Parts:
    """The clients and stores of `service`, put into the step functions."""
    collection, orphans = service.database["opportunities"], service.database["orphans"]
    instance = settings.instance or f"{NAME}-1"
    relay = Relay([collection], service.publisher, instance)
    vocabulary = Vocabulary(service.database["words"], service.vault)
    callers = Callers(service.database["callers"])
    opportunities, timing = Opportunities(collection, relay, instance, vocabulary), Timing(settings, callers.is_silent)
    credentials = Mounted(settings.credentials_file, Credentials)
    rules = Rules(failures=settings.breaker_failures)
    port = PartnerPort(service.shared("partners")["credentials"], credentials, service.vault, rules)
    lanes = Lanes()
    asking = Asking(port, lanes, timing, settings.pause_seconds)
    fetch = Fetch(opportunities, timing, asking, service.vault)
    measuring = Measuring(service.database["dwells"], collection, credentials)
    workers = Workers(collection, fetch, port, credentials, settings, measuring.of)
    reports = Reports(opportunities, timing, service.vault)
    hints = Hints(opportunities, reports, orphans, workers.wake, settings.orphan_sweep_seconds)
    feeds = Feeds(service.database["feeds"], hints, asking, timing, credentials, service.vault, settings)
    twins, alarms = Twins(collection, read_key(settings.master_key_file)), Alarms(opportunities, timing, service.vault)
    handlers = Handlers(opportunities, hints, timing, callers, twins, alarms)
    watch = Watch(callers, collection, timing)
    staleness = Staleness(collection, callers.collection, measuring, credentials)
    desk = desk_of(
        opportunities, orphans, service.database["dismissals"], hints, reports, timing, vocabulary, twins, credentials,
        service.vault, settings.orphan_sweep_seconds,
    )  # fmt: skip
    correcting, pins = Correcting(opportunities, timing, service.vault), Pins(opportunities, timing, service.vault)
    return Parts(
        relay=relay,
        opportunities=opportunities,
        hints=hints,
        handlers=handlers,
        timing=timing,
        measuring=measuring,
        watch=watch,
        staleness=staleness,
        alarms=alarms,
        workers=workers,
        feeds=feeds,
        lanes=lanes,
        orphans=orphans,
        desk=desk,
        correcting=correcting,
        pins=pins,
        importing=assemble_imports(service, settings, opportunities, hints, reports, timing, orphans),
    )


def build(settings: Settings, *, verifier: Verifier | None = None, **doubles: Any) -> tuple[Service, FastAPI]:
    """`doubles`: a broker, publisher or client instead of the real one (see `Service`)."""
    service = Service(NAME, settings, **doubles)
    parts = assemble(service, settings)
    service.on(APPLICATION_VALIDATED, parts.handlers.on_application_validated)
    service.on(APPLICATION_REJECTED, parts.handlers.on_application_rejected)
    service.on(PARTNER_ACK, parts.handlers.on_partner_ack)
    service.on(PARTNER_WEBHOOK, parts.handlers.on_partner_webhook)
    service.prepare(parts.prepare)
    service.forgets(Forgetter(parts.opportunities.collection).forget)
    service.republishes(Outboxes(parts.opportunities.collection))
    service.loop(parts.relay.run)
    service.loop(parts.workers.run, parts.drain)
    service.loop(parts.hints.run)
    service.loop(parts.feeds.run)
    service.loop(parts.feeds.worker.run)
    service.loop(parts.measuring.run)
    service.loop(parts.measuring.worker.run)
    service.loop(parts.watch.run)
    service.loop(parts.alarms.run)
    service.loop(parts.desk.refolding.worker.run)
    service.loop(parts.desk.merging.run)
    service.loop(parts.desk.dismissing.run)
    service.loop(parts.pins.run)
    collection, desk = parts.opportunities.collection, parts.desk
    files = parts.importing.imports.collection
    dismissals = desk.dismissing.collection
    entries = audit_reads.keep(service, collection, parts.orphans, dismissals, desk.vocabulary.collection, files)
    api = service.api("Lendrail status", verifier)
    api.include_router(desk.routes())
    api.include_router(audit_reads.routes(entries))
    api.include_router(routes(parts.opportunities, parts.orphans, parts.feeds.collection, service.vault))
    api.include_router(correcting_routes(parts.correcting))
    api.include_router(staleness_routes(parts.staleness))
    parts.importing.install(service, api, settings)
    return service, api
