"""The one place that makes the gateway: clients, stores, doors, routes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response

from lendrail.contracts.terms import Mode
from lendrail.contracts.topics import APPLICATION_REJECTED, APPLICATION_VALIDATED, STATUS_UPDATED
from lendrail.gateway import issuer
from lendrail.gateway.amending import routes as amending
from lendrail.gateway.amending.amendments import Amendments
from lendrail.gateway.amending.changes import Changes
from lendrail.gateway.audit import AuditReader
from lendrail.gateway.description import openapi
from lendrail.gateway.door import Door
from lendrail.gateway.erasing import routes as erasing
from lendrail.gateway.erasing.erase import Eraser
from lendrail.gateway.erasing.forget import Forgetter
from lendrail.gateway.erasing.retention import Retention
from lendrail.gateway.forward import Forwarder
from lendrail.gateway.handlers import Handlers
from lendrail.gateway.intake import PATTERN, IntakeDoor, IntakeKeys
from lendrail.gateway.lists import routes as lists
from lendrail.gateway.lists.index import Index
from lendrail.gateway.lists.indexer import Indexer, Sweep
from lendrail.gateway.reads import Reader, shown
from lendrail.gateway.settings import Settings
from lendrail.gateway.store import Applications, Facts, Webhooks, soon
from lendrail.gateway.uploads import Uploads
from lendrail.gateway.webhooks import push, rejections
from lendrail.gateway.webhooks.calls import Keeper
from lendrail.gateway.webhooks.door import PATHS, WebhookDoor
from lendrail.gateway.webhooks.drain import Keeping
from lendrail.gateway.webhooks.rejected import Rejected
from lendrail.gateway.webhooks.segments import read_keys
from lendrail.gateway.webhooks.sources import Proxies
from lendrail.gateway.webhooks.spool import Spool
from lendrail.runtime import audit_reads
from lendrail.runtime.admission import Gate
from lendrail.runtime.broker import subscribe
from lendrail.runtime.directory import Mounted, Secrets, Tenants
from lendrail.runtime.http import Problem, authorised, own_gate, reply, tell_refusals
from lendrail.runtime.outbox import Relay
from lendrail.runtime.service import Service
from lendrail.runtime.stored_events import Outboxes
from lendrail.runtime.tokens import Caller, Verifier

NAME = "gateway"
OWNERS = ("validation", "documents", "submission", "status", "notifications")
NO_STORE = {"Cache-Control": "no-store"}
Reading = Annotated[Caller, Depends(authorised("applications:read"))]
Writing = Annotated[Caller, Depends(authorised("applications:write"))]
Anybody = Annotated[Caller, Depends(authorised())]


def build(settings: Settings, **doubles: Any) -> tuple[Service, FastAPI]:
    """The service and its HTTP application; `doubles` are handed to `Service`. Raises ValueError without an issuer, and
    for a spool whose key cannot be read.
    """
    service = Service(NAME, settings, **doubles)
    service.needs_broker = False  # durable in MongoDB is enough to say 202; the relay publishes when Kafka is there
    tenants = Mounted(settings.tenants_file, Tenants)
    instance = settings.instance or NAME

    listed = Index(service.database["listed_applications"], owner="_id")
    listed_opportunities = Index(service.database["listed_opportunities"], owner="application")
    applications = Applications(service.database["applications"], listed)
    webhooks = Webhooks(service.database["webhooks"])
    facts = Facts(service.database["facts"])
    relay = Relay([applications.collection, webhooks.collection], service.publisher, instance)
    reader = Reader(applications, facts, service.vault)
    indexer = Indexer(applications, reader.views, listed, listed_opportunities)
    amendments = Amendments(applications, facts, reader, service.vault, relay, tenants, instance, indexer.refresh)
    owners = {owner: str(getattr(settings, f"{owner}_url")) for owner in OWNERS}
    uploads = Uploads(service.http, owners["documents"], service.tokens, settings.upload_seconds)
    changes = Changes(service.database["changes"], amendments, uploads, service.vault, service.defects)
    eraser = Eraser(applications, service.vault)
    days: dict[Mode, int] = {"live": settings.retention_live_days, "test": settings.retention_test_days}
    retention = Retention(days, listed, indexer, applications, reader, eraser)
    kept = service.database["changes"], service.database["conflicts"]
    forgetter = Forgetter(applications, facts, *kept, indexer.refresh)
    service.forgets(forgetter.forget)
    service.republishes(Outboxes(applications.collection), Outboxes(webhooks.collection))
    stores = (applications, webhooks, facts, listed, listed_opportunities, relay, changes, eraser, retention, forgetter)
    for store in stores:
        service.prepare(store.prepare)
    service.loop(eraser.run)
    service.loop(retention.run)
    service.loop(relay.run)
    service.loop(changes.run)
    service.loop(Sweep(indexer, applications, listed, service.database["sweeps"]).run)

    handlers = Handlers(facts, indexer)
    service.on(APPLICATION_VALIDATED, handlers.on_application_validated)
    service.on(APPLICATION_REJECTED, handlers.on_application_rejected)
    service.on(STATUS_UPDATED, handlers.on_status_updated)
    keys = IntakeKeys()
    intake = IntakeDoor(
        applications,
        service.database["conflicts"],
        service.vault,
        tenants,
        keys,
        service.publisher,
        service.defects,
        changes,
        clear_allowed=settings.environment == "development",
    )
    service.watch(subscribe(service.broker, intake.consume, group=f"{NAME}.intake", settings=settings, pattern=PATTERN))

    own = _issuer(settings, settings.issuer_key_file, tenants)
    app = service.api("Lendrail", Verifier(settings.issuer, own.keys) if own else None)
    if own is not None:
        issuer.install(app, own)
    Forwarder(service.http, owners, settings.forward_seconds).install(app)
    entries = audit_reads.keep(service, applications.collection)
    AuditReader(entries, service.http, owners, settings.forward_seconds).install(app)
    _applications(app, Door(applications, service.vault, relay, tenants, instance))
    amending.install(app, amending.AmendingDoor(amendments, uploads), settings.max_upload_bytes)
    erasing.install(app, erasing.ErasingDoor(applications, reader, eraser))
    lists.install(app, lists.Lists(listed, listed_opportunities, indexer, service.vault))
    _reads(app, reader, tenants, keys)
    _webhooks(service, app, settings, Keeper(webhooks, service.vault, relay, instance), tenants)
    openapi.install(app, settings.public_url or settings.issuer, with_issuer=own is not None)
    return service, app


def _issuer(settings: Settings, key_file: Path | None, tenants: Mounted[Tenants]) -> issuer.Issuer | None:
    if key_file is not None:
        return issuer.Issuer(key_file, settings.issuer, tenants)
    if settings.jwks_url is None:
        raise ValueError("set LENDRAIL_ISSUER_KEY_FILE for the embedded issuer, or LENDRAIL_JWKS_URL for another one")
    return None


def _applications(app: FastAPI, door: Door) -> None:
    @app.post("/v1/applications")
    async def post(request: Request, caller: Writing) -> Response:
        return await door.post(request, caller)


def _reads(app: FastAPI, reader: Reader, tenants: Mounted[Tenants], keys: IntakeKeys) -> None:
    @app.get("/v1/applications/{application_id}")
    async def one(caller: Reading, application_id: str) -> Response:
        found = await soon(reader.one(caller, application_id))
        return reply(shown(found), headers=NO_STORE | {"ETag": f'"{found.revision}"'})

    @app.get("/v1/keys/intake")
    async def intake_key(caller: Anybody) -> Response:
        tenant = tenants.current.by_id.get(caller.tenant_id)
        published = keys.published(tenant) if tenant else None
        if published is None:
            raise Problem(404, "no-intake-key", "Your tenant has no intake key; ask your operator for one.")
        return reply(published)


def _webhooks(service: Service, app: FastAPI, settings: Settings, keeper: Keeper, tenants: Mounted[Tenants]) -> None:
    """Partners' calls are taken as long as MongoDB or the spool takes them; those that come by Kafka wait there."""
    keeping, secrets = Keeping(keeper, _spool(settings)), Secrets(settings.webhook_secrets_file)
    rejected = Rejected(service.database["rejected_calls"])
    proxies = Proxies(settings.trusted_proxies, settings.proxy_header)
    door = WebhookDoor(keeping, tenants, secrets, proxies, rejected)
    door.install(app)
    rejections.install(app, rejected)
    own_gate(app, PATHS, Gate(settings.webhooks_at_once, settings.webhook_bytes_at_once))
    tell_refusals(app, PATHS, door.refused)
    service.prepare(rejected.prepare)
    service.loop(rejected.run, rejected.finish)
    service.loop(keeping.run, keeping.close)
    pushed = push.PushDoor(keeper, tenants, secrets, rejected, service.vault, service.publisher, service.defects)
    group = f"{NAME}.push"
    service.watch(subscribe(service.broker, pushed.consume, group=group, settings=settings, pattern=push.PATTERN))
    service.instead_of_mongo = ("spool", keeping.ready) if settings.webhook_spool else None


def _spool(settings: Settings) -> Spool | None:
    if settings.webhook_spool is None or settings.webhook_spool_key_file is None:
        return None
    return Spool(settings.webhook_spool, read_keys(settings.webhook_spool_key_file), settings.webhook_spool_bytes)
