"""The one place that makes things."""

from __future__ import annotations

import ssl
from typing import Any

import httpx
from fastapi import FastAPI

from lendrail.contracts.topics import NOTIFY, STATUS_UPDATED
from lendrail.notifications.addresses import Resolve, Resolver, resolve
from lendrail.notifications.announce import Outcomes
from lendrail.notifications.deliver import Letters, Queues, Webhooks
from lendrail.notifications.endpoints import Endpoints
from lendrail.notifications.forget import Forgetter
from lendrail.notifications.handlers import SERVICE, Handlers
from lendrail.notifications.routes import Api
from lendrail.notifications.settings import Settings
from lendrail.notifications.store import Deliveries
from lendrail.notifications.told import Told
from lendrail.notifications.web import Caller
from lendrail.runtime import audit_reads
from lendrail.runtime.directory import Mounted, Tenants
from lendrail.runtime.mail_port import MailPort
from lendrail.runtime.service import Service
from lendrail.runtime.tokens import Verifier
from lendrail.runtime.topic_port import TopicPort, Writer


def build(
    settings: Settings,
    *,
    verifier: Verifier | None = None,
    resolver: Resolve = resolve,
    tls: ssl.SSLContext | None = None,
    writer: Writer | None = None,
    **doubles: Any,
) -> tuple[Service, FastAPI]:
    """Tests hand in a verifier, name resolution, authorities for webhooks, what writes to the tenants' topics, or what
    `Service` takes.
    """
    service = Service(SERVICE, settings, **doubles)
    development = settings.environment == "development"
    checked = Resolver(loopback=development, resolve=resolver)
    tenants = Mounted(settings.tenants_file, Tenants)
    endpoints = Endpoints(service.database["endpoints"], service.vault, tenants)
    deliveries = Deliveries(service.database["deliveries"])
    queues = Queues(deliveries, endpoints, service.vault, settings.retry_seconds)
    tls = tls or httpx.create_ssl_context(trust_env=False)
    lanes = [Caller(checked, tls, settings.delivery_seconds) for _ in range(settings.webhook_lanes)]
    webhooks = Webhooks(queues, lanes, settings.delivery_seconds)
    letters = Letters(queues, _mail_ports(settings), settings.smtp_sender, settings.mail_seconds)
    history = Queues(deliveries, endpoints, service.vault, settings.outcome_retry_seconds, for_ever=True)
    writer = writer or _topic_port(settings)
    outcomes = Outcomes(history, writer, lanes=settings.outcome_lanes, seconds=settings.outcome_seconds)
    ways = (webhooks, letters, outcomes)

    def wake() -> None:
        for way in ways:
            way.worker.wake()

    service.prepare(endpoints.prepare)
    service.prepare(deliveries.prepare)
    for way in ways:
        service.loop(way.worker.run, _drain(way))
    notices = service.database["notices"]
    forgetter = Forgetter(notices, deliveries)
    service.prepare(forgetter.prepare)
    service.forgets(forgetter.forget)
    service.republishes(Told(deliveries.collection, notices, service.vault, tenants, settings.public_url))
    handlers = Handlers(notices, endpoints, deliveries, settings.public_url, wake)
    service.on(STATUS_UPDATED, handlers.on_status_updated)
    service.on(NOTIFY, handlers.on_notify)
    api = service.api("Lendrail notifications", verifier)
    limit = settings.endpoints_per_tenant
    api.include_router(audit_reads.routes(audit_reads.keep(service, service.database["endpoints"])))
    api.include_router(Api(endpoints, deliveries, checked, development=development, limit=limit).router())
    return service, api


def _drain(way: Webhooks | Letters | Outcomes) -> Any:
    async def drain(seconds: float) -> None:
        await way.worker.drain(seconds)
        await way.aclose()

    return drain


def _topic_port(settings: Settings) -> TopicPort:
    client = f"{settings.instance or SERVICE}.outcomes"
    return TopicPort(settings.kafka_bootstrap_servers, client, settings.outcome_seconds)


def _mail_ports(settings: Settings) -> list[MailPort]:
    ca_file = str(settings.smtp_ca_file) if settings.smtp_ca_file else None
    tls = ssl.create_default_context(cafile=ca_file) if settings.smtp_starttls else None
    return [
        MailPort(
            settings.smtp_host,
            settings.smtp_port,
            starttls=settings.smtp_starttls,
            username=settings.smtp_username,
            password=settings.smtp_password.get_secret_value(),
            tls=tls,
            seconds=settings.mail_seconds,
        )
        for _ in range(settings.mail_lanes)
    ]
