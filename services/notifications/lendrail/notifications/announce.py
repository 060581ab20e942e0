"""Outcomes on the tenants' own topics: in turn for each application, repeated until Kafka takes them, never given up.

Nobody but us writes there, so what does not work is a topic that is missing, a right that is not given, or a Kafka that
is away. All of that ends, and what came in between must still be told: nothing is parked, nothing is superseded.
"""

from __future__ import annotations

import structlog

from lendrail.notifications.deliver import Laned, Queues
from lendrail.notifications.endpoints import Endpoint
from lendrail.notifications.order import Notice
from lendrail.notifications.outcome import from_text
from lendrail.runtime.due import Lease
from lendrail.runtime.mongo import Document
from lendrail.runtime.topic_port import WRITTEN, Writer

log = structlog.get_logger()


class Outcomes(Laned):
    """Records for the topics `outcomes-<tenant>`."""

    def __init__(self, queues: Queues, writer: Writer, *, lanes: int, seconds: float) -> None:
        """A write ends after `seconds`."""
        super().__init__(queues, "kafka", lanes=lanes, seconds=seconds)
        self._writer = writer

    async def _carry(self, queue: Document, notice: Notice, lease: Lease, lane: int, to: Endpoint, body: str) -> None:
        if not lease.held:
            return
        outcome = await self._writer.write(from_text(body))
        if outcome != WRITTEN:
            log.warning("a tenant's topic does not take an outcome", tenant=to.tenant, notice=notice["id"], why=outcome)
        await self._record(queue, notice, lease, outcome, good=outcome == WRITTEN)

    async def aclose(self) -> None:
        await self._writer.aclose()
