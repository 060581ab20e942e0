"""What a registry says of an application opens or stops its lenders' opportunities; what becomes of these it is told.

Both sides of the wait write first and then look for the other: the registry's word is stored, then the opportunities
that wait for it are moved; an opportunity that is planned later finds the word (see `Handlers`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import structlog

from lendrail.contracts.event import Record
from lendrail.contracts.partner_ack import Operation
from lendrail.contracts.sensitive import Erased
from lendrail.contracts.status_updated import StatusUpdated
from lendrail.contracts.terms import Match, Status
from lendrail.partners import PARTNERS
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import Collection, Document, DuplicateKeyError
from lendrail.runtime.step import Delivery
from lendrail.runtime.vault import Key, Vault
from lendrail.submission.attempts.attempt import Opportunity
from lendrail.submission.attempts.moves import Move
from lendrail.submission.registries import gates
from lendrail.submission.registries.standing import note
from lendrail.submission.store import Store, read

log = structlog.get_logger()
UNFUNDED = frozenset({Status.DECLINED, Status.WITHDRAWN, Status.EXPIRED, Status.FAILED, Status.DUPLICATE})
ENDED_AS: dict[Status, Operation] = {Status.FUNDED: "finance", Status.WITHDRAWN: "withdraw"}
"""What a registry's status proves was done, whatever became of the answer to the call."""
CHANGES = 50
"""How often somebody else may be faster at one document before it is called a fault."""


@dataclass(frozen=True, slots=True)
class Clearance:
    """A registry's newest word on one of its opportunities."""

    status: Status
    matches: tuple[Match, ...] = ()
    partner_id: str | None = None
    observed_at: dt.datetime | None = None


class Registry:
    """Hears `status-updated`, of registries and of the lenders behind them."""

    def __init__(
        self, store: Store, clearances: Collection, vault: Vault, cancel_seconds: float, stored: Callable[[], None]
    ) -> None:
        self._store, self._clearances, self._vault, self._stored = store, clearances, vault, stored
        self._cancel = dt.timedelta(seconds=cancel_seconds)

    async def clearances(self, gates: Iterable[str]) -> dict[str, Clearance]:
        """What registries have said about these opportunities of theirs."""
        wanted = list(gates)
        cursor = self._clearances.find({"_id": {"$in": wanted}}) if wanted else None
        return {each["_id"]: _clearance(each) async for each in cursor} if cursor else {}

    async def on_status_updated(self, deliveries: Sequence[Delivery[StatusUpdated]]) -> Sequence[Record]:
        """The last word of each opportunity counts; older versions that come later change nothing."""
        newest: dict[str, Delivery[StatusUpdated]] = {}
        for delivery in deliveries:
            if delivery.event.opportunity_id is not None:
                name = str(delivery.event.opportunity_id)
                known = newest.get(name)
                if known is None or known.event.state_version < delivery.event.state_version:
                    newest[name] = delivery
        words = [each for each in newest.values() if _of_registry(each.event)]
        ends = {name: each.event.status for name, each in newest.items() if _is_end(each.event)}
        await note(self._store, [each.event for each in newest.values() if not _of_registry(each.event)])
        await asyncio.gather(*(self._cleared(str(each.event.opportunity_id), each.event, each.key) for each in words))
        if ends:
            gated = await self._store.gated(ends)
            await asyncio.gather(*(self._ended(found, ends[found.id]) for found in gated))
        return []

    async def _cleared(self, gate: str, event: StatusUpdated, key: Key) -> None:
        await self.open(gate, await self._keep(gate, event), key)
        if event.status in ENDED_AS:
            for own in (await self._store.find([gate])).values():
                await self._change(own, lambda it: gates.seen(it, ENDED_AS[event.status], utc_now()), key)

    async def open(self, gate: str, clearance: Clearance, key: Key) -> None:
        """Move the lenders' opportunities behind it as the registry's word allows: those that wait for a word on the
        papers that it is about.
        """
        now, registered = utc_now(), (await self._store.find([gate])).get(gate)
        if registered is not None and not gates.current(registered, clearance.partner_id, clearance.observed_at):
            return
        about = registered.create.paper if registered is not None and registered.create is not None else None

        def spoken(it: Opportunity) -> Move | None:
            return gates.spoken(it, clearance.status, clearance.matches, now, about)

        for each in await self._store.behind(gate):
            await self._change(each, spoken, key, alarm=True)

    async def _keep(self, gate: str, event: StatusUpdated) -> Clearance:
        """The newest word, which may be another one than this."""
        word = {
            "status": event.status.value,
            "matches": [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in event.matches],
            "version": event.state_version,
            "partner_id": event.partner_id,
            "observed_at": event.observed_at,
        }
        older = {"_id": gate, "version": {"$lt": event.state_version}}
        try:
            await self._clearances.update_one(older, {"$set": word}, upsert=True)
        except DuplicateKeyError:
            stored = await self._clearances.find_one({"_id": gate})
            assert stored is not None
            return _clearance(stored)
        return _clearance(word)

    async def _ended(self, found: Opportunity, status: Status) -> None:
        """A lender's opportunity ended: the registry hears of it once that is true of all lenders, or one paid out."""
        gate = found.gate
        assert gate is not None
        try:
            key = await self._vault.get(str(found.application_id))
        except Erased:  # just now
            return
        await self._change(found, lambda it: _mark(it, status), key)
        funded = status == Status.FUNDED
        if not funded and await self._store.lenders_open(gate.subject):
            return
        registered = (await self._store.find([gate.subject])).get(gate.subject)
        if registered is None or PARTNERS[registered.partner].finance is None:
            return
        due = utc_now() + (dt.timedelta() if funded else self._cancel)

        def tell(it: Opportunity) -> Move | None:
            planned = gates.ended(it, "finance" if funded else "withdraw", status.value, due)
            return None if planned is None else (planned, ())

        await self._change(registered, tell, key)

    async def _change(
        self, found: Opportunity, move: Callable[[Opportunity], Move | None], key: Key, alarm: bool = False
    ) -> None:
        for _ in range(CHANGES):
            if (moved := move(found)) is None:
                return
            opportunity, acks = moved
            if alarm and any(ack.outcome == "duplicate" for ack in acks):
                log.critical("a registry knows the same paper", opportunity=found.id, partner=found.partner)
            if await self._store.save(opportunity, acks, key, due="now"):
                self._stored()
                return
            found = read(await self._store.load(found.id))
        raise RuntimeError(f"opportunity {found.id} changes faster than it can be written")


def _of_registry(event: StatusUpdated) -> bool:
    partner = PARTNERS.get(event.partner or "")
    return partner is not None and partner.kind == "registry"


def _is_end(event: StatusUpdated) -> bool:
    return not _of_registry(event) and (event.status == Status.FUNDED or event.status in UNFUNDED)


def _mark(opportunity: Opportunity, status: Status) -> Move | None:
    """Funded stays funded."""
    if opportunity.ended in (status.value, Status.FUNDED.value):
        return None
    return replace(opportunity, ended=status.value), ()


def _clearance(word: Document) -> Clearance:
    matches = tuple(Match.model_validate(each) for each in word["matches"])
    return Clearance(Status(word["status"]), matches, word.get("partner_id"), word.get("observed_at"))
