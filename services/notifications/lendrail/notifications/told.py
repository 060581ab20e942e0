"""What tenants were told on their own topics, told again to a Kafka that lost its data.

Notices themselves are not published again: they follow, under their ids, from the versions that status publishes, and
whoever was told is not told twice. A tenant's topic is different, it is the record itself that was lost. The order is
that of the queue; what still waits in it is told afterwards by its worker.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from lendrail.contracts.event import Record, decode, read_envelope
from lendrail.contracts.notify import Notify
from lendrail.contracts.sensitive import Erased
from lendrail.contracts.topics import OUTCOMES
from lendrail.notifications.handlers import SERVICE
from lendrail.notifications.order import DELIVERED
from lendrail.notifications.outcome import outcome_record
from lendrail.runtime.directory import Mounted, Tenants
from lendrail.runtime.mongo import Collection, Document
from lendrail.runtime.outbox import restored
from lendrail.runtime.vault import Key, Vault


class Told:
    """The outcomes that reached Kafka. Their bodies are dropped once they are told, so they are made again from the
    stored notices: the same bytes under the same ids, as long as our public address is the same.
    """

    about = "_id"

    def __init__(
        self, deliveries: Collection, notices: Collection, vault: Vault, tenants: Mounted[Tenants], public_url: str
    ) -> None:
        self.collection, self._notices = deliveries, notices
        self._vault, self._tenants, self._public_url = vault, tenants, public_url

    def topics(self) -> Sequence[str]:
        return [OUTCOMES.name(tenant) for tenant in self._listening()]

    def _listening(self) -> list[str]:
        return [tenant.id for tenant in self._tenants.current.tenants if tenant.outcomes]

    def shown(self, since: dt.datetime) -> list[Document]:
        """Of queues for such a topic the ids of what was told."""
        told = {"$and": [{"$eq": ["$$this.state", DELIVERED]}, {"$gte": ["$$this.stated", since]}]}
        ids = {"$map": {"input": {"$filter": {"input": "$notices", "cond": told}}, "in": "$$this.id"}}
        ours = {"$and": [{"$eq": ["$channel", "kafka"]}, {"$in": ["$tenant", {"$literal": self._listening()}]}]}
        return [{"$project": {"application": 1, "told": {"$cond": [ours, ids, []]}}}]

    async def records(self, documents: Sequence[Document], since: dt.datetime) -> list[Record]:
        (queue,) = documents
        if not queue["told"]:
            return []
        try:
            key = await self._vault.get(queue["application"])
        except Erased:
            return []
        notices = await self._notices_of(queue["application"])
        return [self._outcome(notices[each], key) for each in queue["told"] if each in notices]

    async def _notices_of(self, application: str) -> dict[str, Record]:
        found = self._notices.find({"application": application}, {"outbox": 1})
        records = [record async for document in found for record in restored(document)]
        return {dict(record.headers)["ce_id"].decode(): record for record in records}

    def _outcome(self, notice: Record, key: Key) -> Record:
        event, envelope = decode(Notify, notice.value, key), read_envelope(notice.headers)
        return outcome_record(event.update, self._public_url, SERVICE, envelope)
