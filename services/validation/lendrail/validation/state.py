"""What validation states of a revision, and what it stores with that. Pure."""

from __future__ import annotations

from lendrail.contracts.application_amended import DocumentAdded, PartnerAdded, Withdrawn
from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated, Eligible, Ineligible
from lendrail.contracts.terms import opportunity_id
from lendrail.validation.abn import Fact
from lendrail.validation.duplicates import Wish
from lendrail.validation.eligibility import NO_CREDENTIAL
from lendrail.validation.revision import Revision
from lendrail.validation.standing import Document, Opportunity, Report, Standing, opened
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
    gained: Document = {"fingerprints": list(wish.fingerprints)} if wish.fingerprints else {}
    before = revision.before
    if before is not None:
        base |= {"tenant": before.tenant, "firstReceivedAt": revision.received_at}
        base |= {"opportunities": opened(before.opportunities, ())}
        base |= {"files": [{"id": name, "sha256": mark} for name, mark in before.files.items()]}
        base |= {"content": before.content}
    fresh = [
        Opportunity(each.partner, each.credential, each.gate.credential if each.gate is not None else None)
        for each in verdict.candidates
        if each.credential is not None and each.eligible
    ]
    gained |= {"content": True} if revision.new_content else {}
    gained["opportunities"] = opened(before.opportunities if before is not None else (), fresh)
    if before is not None:
        base["added"] = [list(each) for each in before.added]
        gained["added"] = [list(each) for each in _added(revision, before, verdict)]
    if isinstance(revision.amendment, DocumentAdded):
        added = revision.amendment.document
        gained["files"] = [*base["files"], {"id": added.id, "sha256": added.sha256}]
    return Report(base, gained)


def _added(revision: Revision, before: Standing, verdict: Verdict) -> tuple[tuple[str, str | None], ...]:
    """Who was added later, by its own act: only a withdrawal ends that."""
    amendment = revision.amendment
    if isinstance(amendment, PartnerAdded):
        fresh = [(each.partner, each.credential) for each in verdict.candidates if each.partner in amendment.partners]
        return tuple(dict.fromkeys((*before.added, *fresh)))
    if not isinstance(amendment, Withdrawn):
        return before.added
    withdrawn = amendment.opportunity_id
    return tuple(
        (partner, credential)
        for partner, credential in before.added
        if withdrawn not in (None, opportunity_id(revision.application_id, partner, credential or NO_CREDENTIAL))
    )


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
