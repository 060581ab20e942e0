"""What validation hears: an application was received, or it was amended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lendrail.contracts.event import Record
from lendrail.runtime.inbox import Effect, once
from lendrail.validation.judge import Amended, Judge, Received
from lendrail.validation.order import Order
from lendrail.validation.store import Reports


@dataclass(frozen=True)
class Handlers:
    reports: Reports
    judge: Judge
    order: Order

    async def on_application_received(self, deliveries: Sequence[Received]) -> Sequence[Record]:
        records = await once(self.reports.collection, deliveries, self.judge.received)
        await self.order.release([delivery.id for delivery in deliveries])
        return records

    async def on_application_amended(self, deliveries: Sequence[Amended]) -> Sequence[Record]:
        records = await once(self.reports.collection, deliveries, self._apply)
        await self.order.release([delivery.id for delivery in deliveries])
        return records

    async def _apply(self, deliveries: Sequence[Amended]) -> Sequence[Effect | None]:
        """What comes too early is durable before the batch is committed, and is judged from there."""
        effects, early = await self.judge.amended(deliveries)
        await self.order.keep(early)
        return [effects.get(delivery.id) for delivery in deliveries]
