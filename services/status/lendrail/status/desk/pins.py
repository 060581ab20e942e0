"""Pins whose time is over are taken off, by an observation of that very time: so the fold needs no clock, and whoever
asks later for any time gets the same. Several replicas may find the same pin; what they say of it is one word.
"""

from __future__ import annotations

import asyncio
import uuid

import structlog

from lendrail.contracts.terms import NAMESPACE
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import OUTAGES, Document
from lendrail.runtime.vault import Key, Vault
from lendrail.status.folding.observation import Observation, Unpinned
from lendrail.status.store import Heard, Opportunities, cause_of, read, subject_of
from lendrail.status.timing import Timing

log = structlog.get_logger()
EVERY_SECONDS = 1.0
MOST_AT_ONCE = 200
PIN_UNTIL = "pin_until"
_OVER = {PIN_UNTIL: {"$type": "date"}, "$expr": {"$lte": [f"${PIN_UNTIL}", "$$NOW"]}}


class Pins:
    def __init__(self, opportunities: Opportunities, timing: Timing, vault: Vault) -> None:
        self._opportunities, self._timing, self._vault = opportunities, timing, vault

    async def prepare(self) -> None:
        there = {PIN_UNTIL: {"$type": "date"}}
        await self._opportunities.collection.create_index(PIN_UNTIL, partialFilterExpression=there)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.end()
            except OUTAGES as error:
                log.warning("pins wait for their store", error=type(error).__name__)

    async def end(self) -> None:
        """Take off the pins whose time is over by now."""
        found = await self._opportunities.collection.find(_OVER).sort(PIN_UNTIL, 1).limit(MOST_AT_ONCE).to_list()
        if not found:
            return
        keys = await self._vault.find({each["application_id"] for each in found})
        heard = [_over(each, keys[each["application_id"]]) for each in found if each["application_id"] in keys]
        told = [each for each in heard if each is not None]
        await self._opportunities.hear(told, self._timing.after_event, {each["_id"]: each for each in found})


def _over(document: Document, key: Key) -> Heard | None:
    known = read(document, key)
    pin = known.state.pin if known.state is not None else None
    if pin is None or pin.until is None:
        return None
    name = f"unpinned|{document['_id']}|{pin.since.isoformat()}|{pin.until.isoformat()}"
    received = max(pin.until, utc_now())
    observation = Observation(
        id=str(uuid.uuid5(NAMESPACE, name)), source="person", at=pin.until, received_at=received, said=Unpinned()
    )
    return Heard(subject_of(document), observation, key, cause_of(document["cause"]))
