"""What notifications keeps no longer: all that tells of an erased person, and the inbox when its time is over.

Endpoints are the tenants' own and tell of no applicant.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from lendrail.notifications.store import Deliveries
from lendrail.runtime.mongo import ASCENDING, Collection
from lendrail.runtime.outbox import emptied

NOTICES_KEPT = dt.timedelta(days=45)
"""Longer than an update may come again: its topic and the dead letters together are kept for less."""


class Forgetter:
    def __init__(self, notices: Collection, deliveries: Deliveries) -> None:
        self._notices, self._deliveries = notices, deliveries

    async def prepare(self) -> None:
        """The index that ends the inbox, and the one by which an application's part of it is found."""
        await self._notices.create_index("stored", expireAfterSeconds=int(NOTICES_KEPT.total_seconds()))
        await self._notices.create_index([("application", ASCENDING)])

    async def forget(self, applications: Sequence[str]) -> None:
        """Queues before the inbox: from there a notice may come once more, which then finds its key gone."""
        await self._deliveries.forget(applications)
        await self._notices.update_many({"application": {"$in": list(applications)}}, emptied())
