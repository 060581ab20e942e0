"""Builds documents: the one place where its parts are made and put together."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from lendrail.contracts.topics import APPLICATION_VALIDATED
from lendrail.documents.files import Files
from lendrail.documents.forget import Forgetter
from lendrail.documents.handlers import SERVICE, Handlers
from lendrail.documents.links import Links
from lendrail.documents.renderer import Renderer
from lendrail.documents.routes import routes
from lendrail.documents.settings import Settings
from lendrail.documents.shelf import Shelf
from lendrail.documents.shelf import routes as shelf_routes
from lendrail.documents.uploads import Uploads
from lendrail.documents.uploads import routes as upload_routes
from lendrail.runtime import audit_reads
from lendrail.runtime.directory import Mounted, Tenants
from lendrail.runtime.service import Service
from lendrail.runtime.stored_events import Outboxes


def build(settings: Settings, *, renderer: Renderer | None = None, **doubles: Any) -> tuple[Service, FastAPI]:
    """`doubles` (a broker, publisher or client) are for tests."""
    service = Service(SERVICE, settings, **doubles)
    files, links = Files(service.database), Links(service.database["links"])
    renderer = renderer or Renderer(settings.render_processes)
    tenants = Mounted(settings.tenants_file, Tenants)
    handlers = Handlers(service.database["packages"], files, links, renderer, tenants, settings)
    service.prepare(files.prepare)
    service.prepare(links.prepare)
    service.loop(renderer.run, renderer.close)
    service.on(APPLICATION_VALIDATED, handlers.on_application_validated)
    app = service.api("Lendrail documents")
    shelf = Shelf(service.database["packages"], files, links, service.vault)
    service.prepare(shelf.prepare)
    service.republishes(Outboxes(service.database["packages"], about="application"))
    quotas = service.database["quotas"]
    uploads = Uploads(files, quotas, service.vault, settings)
    service.forgets(Forgetter(service.database["packages"], files, links, quotas).forget)
    app.include_router(routes(files, links, service.vault, service.tokens))
    app.include_router(upload_routes(uploads, service.tokens))
    app.include_router(shelf_routes(shelf))
    app.include_router(audit_reads.routes(audit_reads.keep(service, service.database["links"])))
    return service, app
