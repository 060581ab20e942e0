"""What validation hears: an application was received."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated, Eligible, Ineligible
from lendrail.contracts.event import Record, encode, envelope_of
from lendrail.contracts.terms import opportunity_id, utc_now
from lendrail.runtime.directory import Mounted, Tenants
from lendrail.runtime.inbox import Effect, once
from lendrail.runtime.mongo import Document
from lendrail.runtime.step import Delivery
from lendrail.validation.abn import Fact, Subject, checked, subject
from lendrail.validation.checks import Checks, work_of
from lendrail.validation.duplicates import Duplicates, Wish
from lendrail.validation.eligibility import NO_CREDENTIAL
from lendrail.validation.register import not_checked
from lendrail.validation.store import Reports
from lendrail.validation.validate import Facts, Verdict, validate

SERVICE = "validation"
Received = Delivery[ApplicationReceived]


@dataclass(frozen=True)
class Handlers:
    reports: Reports
    duplicates: Duplicates
    tenants: Mounted[Tenants]
    checks: Checks

    async def on_application_received(self, deliveries: Sequence[Received]) -> Sequence[Record]:
        return await once(self.reports.collection, deliveries, self._judge)

    async def _judge(self, deliveries: Sequence[Received]) -> list[Effect | None]:
        """Facts for the whole batch first, then one verdict after the other, each aware of those before it.

        What the business register must be asked about waits as due work; all else is reported here and now.
        """
        tenants = self.tenants.current.by_id
        wishes = [self._wish(delivery.event) for delivery in deliveries]
        seen = await self.duplicates.seen(wishes)
        effects: list[Effect | None] = []
        work: list[Document] = []
        for delivery, wish in zip(deliveries, wishes, strict=True):
            event = delivery.event
            facts = Facts(tenants.get(event.tenant_id), event.received_at, seen.earlier(wish))
            verdict = validate(event.application, event.problems, facts)
            if verdict.sound:
                seen.add(wish)
            asked = subject(event.application) if facts.tenant is not None else None
            fact, asked = self._unless_off(stated(event, verdict), asked)
            report, records = effect(delivery, wish, fact)
            effects.append((report, records) if asked is None else None)
            if asked is not None:
                work.append(work_of(delivery.id, report, records[0], asked, delivery.key))
        await self.checks.keep(work)
        return effects

    def _unless_off(self, fact: Fact, asked: Subject | None) -> tuple[Fact, Subject | None]:
        """Where there is no register to ask, the fact says so and nothing waits."""
        if asked is None or self.checks.register.credential(fact.mode) is not None:
            return fact, asked
        told = not_checked("not-configured")
        return checked(fact, told.finding, told.at), None

    def _wish(self, event: ApplicationReceived) -> Wish:
        return self.duplicates.wish(str(event.application_id), event.tenant_id, event.application, event.received_at)


def stated(event: ApplicationReceived, verdict: Verdict) -> Fact:
    return validated(event, verdict) if verdict.sound else rejected(event, verdict)


def effect(delivery: Received, wish: Wish, fact: Fact) -> tuple[Document, list[Record]]:
    """The report, and the fact that it states. Only what is sound counts against later twins."""
    event = delivery.event
    sound = isinstance(fact, ApplicationValidated)
    report = {
        "tenant": event.tenant_id,
        "application": wish.application_id,
        "revision": event.revision,
        "receivedAt": event.received_at,
        "sound": sound,
    }
    if sound and wish.fingerprints:
        report["fingerprints"] = list(wish.fingerprints)
    envelope = envelope_of(fact, source=SERVICE, time=utc_now(), cause=delivery.envelope)
    return report, [encode(fact, envelope, delivery.key)]


def validated(event: ApplicationReceived, verdict: Verdict) -> ApplicationValidated:
    assert event.application is not None
    eligible, ineligible = [], []
    for each in verdict.candidates:
        opportunity = opportunity_id(event.application_id, each.partner, each.credential or NO_CREDENTIAL)
        if each.credential is not None and each.eligible:
            gate = each.gate and opportunity_id(event.application_id, each.gate.partner, each.gate.credential)
            eligible.append(
                Eligible(partner=each.partner, credential=each.credential, opportunity_id=opportunity, gate=gate)
            )
        else:
            ineligible.append(
                Ineligible(
                    partner=each.partner,
                    credential=each.credential,
                    opportunity_id=opportunity,
                    reasons=each.reasons,
                )
            )
    return ApplicationValidated(
        application_id=event.application_id,
        tenant_id=event.tenant_id,
        mode=event.mode,
        revision=event.revision,
        received_at=event.received_at,
        application=event.application,
        eligible=tuple(eligible),
        ineligible=tuple(ineligible),
    )


def rejected(event: ApplicationReceived, verdict: Verdict) -> ApplicationRejected:
    references = (event.application and event.application.external_references) or event.references
    return ApplicationRejected(
        application_id=event.application_id,
        tenant_id=event.tenant_id,
        mode=event.mode,
        revision=event.revision,
        received_at=event.received_at,
        references=references,
        problems=verdict.everything(),
    )
