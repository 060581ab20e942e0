"""A registry that knows the same paper: an alarm on every opportunity of the application that a lender works on.

Lenders behind the registry's gate hear of it from submission, which held them. Those that never asked one have the
same application. Two sides wait for one another: a round tells those that have it by then, and who answers later looks
for the registration itself. Each alarm is an observation with an id of its own, so whoever dies in the middle leaves
the rest to the next round, and what is said twice is one word.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable

import structlog

from lendrail.contracts.terms import NAMESPACE, Status
from lendrail.partners import PARTNERS
from lendrail.runtime.clock import utc_now
from lendrail.runtime.mongo import ASCENDING, OUTAGES, Document
from lendrail.runtime.vault import Key, Vault
from lendrail.status.folding.observation import Alarmed, Answered, Observation
from lendrail.status.store import Heard, Opportunities, cause_of, read, subject_of
from lendrail.status.timing import Timing

log = structlog.get_logger()
EVERY_SECONDS = 2.0
MOST_AT_ONCE = 100
DUPLICATE = "alarm-registry-duplicate"
"""As submission calls it."""
LIVE = (
    Status.SUBMITTED,
    Status.OUTCOME_UNKNOWN,
    Status.IN_REVIEW,
    Status.INFO_REQUIRED,
    Status.REFERRED,
    Status.APPROVED,
    Status.ACCEPTED,
    Status.FUNDED,
)
"""A lender has it, or paid for it."""
REGISTRIES = [each.name for each in PARTNERS.values() if each.kind == "registry"]


class Alarms:
    """Looks for registrations that are duplicates and were not told of yet."""

    def __init__(self, opportunities: Opportunities, timing: Timing, vault: Vault) -> None:
        self._opportunities, self._timing, self._vault = opportunities, timing, vault
        self._collection = opportunities.collection

    async def prepare(self) -> None:
        await self._collection.create_index(
            [("partner", ASCENDING), ("fetch.alarmed", ASCENDING)],
            partialFilterExpression={"status": Status.DUPLICATE.value},
        )

    async def run(self) -> None:
        while True:
            try:
                await self.tell()
            except OUTAGES as error:
                log.warning("alarms wait for their store", error=type(error).__name__)
            await asyncio.sleep(EVERY_SECONDS)

    async def tell(self) -> None:
        new = {"partner": {"$in": REGISTRIES}, "fetch.alarmed": None, "status": Status.DUPLICATE.value}
        async for registration in self._collection.find(new, {"outbox": 0}).limit(MOST_AT_ONCE):
            await self._alarm(registration)
            same = {"_id": registration["_id"], "rev": registration["rev"]}
            await self._opportunities.change(same, [{"$set": {"fetch.alarmed": "$$NOW"}}])

    async def answered(self, applications: Iterable[str]) -> None:
        """Lenders answered, and that is stored: one of them may have the application only since the last round."""
        theirs = {"application_id": {"$in": list(applications)}, "partner": {"$in": REGISTRIES}}
        async for registration in self._collection.find(theirs | {"status": Status.DUPLICATE.value}, {"outbox": 0}):
            await self._alarm(registration)

    async def _alarm(self, registration: Document) -> None:
        """Tell those that are live by now and were not told."""
        key = (await self._vault.find({registration["application_id"]})).get(registration["application_id"])
        if key is None:
            return
        live = [each.value for each in LIVE]
        others = {"application_id": registration["application_id"], "_id": {"$ne": registration["_id"]}}
        found = await self._collection.find({**others, "status": {"$in": live}}).to_list()
        lenders = [each for each in found if each["partner"] in PARTNERS and PARTNERS[each["partner"]].kind == "lender"]
        heard = [alarm for each in lenders if (alarm := _alarm_of(registration, each, key)) is not None]
        for each in heard:
            log.critical(
                "a registry knows the paper of an application that a lender has",
                opportunity=each.subject.id,
                partner=each.subject.partner,
            )
        await self._opportunities.hear(heard, self._timing.after_event)


def _alarm_of(registration: Document, document: Document, key: Key) -> Heard | None:
    """None where submission tells of it, or it was told before."""
    known = read(document, key).observations
    if any(isinstance(each.said, Answered) and each.said.operation == "gate" for each in known):
        return None
    now, seen = utc_now(), registration["fetch"].get("since") or utc_now()
    name = str(uuid.uuid5(NAMESPACE, f"alarm|{registration['_id']}|{document['_id']}|{seen.isoformat()}"))
    if any(each.id == name for each in known):
        return None
    observation = Observation(
        id=name,
        source="feed",
        at=min(seen, now),
        received_at=now,
        said=Alarmed(flag=DUPLICATE, about=registration["_id"]),
    )
    return Heard(subject_of(document), observation, key, cause_of(registration["cause"]))
