"""Hears `submit`: what is asked for becomes stored work; the lanes do it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from lendrail.contracts.event import Record
from lendrail.contracts.submit import Submit
from lendrail.partners.partner import Fetched
from lendrail.runtime.clock import utc_now
from lendrail.runtime.step import Delivery
from lendrail.submission.accounts.desks import Desks, is_registry, with_lenders
from lendrail.submission.attempts.attempt import Opportunity
from lendrail.submission.planning.plan import plan
from lendrail.submission.planning.planned import Plan
from lendrail.submission.registries.registry import Registry
from lendrail.submission.store import Store, read

Deliveries = Sequence[Delivery[Submit]]


class Handlers:
    def __init__(
        self,
        store: Store,
        registry: Registry,
        desks: Desks,
        gate_seconds: float,
        stored: Callable[[], None],
    ) -> None:
        """`stored` is called when work and facts were stored."""
        self._store, self._registry = store, registry
        self._desks, self._gate_seconds, self._stored = desks, gate_seconds, stored

    async def on_submit(self, deliveries: Deliveries) -> Sequence[Record]:
        """Plan it. What is to be told waits in the stored documents, from where the relay publishes it."""
        by_opportunity: dict[str, list[Delivery[Submit]]] = {}
        for delivery in deliveries:
            by_opportunity.setdefault(str(delivery.event.opportunity_id), []).append(delivery)
        known, lists = await asyncio.gather(
            self._store.find(by_opportunity), self._desks.fetched([each.event for each in deliveries])
        )
        registries = {name for name, group in by_opportunity.items() if is_registry(group[0].event.partner)}
        for turn in (by_opportunity.keys() - registries, registries):  # these look at what their lenders heard
            await asyncio.gather(*(self._plan(known.get(name), by_opportunity[name], lists) for name in turn))
        await self._look_behind(deliveries)
        self._stored()
        return []

    async def _look_behind(self, deliveries: Deliveries) -> None:
        """A registry may have spoken while its lenders' opportunities were being planned."""
        gates = {str(each.event.gate): each for each in deliveries if each.event.gate is not None}
        for gate, clearance in (await self._registry.clearances(gates)).items():
            await self._registry.open(gate, clearance, gates[gate].key)

    async def _plan(self, known: Opportunity | None, deliveries: Deliveries, lists: Mapping[str, Fetched]) -> None:
        """The events of one opportunity, in their order; each has its effect once."""
        for delivery in deliveries:
            while known is None or delivery.id not in known.inbox:
                desk, now = self._desks.of(delivery.event.tenant_id, delivery.event, lists), utc_now()
                desk = await with_lenders(desk, str(delivery.event.opportunity_id), self._store)
                made = plan(known, delivery.event, delivery.envelope, desk, delivery.key, now, self._gate_seconds)
                if await self._stored_plan(made, delivery, new=known is None):
                    known = replace(made.opportunity, version=made.opportunity.version + 1)
                else:
                    known = read(await self._store.load(made.opportunity.id))

    async def _stored_plan(self, made: Plan, delivery: Delivery[Submit], *, new: bool) -> bool:
        if new:
            return await self._store.add(made.opportunity, made.requests, made.acks, delivery.key)
        plans, kept = made.requests, made.kept
        return await self._store.save(made.opportunity, made.acks, delivery.key, plans=plans, kept=kept, due="now")
