"""What is kept in mind of how opportunities stand at lenders: that an offer is agreed on, or that it is over. Then a
correction that the lender did not take is of no use any more, and nothing is sent there anew.
"""

from __future__ import annotations

from collections.abc import Iterable

from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import Status
from lendrail.runtime.mongo import Document
from lendrail.submission.attempts.beside import OVER
from lendrail.submission.store import HIDDEN, Store, read


async def note(store: Store, heard: Iterable[StatusUpdated]) -> None:
    """The newest word on each. The end of one behind a registry is noted where the registry is told of it."""
    named: dict[Status, list[str]] = {}
    for event in heard:
        if event.status in OVER or event.status == Status.ACCEPTED:
            named.setdefault(event.status, []).append(str(event.opportunity_id))
    for status, names in named.items():
        await _note(store, status, names)


async def _note(store: Store, status: Status, names: list[str]) -> None:
    """Whoever writes at the same time finds another version and looks again."""
    fresh: Document = {"gate": {"$exists": False}, "ended": {"$nin": [status.value, Status.FUNDED.value]}}
    said: Document = {"ended": status.value}
    if status == Status.ACCEPTED:
        fresh, said = {"agreed": {"$exists": False}}, {"agreed": True}
    await store.collection.update_many({"_id": {"$in": names}} | fresh, {"$set": said, "$inc": {"version": 1}})
    async for document in store.collection.find({"_id": {"$in": names}, "kept": {"$exists": True}}, HIDDEN):
        await store.save(read(document))
