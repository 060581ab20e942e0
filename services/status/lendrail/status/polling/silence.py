"""Partners that call us, and fall silent: then nobody tells us of news, and we look more often until they call again.

One document for each credential remembers in which ten minutes there were calls, hour by hour. What it expects of an
hour is what hours of that kind had before; a silence that chance does not explain is an alarm.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import structlog

from lendrail.contracts.partner_webhook import PartnerWebhook
from lendrail.contracts.terms import Status
from lendrail.runtime.mongo import ASCENDING, OUTAGES, Collection, Document
from lendrail.runtime.step import Delivery
from lendrail.status.folding.decided import FINAL
from lendrail.status.polling.habits import SLOT_SECONDS, Calls, silent, slot
from lendrail.status.timing import Timing

log = structlog.get_logger()
CHECK_SECONDS = 30.0
HISTORY_HOURS = 8 * 7 * 24
TEND_SECONDS = 3600.0
HALF_LIFE_SECONDS = 7 * 86_400.0
"""Of what counts as the usual number of open deals."""
OPEN = sorted(each.value for each in Status if each not in FINAL)


class Callers:
    """Who called when. Calls that come again change nothing."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.silent: frozenset[str] = frozenset()
        """Credentials whose partner should have called, as far as this process knows."""
        self._noted: dict[str, tuple[int, int]] = {}

    def is_silent(self, credential: str) -> bool:
        return credential in self.silent

    async def note(self, deliveries: Iterable[Delivery[PartnerWebhook]]) -> None:
        for event in (each.event for each in deliveries):
            hour, bit = slot(event.received_at)
            if self._noted.get(event.credential) == (hour, bit):
                continue
            await self.collection.update_one(
                {"_id": event.credential},
                {
                    "$set": {"tenant": event.tenant_id, "partner": event.partner},
                    "$bit": {f"slots.{hour}": {"or": bit}},
                    "$max": {"heard_at": event.received_at},
                    "$min": {"first": hour},
                },
                upsert=True,
            )
            self._noted[event.credential] = (hour, bit)


class Watch:
    """Looks after all callers. Each step is one change that only one process can make, and can be made up for."""

    def __init__(self, callers: Callers, opportunities: Collection, timing: Timing) -> None:
        self._callers, self._opportunities, self._timing = callers, opportunities, timing

    async def prepare(self) -> None:
        await self._opportunities.create_index([("credential", ASCENDING), ("status", ASCENDING)])

    async def run(self) -> None:
        while True:
            try:
                await self.check()
            except OUTAGES as error:
                log.warning("silent partners wait for their store", error=type(error).__name__)
            await asyncio.sleep(CHECK_SECONDS)

    async def check(self) -> None:
        """Who is silent by now, and who calls again."""
        cursor = await self._callers.collection.aggregate([{"$set": {"now": "$$NOW"}}])
        found = [await self._look(each) async for each in cursor]
        self._callers.silent = frozenset(each for each in found if each is not None)

    async def _look(self, caller: Document) -> str | None:
        """The credential, if its partner is silent."""
        name, since = caller["_id"], caller.get("silent_since")
        if since is not None and caller["heard_at"] > since:
            over = {"$unset": {"silent_since": "", "hurried": ""}}
            if await self._change({"_id": name, "silent_since": since}, over):
                log.warning("a partner's webhooks came back", credential=name, partner=caller["partner"])
            return None
        if since is None and not await self._fell_silent(caller):
            await self._tend(caller)
            return None
        if not caller.get("hurried"):
            where = {"credential": name, "fetch.reason": "sweep", "due": {"$type": "date"}}
            await self._opportunities.update_many(where, self._timing.hurried(caller["partner"]))
            await self._change({"_id": name, "silent_since": {"$exists": True}}, {"$set": {"hurried": True}})
        return str(name)

    async def _fell_silent(self, caller: Document) -> bool:
        until, now = _heard_until(caller), caller["now"].timestamp()
        if now - until < 3600:  # an hour has six slots, too few to miss
            return False
        calls = calls_of(caller)
        if not silent(calls, until, now):
            return False
        left, usual = await self._open(caller["_id"]), caller.get("usual_open")
        if not left or not silent(calls, until, now, left / usual if usual else 1.0):
            return False
        before = {"_id": caller["_id"], "silent_since": {"$exists": False}, "heard_at": caller["heard_at"]}
        if not await self._change(before, [{"$set": {"silent_since": "$$NOW"}}]):
            return False
        log.critical(
            "a partner's webhooks fell silent; it is looked at more often until they come back",
            credential=caller["_id"],
            partner=caller["partner"],
            last_heard=caller["heard_at"].isoformat(),
            calls_expected=round(calls.expected(until, now), 1),
            open=left,
        )
        return True

    async def _tend(self, caller: Document) -> None:
        """Now and then: how many deals are usually open; forget hours that are long past."""
        now: dt.datetime = caller["now"]
        before = caller.get("tended_at")
        seconds = (now - before).total_seconds() if before else TEND_SECONDS
        if seconds < TEND_SECONDS:
            return
        left = float(await self._open(caller["_id"]))
        usual, weight = caller.get("usual_open", left), 1 - 0.5 ** (seconds / HALF_LIFE_SECONDS)
        first = int(now.timestamp()) // 3600 - HISTORY_HOURS
        old = {f"slots.{hour}": "" for hour in caller["slots"] if int(hour) < first}
        change: dict[str, Any] = {
            "$set": {"usual_open": usual + (left - usual) * weight, "tended_at": now},
            "$max": {"first": first},
        }
        await self._change({"_id": caller["_id"], "tended_at": before}, change | ({"$unset": old} if old else {}))

    async def _open(self, credential: str) -> int:
        return await self._opportunities.count_documents({"credential": credential, "status": {"$in": OPEN}})

    async def _change(self, where: Document, change: Document | Sequence[Document]) -> bool:
        return (await self._callers.collection.update_one(where, change)).matched_count == 1


def calls_of(caller: Document) -> Calls:
    """Its history up to its newest call."""
    slots = {int(hour): int(bits) for hour, bits in caller["slots"].items()}
    return Calls(slots, caller["first"], max(slots, default=caller["first"]))


def _heard_until(caller: Document) -> float:
    """The end of the newest ten minutes with a call."""
    seconds = caller["heard_at"].timestamp()
    return float(seconds // SLOT_SECONDS + 1) * SLOT_SECONDS
