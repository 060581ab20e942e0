"""What validation states of a revision, and what it stores with that. Pure."""

from __future__ import annotations

from dataclasses import replace

from lendrail.contracts.application_amended import Amendment, DocumentAdded, PartnerAdded, Withdrawn
from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated, Eligible, Ineligible
from lendrail.contracts.terms import opportunity_id
from lendrail.validation.abn import Fact
from lendrail.validation.duplicates import Wish
from lendrail.validation.eligibility import NO_CREDENTIAL
from lendrail.validation.revision import Revision
from lendrail.validation.standing import Document, Opportunity, Report, Standing, opened, remembered
from lendrail.validation.validate import Verdict


def stated(revision: Revision, verdict: Verdict) -> Fact:
    return validated(revision, verdict) if verdict.sound else rejected(revision, verdict)


def report(revision: Revision, wish: Wish, verdict: Verdict) -> Report:
    """What the next revision, and later twins, must know. Only what is sound counts against twins."""
    base: Document = {
        "tenant": revision.tenant_id,
        "application": wish.application_id,
        "revision": revision.number,
        "receivedAt": revision.stated_at,
    }
    before = revision.before
    if before is not None:
        base |= {"tenant": before.tenant, "firstReceivedAt": revision.received_at, **remembered(before)}
    return Report(base, remembered(_after(revision, wish, verdict)))


def _after(revision: Revision, wish: Wish, verdict: Verdict) -> Standing:
    """How the application stands once this is found sound."""
    before = revision.before or Standing(revision.tenant_id, revision.received_at, content=True)
    fresh = [
        Opportunity(each.partner, each.credential, each.gate.credential if each.gate is not None else None)
        for each in verdict.candidates
        if each.credential is not None and each.eligible
    ]
    after = replace(
        before, opportunities=opened(before.opportunities, fresh), added=_added(revision.amendment, before, verdict)
    )
    if revision.new_content:
        withdrawn = before.withdrawn if before.counts else ()  # it goes out anew
        return replace(
            after, content=True, fingerprints=wish.fingerprints, wished_at=wish.received_at, withdrawn=withdrawn
        )
    if isinstance(revision.amendment, DocumentAdded):
        added = revision.amendment.document
        return replace(after, files={**before.files, added.id: added.sha256})
    if isinstance(revision.amendment, Withdrawn):
        return replace(after, withdrawn=tuple(dict.fromkeys((*before.withdrawn, *_named(verdict)))))
    return after


def _added(amendment: Amendment | None, before: Standing, verdict: Verdict) -> tuple[tuple[str, str | None], ...]:
    """Who was added later, by its own act: only a withdrawal ends that."""
    if isinstance(amendment, PartnerAdded):
        fresh = [each for each in _named(verdict) if each[0] in amendment.partners]
        return tuple(dict.fromkeys((*before.added, *fresh)))
    if not isinstance(amendment, Withdrawn):
        return before.added
    gone = set(before.added) if amendment.opportunity_id is None else set(_named(verdict))
    return tuple(each for each in before.added if each not in gone)


def _named(verdict: Verdict) -> list[tuple[str, str | None]]:
    return [(each.partner, each.credential) for each in verdict.candidates]


def validated(revision: Revision, verdict: Verdict) -> ApplicationValidated:
    assert revision.application is not None
    eligible, ineligible = [], []
    for each in verdict.candidates:
        opportunity = opportunity_id(revision.application_id, each.partner, each.credential or NO_CREDENTIAL)
        if each.credential is not None and each.eligible:
            gate = each.gate and opportunity_id(revision.application_id, each.gate.partner, each.gate.credential)
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
        application_id=revision.application_id,
        tenant_id=revision.tenant_id,
        mode=revision.mode,
        revision=revision.number,
        received_at=revision.received_at,
        application=revision.application,
        amendment=revision.amendment,
        eligible=tuple(eligible),
        ineligible=tuple(ineligible),
    )


def rejected(revision: Revision, verdict: Verdict) -> ApplicationRejected:
    references = (revision.application and revision.application.external_references) or revision.references
    return ApplicationRejected(
        application_id=revision.application_id,
        tenant_id=revision.tenant_id,
        mode=revision.mode,
        revision=revision.number,
        received_at=revision.received_at,
        references=references,
        problems=verdict.everything(),
    )
