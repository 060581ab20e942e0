"""Judges revisions: the facts for a whole batch first, then one verdict after the other, each aware of those before it.

What the business register must be asked about waits as due work; all else is reported here and now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lendrail.contracts.application_amended import ApplicationAmended, Corrected
from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.event import encode, envelope_of
from lendrail.runtime.clock import utc_now
from lendrail.runtime.directory import Mounted, Tenants
from lendrail.runtime.inbox import Effect
from lendrail.runtime.mongo import Document
from lendrail.runtime.step import Delivery
from lendrail.validation import revision as revisions
from lendrail.validation.abn import Fact, Subject, checked, subject
from lendrail.validation.amend import in_order, judged
from lendrail.validation.checks import Checks, work_of
from lendrail.validation.duplicates import Duplicates, Seen, Wish
from lendrail.validation.register import not_checked
from lendrail.validation.revision import Revision
from lendrail.validation.standing import Report, Standing, standing
from lendrail.validation.state import report, stated
from lendrail.validation.store import Reports

SERVICE = "validation"
Received = Delivery[ApplicationReceived]
Amended = Delivery[ApplicationAmended]


@dataclass(slots=True)
class _Batch:
    """What is found out while a batch is judged."""

    seen: Seen
    tenants: Tenants
    work: list[Document] = field(default_factory=list)


@dataclass(frozen=True)
class Judge:
    reports: Reports
    duplicates: Duplicates
    tenants: Mounted[Tenants]
    checks: Checks

    async def received(self, deliveries: Sequence[Received]) -> list[Effect | None]:
        """What to store and to state of each; None where the register is asked first."""
        wishes = [self._wish(delivery.event) for delivery in deliveries]
        batch = await self._batch(wishes)
        effects = [
            self._effect(delivery, revisions.first(delivery.event), wish, batch)
            for delivery, wish in zip(deliveries, wishes, strict=True)
        ]
        await self.checks.keep(batch.work)
        return effects

    async def amended(self, deliveries: Sequence[Amended]) -> tuple[dict[str, Effect | None], list[Amended]]:
        """The same by event id, and those that come too early: the revision before them is not reported yet."""
        wishes = {delivery.id: self._correction(delivery.event) for delivery in deliveries}
        batch = await self._batch(list(wishes.values()))
        known = await self.reports.standings({revisions.predecessor(delivery.event) for delivery in deliveries})
        effects: dict[str, Effect | None] = {}

        def judge(delivery: Amended, before: Standing) -> None:
            made = self._effect(delivery, revisions.later(delivery.event, before), wishes[delivery.id], batch)
            effects[delivery.id] = made
            if made is not None:
                known[delivery.id] = standing(made[0])

        early = in_order(deliveries, lambda each: known.get(revisions.predecessor(each.event)), judge)
        await self.checks.keep(batch.work)
        return effects, early

    async def _batch(self, wishes: Sequence[Wish]) -> _Batch:
        return _Batch(await self.duplicates.seen(wishes), self.tenants.current)

    def _wish(self, event: ApplicationReceived) -> Wish:
        return self.duplicates.wish(str(event.application_id), event.tenant_id, event.application, event.received_at)

    def _correction(self, event: ApplicationAmended) -> Wish:
        """Only other content can be a twin of something; it is compared as of the moment when it was stated."""
        content = event.stands if isinstance(event.amendment, Corrected) else None
        return self.duplicates.wish(str(event.application_id), event.tenant_id, content, event.amended_at)

    def _effect(self, delivery: Received | Amended, revision: Revision, wish: Wish, batch: _Batch) -> Effect | None:
        tenant = batch.tenants.by_id.get(revision.tenant_id)
        verdict = judged(revision, tenant, batch.seen.earlier(wish))
        asked = subject(revision.application) if tenant is not None and revision.new_content else None
        fact, asked = self._unless_off(stated(revision, verdict), asked)
        made = report(revision, wish, verdict)
        if verdict.sound:
            batch.seen.add(_standing_wish(wish.application_id, made))
        envelope = envelope_of(fact, source=SERVICE, time=utc_now(), cause=delivery.envelope)
        record = encode(fact, envelope, delivery.key)
        if asked is None:
            return made.stored(verdict.sound), [record]
        batch.work.append(work_of(delivery.id, made, verdict.sound, record, asked, delivery.key))
        return None

    def _unless_off(self, fact: Fact, asked: Subject | None) -> tuple[Fact, Subject | None]:
        """Where there is no register to ask, the fact says so and nothing waits."""
        if asked is None or self.checks.register.credential(fact.mode) is not None:
            return fact, asked
        told = not_checked("not-configured")
        return checked(fact, told.finding, told.at), None


def _standing_wish(application_id: str, made: Report) -> Wish:
    """What the application wishes after this revision; nothing once it was withdrawn everywhere."""
    marks = tuple(made.gained["fingerprints"]) if made.gained["counts"] else ()
    return Wish(application_id, marks, made.gained["wishedAt"])
