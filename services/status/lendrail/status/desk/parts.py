"""The desk put together: its lists, what people do at it, and the work that follows."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from lendrail.runtime.directory import Credentials, Mounted
from lendrail.runtime.mongo import Collection
from lendrail.runtime.vault import Vault
from lendrail.status.desk import routes, word_routes
from lendrail.status.desk.dismissing import Dismissing
from lendrail.status.desk.merging import Merging
from lendrail.status.desk.refolding import Refolding
from lendrail.status.desk.twins import Twins
from lendrail.status.desk.vocabulary import Vocabulary
from lendrail.status.desk.waiting import Waiting
from lendrail.status.hints import Hints
from lendrail.status.reports import Reports
from lendrail.status.store import Opportunities
from lendrail.status.timing import Timing


@dataclass(frozen=True)
class Desk:
    vocabulary: Vocabulary
    refolding: Refolding
    merging: Merging
    dismissing: Dismissing
    twins: Twins
    waiting: Waiting
    opportunities: Collection
    orphans: Collection

    async def prepare(self) -> None:
        """Indexes; needs MongoDB."""
        for part in (self.vocabulary, self.refolding, self.merging, self.dismissing, self.twins, self.waiting):
            await part.prepare()

    def routes(self) -> APIRouter:
        router = APIRouter()
        router.include_router(
            routes.routes(self.waiting, self.merging, self.dismissing, self.opportunities, self.orphans)
        )
        words = word_routes.Words(self.waiting, self.vocabulary, self.refolding, self.opportunities)
        router.include_router(word_routes.routes(words))
        return router


def desk_of(
    opportunities: Opportunities,
    orphans: Collection,
    dismissals: Collection,
    hints: Hints,
    reports: Reports,
    timing: Timing,
    vocabulary: Vocabulary,
    twins: Twins,
    credentials: Mounted[Credentials],
    vault: Vault,
    sweep_seconds: float,
) -> Desk:
    """What the service is made of already, put to the use of people."""
    collection = opportunities.collection
    return Desk(
        vocabulary,
        Refolding(vocabulary, opportunities, timing, vault),
        Merging(orphans, collection, hints, reports, vocabulary, vault, sweep_seconds),
        Dismissing(dismissals, orphans, vocabulary, sweep_seconds),
        twins,
        Waiting(collection, orphans, twins, credentials),
        collection,
        orphans,
    )
