"""Builds validation: the one place where its parts are made and put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from lendrail.contracts.topics import APPLICATION_AMENDED, APPLICATION_RECEIVED
from lendrail.runtime.directory import Credentials, Mounted, Tenants
from lendrail.runtime.fingerprint import derive
from lendrail.runtime.outbox import Relay
from lendrail.runtime.partner_port import PartnerPort
from lendrail.runtime.service import Service
from lendrail.runtime.settings import read_key
from lendrail.runtime.stored_events import Outboxes
from lendrail.runtime.tokens import Verifier
from lendrail.validation.answers import Answers
from lendrail.validation.checks import Checks
from lendrail.validation.duplicates import Duplicates
from lendrail.validation.forget import Forgetter
from lendrail.validation.handlers import Handlers
from lendrail.validation.judge import SERVICE, Judge
from lendrail.validation.order import Early, Order
from lendrail.validation.register import Register
from lendrail.validation.routes import Preflight, routes
from lendrail.validation.settings import Settings
from lendrail.validation.store import Reports


@dataclass(frozen=True)
class Parts:
    """What the service is made of, under the hood of Kafka and HTTP."""

    reports: Reports
    handlers: Handlers
    checks: Checks
    early: Early
    order: Order
    relay: Relay
    preflight: Preflight
    forgetter: Forgetter


def assemble(service: Service, settings: Settings) -> Parts:
    """The clients and stores of `service`, put into the steps."""
    tenants = Mounted(settings.tenants_file, Tenants)
    master, instance = read_key(settings.master_key_file), settings.instance or f"{SERVICE}-1"
    waiting = service.database["checks"]
    reports = Reports(service.database["reports"], waiting)
    duplicates = Duplicates(reports, derive(master), settings.duplicate_window)
    relay = Relay([reports.collection], service.publisher, instance)
    early = Early(service.database["amendments"], settings.amendment_overdue)
    checks = Checks(
        waiting,
        reports,
        _register(service, settings, master),
        service.vault,
        seconds=settings.abn_seconds,
        lanes=settings.abn_lanes,
        instance=instance,
        stored=relay.wake,
        reported=early.release,
    )
    judge = Judge(reports, duplicates, tenants, checks)
    order = Order(early, judge, reports, service.vault, instance=instance, stored=relay.wake)
    handlers = Handlers(reports, judge, order)
    preflight = Preflight(duplicates, tenants)
    forgetter = Forgetter(reports.collection, waiting, early.collection, settings.duplicate_window)
    return Parts(reports, handlers, checks, early, order, relay, preflight, forgetter)


def _register(service: Service, settings: Settings, master: bytes) -> Register:
    answers = Answers(service.database["abn_answers"], master, settings.abn_cache_seconds)
    port = None
    if settings.abn_credentials:
        if settings.credentials_file is None:
            raise ValueError("abn_credential needs credentials_file")
        credentials = Mounted(settings.credentials_file, Credentials)
        standing = service.shared("partners")["credentials"]
        # The register is no partner and the credential no tenant's: it hears a public number, never an application.
        port = PartnerPort(standing, credentials, service.vault, approvals=False)
    return Register(port, settings.abn_credentials, answers, settings.abn_retry_seconds, settings.abn_lanes)


def build(settings: Settings, *, verifier: Verifier | None = None, **doubles: Any) -> tuple[Service, FastAPI]:
    """`doubles` (a broker, publisher or client) are for tests. Raises ValueError for a credential without its file.

    The checks' worker runs without a register too: what waited when it was switched off still goes on.
    """
    service = Service(SERVICE, settings, **doubles)
    parts = assemble(service, settings)
    for each in (parts.reports, parts.relay, parts.checks, parts.early, parts.forgetter):
        service.prepare(each.prepare)
    service.on(APPLICATION_RECEIVED, parts.handlers.on_application_received)
    service.on(APPLICATION_AMENDED, parts.handlers.on_application_amended)
    service.loop(parts.checks.worker.run, parts.checks.drain)
    service.loop(parts.order.worker.run, parts.order.worker.drain)
    service.loop(parts.relay.run)
    service.loop(parts.forgetter.run)
    service.forgets(parts.forgetter.forget)
    service.republishes(Outboxes(parts.reports.collection, about="application"))
    app = service.api("Lendrail validation", verifier)
    app.include_router(routes(parts.preflight, parts.early))
    return service, app
