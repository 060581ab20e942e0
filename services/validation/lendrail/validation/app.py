"""Builds validation: the one place where its parts are made and put together."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from lendrail.contracts.topics import APPLICATION_RECEIVED
from lendrail.runtime.directory import Mounted, Tenants
from lendrail.runtime.service import Service
from lendrail.runtime.settings import read_key
from lendrail.runtime.tokens import Verifier
from lendrail.validation.duplicates import Duplicates
from lendrail.validation.fingerprint import derive
from lendrail.validation.handlers import SERVICE, Handlers
from lendrail.validation.routes import Preflight, routes
from lendrail.validation.settings import Settings
from lendrail.validation.store import Reports


def build(settings: Settings, *, verifier: Verifier | None = None, **doubles: Any) -> tuple[Service, FastAPI]:
    """`doubles` (a broker, publisher or client) are for tests."""
    service = Service(SERVICE, settings, **doubles)
    tenants = Mounted(settings.tenants_file, Tenants)
    reports = Reports(service.database["reports"])
    duplicates = Duplicates(reports, derive(read_key(settings.master_key_file)), settings.duplicate_window)
    service.prepare(reports.prepare)
    service.on(APPLICATION_RECEIVED, Handlers(reports, duplicates, tenants).on_application_received)
    app = service.api("Lendrail validation", verifier)
    app.include_router(routes(Preflight(duplicates, tenants)))
    return service, app
