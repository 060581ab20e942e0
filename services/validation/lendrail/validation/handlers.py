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
from lendrail.runtime.step import Delivery
from lendrail.validation.duplicates import Duplicates, Wish
from lendrail.validation.eligibility import NO_CREDENTIAL
from lendrail.validation.store import Reports
from lendrail.validation.validate import Facts, Verdict, validate

SERVICE = "validation"
Received = Delivery[ApplicationReceived]


@dataclass(frozen=True)
class Handlers:
    reports: Reports
    duplicates: Duplicates
    tenants: Mounted[Tenants]

    async def on_application_received(self, deliveries: Sequence[Received]) -> Sequence[Record]:
        return await once(self.reports.collection, deliveries, self._judge)

    async def _judge(self, deliveries: Sequence[Received]) -> list[Effect]:
        """Facts for the whole batch first, then one verdict after the other, each aware of those before it."""
        tenants = self.tenants.current.by_id
        wishes = [self._wish(delivery.event) for delivery in deliveries]
        seen = await self.duplicates.seen(wishes)
        effects = []
        for delivery, wish in zip(deliveries, wishes, strict=True):
            event = delivery.event
            facts = Facts(tenants.get(event.tenant_id), event.received_at, seen.earlier(wish))
            verdict = validate(event.application, event.problems, facts)
            if verdict.sound:
                seen.add(wish)
            effects.append(effect(delivery, wish, verdict))
        return effects

    def _wish(self, event: ApplicationReceived) -> Wish:
        return self.duplicates.wish(str(event.application_id), event.tenant_id, event.application, event.received_at)


def effect(delivery: Received, wish: Wish, verdict: Verdict) -> Effect:
    """The report, and the fact that it states. Only what is sound counts against later twins."""
    event = delivery.event
    fact = validated(event, verdict) if verdict.sound else rejected(event, verdict)
    report = {
        "tenant": event.tenant_id,
        "application": wish.application_id,
        "revision": event.revision,
        "receivedAt": event.received_at,
        "sound": verdict.sound,
    }
    if verdict.sound and wish.fingerprints:
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
