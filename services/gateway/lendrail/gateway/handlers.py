"""What the gateway hears, for its read model: each fact once, under its own id, personal values still sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated
from lendrail.contracts.event import ApplicationEvent, Record
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.gateway.lists.indexer import Indexer
from lendrail.gateway.store import Facts
from lendrail.runtime import inbox
from lendrail.runtime.step import Delivery

E = TypeVar("E", bound=ApplicationEvent)


class Handlers:
    def __init__(self, facts: Facts, indexer: Indexer) -> None:
        self._facts, self._indexer = facts, indexer

    async def on_application_validated(self, deliveries: Sequence[Delivery[ApplicationValidated]]) -> Sequence[Record]:
        return await self._keep(deliveries)

    async def on_application_rejected(self, deliveries: Sequence[Delivery[ApplicationRejected]]) -> Sequence[Record]:
        return await self._keep(deliveries)

    async def on_status_updated(self, deliveries: Sequence[Delivery[StatusUpdated]]) -> Sequence[Record]:
        return await self._keep(deliveries)

    async def _keep(self, deliveries: Sequence[Delivery[E]]) -> Sequence[Record]:
        """A fact that was stored before may not have reached the lists, so they are looked after each time."""
        records = await inbox.once(self._facts.collection, deliveries, _facts)
        await self._indexer.refresh(delivery.event.subject for delivery in deliveries)
        return records


async def _facts(deliveries: Sequence[Delivery[E]]) -> list[inbox.Effect]:
    return [(_fact(delivery), ()) for delivery in deliveries]


def _fact(delivery: Delivery[E]) -> dict[str, object]:
    """The event without the application, which is stored already."""
    event = delivery.event
    return {
        "application": event.subject,
        **_opportunities(event),
        "event": event.topic,
        "service": delivery.envelope.source,
        "time": delivery.envelope.time,
        "said": event.model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude=_STORED, context={"key": delivery.key}
        ),
    }


_STORED: Any = {"application": True, "amendment": {"application": True}}


def _opportunities(event: ApplicationEvent) -> dict[str, list[str]]:
    """Those that the event names, by which their application is found."""
    if isinstance(event, ApplicationValidated):
        named = [each.opportunity_id for each in event.eligible] + [each.opportunity_id for each in event.ineligible]
        return {"opportunities": [str(each) for each in named]}
    if isinstance(event, StatusUpdated) and event.opportunity_id is not None:
        return {"opportunities": [str(event.opportunity_id)]}
    return {}
