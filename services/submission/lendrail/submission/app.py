"""Builds the service: the one place where clients and stores are made and handed to the steps."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from lendrail.contracts.topics import STATUS_UPDATED, SUBMIT
from lendrail.partners import PARTNERS
from lendrail.partners.channels.rest import CONNECT_SECONDS
from lendrail.runtime import audit_reads
from lendrail.runtime.approvals import Approvals
from lendrail.runtime.breaker import Rules
from lendrail.runtime.directory import Credentials, Mounted, Tenants
from lendrail.runtime.due import MARGIN_SECONDS
from lendrail.runtime.holds import Holds
from lendrail.runtime.outbox import Relay
from lendrail.runtime.partner_port import PartnerPort
from lendrail.runtime.service import Service
from lendrail.runtime.stored_events import Outboxes
from lendrail.runtime.tokens import Verifier
from lendrail.submission.accounts.desks import Desks
from lendrail.submission.accounts.lists import LANES as LISTS_LANES
from lendrail.submission.accounts.lists import PartnerLists
from lendrail.submission.accounts.registrations import LANES, Registrations
from lendrail.submission.forget import Forgetter
from lendrail.submission.handlers import Handlers
from lendrail.submission.operators.actions import Actions
from lendrail.submission.operators.approving import Approvers
from lendrail.submission.operators.approving import routes as approval_routes
from lendrail.submission.operators.partners import Overview
from lendrail.submission.operators.partners import routes as partner_routes
from lendrail.submission.operators.pauses import Pauses
from lendrail.submission.operators.people import People, refusal_routes, routes
from lendrail.submission.operators.questions import LANES as QUESTION_LANES
from lendrail.submission.operators.questions import Questions
from lendrail.submission.operators.questions import routes as question_routes
from lendrail.submission.operators.resending import Resender
from lendrail.submission.operators.resending import routes as resend_routes
from lendrail.submission.operators.resolving import Resolver
from lendrail.submission.operators.resolving import routes as resolve_routes
from lendrail.submission.registries.registry import Registry
from lendrail.submission.sending.asking import Asker
from lendrail.submission.sending.channels import Channels
from lendrail.submission.sending.documents import Documents
from lendrail.submission.sending.lanes import Lanes
from lendrail.submission.sending.requests import Requests
from lendrail.submission.sending.settling import Settler
from lendrail.submission.sending.workers import Submitter
from lendrail.submission.sending.writing import Writer
from lendrail.submission.settings import Settings
from lendrail.submission.store import SERVICE, Store


def build(settings: Settings, verifier: Verifier | None = None, **doubles: Any) -> tuple[Service, FastAPI]:
    """Raises ValueError where a lease would end before a call could."""
    _check(settings)
    service = Service(SERVICE, settings, **doubles)
    tenants, credentials = Mounted(settings.tenants_file, Tenants), Mounted(settings.credentials_file, Credentials)
    rules = Rules(failures=settings.breaker_failures)
    standing = service.shared("partners")["credentials"]
    port = PartnerPort(standing, credentials, service.vault, rules)
    instance = settings.instance or f"{SERVICE}-1"
    store = Store(service.database["opportunities"], instance)
    relay = Relay([store.collection], service.publisher, instance)
    channels = Channels(port, settings.lanes)
    documents = Documents(settings.documents_url, service.tokens.header)
    lists = PartnerLists(
        settings, service.database["lists"], tenants, port, Asker(settings, port, Channels(port, LISTS_LANES))
    )
    desks = Desks(tenants, credentials, lists)
    settler = Settler(store, desks, settings.gate_seconds, relay.wake)
    requests = Requests(channels, documents)
    writer = Writer(store, settings.retry_seconds, relay.wake)
    submitter = Submitter(settings, store, port, service.vault, channels, requests, settler, writer)

    def most(credential: str) -> int:
        known = credentials.current.by_id.get(credential)
        limited = known is not None and known.rate is not None
        return settings.lanes_per_limited_credential if limited else settings.lanes

    lanes = Lanes(
        store.collection,
        submitter.carry_out,
        paused=port.paused,
        most=most,
        share=settings.lane_share,
        lanes=settings.lanes,
        lease_seconds=settings.lease_seconds,
        poll_seconds=settings.poll_seconds,
    )

    def stored() -> None:
        relay.wake()
        lanes.wake()

    registrations = Registrations(settings, service.database["registrations"], tenants, port, Channels(port, LANES))
    holds = Holds(standing)
    recorded = service.database["operator_actions"]
    actions = Actions(recorded, service.vault)
    pauses = Pauses(actions, holds, tenants)
    approvers = Approvers(actions, Approvals(standing), pauses, credentials)
    service.prepare(store.prepare)
    service.prepare(lists.prepare)
    service.prepare(actions.prepare)
    service.prepare(relay.prepare)
    service.prepare(registrations.prepare)
    clearances = service.database["clearances"]
    forgetter = Forgetter(store.collection, clearances)
    service.prepare(forgetter.prepare)
    service.forgets(forgetter.forget)
    service.republishes(Outboxes(store.collection))
    registry = Registry(store, clearances, service.vault, settings.registry_cancel_seconds, stored)
    handlers = Handlers(store, registry, desks, settings.gate_seconds, stored)
    service.on(SUBMIT, handlers.on_submit)
    service.on(STATUS_UPDATED, registry.on_status_updated)
    service.loop(lanes.run, lanes.drain)
    service.loop(registrations.run)
    service.loop(registrations.worker.run, registrations.worker.drain)
    service.loop(lists.run)
    service.loop(lists.worker.run, lists.worker.drain)
    service.loop(relay.run)
    app = service.api("Lendrail submission", verifier)
    people = People(store)
    app.include_router(routes(people))
    app.include_router(resolve_routes(Resolver(store, service.vault, settings, stored)))
    app.include_router(resend_routes(Resender(store, service.vault, desks, stored)))
    app.include_router(refusal_routes(people))
    app.include_router(partner_routes(pauses, Overview(pauses, holds, approvers, store.collection, lists)))
    app.include_router(approval_routes(approvers))
    asker = Asker(settings, port, Channels(port, QUESTION_LANES))
    app.include_router(question_routes(Questions(store, recorded, pauses, asker)))
    app.include_router(audit_reads.routes(audit_reads.keep(service, store.collection, recorded)))
    return service, app


def _check(settings: Settings) -> None:
    longest = max(settings.deadline(each) for partner in PARTNERS.values() for each in partner.operations.values())
    if settings.lease_seconds <= longest + min(CONNECT_SECONDS, longest) + MARGIN_SECONDS:
        raise ValueError(f"lease_seconds must leave room for a call of {longest} seconds")
