"""The rules of each kind of amendment, and that revisions apply in their order. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from lendrail.contracts.application import Application
from lendrail.contracts.application_amended import PartnerAdded, Withdrawn
from lendrail.contracts.application_fields import ALL
from lendrail.contracts.terms import FieldProblem, opportunity_id
from lendrail.partners import PARTNERS
from lendrail.runtime.directory import Tenant
from lendrail.validation.eligibility import Candidate, candidates, reason
from lendrail.validation.revision import Revision
from lendrail.validation.rules import backend, problem
from lendrail.validation.standing import Opportunity, Standing, lends
from lendrail.validation.validate import TENANT_UNKNOWN, Facts, Verdict, validate

E = TypeVar("E")
S = TypeVar("S")


def in_order(events: Sequence[E], before: Callable[[E], S | None], judge: Callable[[E, S], object]) -> list[E]:
    """Judge each event for which `before` knows how the application stood; the others come too early.

    `before` is asked right before each, so that one event of a batch may follow another.
    """
    early: list[E] = []
    for event in events:
        stood = before(event)
        if stood is None:
            early.append(event)
        else:
            judge(event, stood)
    return early


def judged(revision: Revision, tenant: Tenant | None, earlier: str | None) -> Verdict:
    """All rules for what is new as a whole; for the rest only whom it concerns.

    `earlier` is the id of another recent application for the same wish.
    """
    before = revision.before
    if before is not None and before.tenant != revision.tenant_id:
        return Verdict((problem("", "application-unknown", "the tenant has no such application"),))
    if revision.application is None and before is not None:
        return Verdict((problem("", "application-missing", "the amendment does not say how the application stands"),))
    if revision.new_content:
        return _content(revision, tenant, earlier)
    if tenant is None:
        return Verdict((TENANT_UNKNOWN,))
    assert before is not None
    if isinstance(revision.amendment, PartnerAdded):
        return _added(revision.amendment, revision, before, tenant)
    return _concerned(revision, before, tenant)


def _content(revision: Revision, tenant: Tenant | None, earlier: str | None) -> Verdict:
    """All rules, for every candidate; who was added later is one, though the corrected copy may not name it."""
    before = revision.before
    files = before.files if before is not None else {}
    verdict = validate(revision.application, revision.handed_over, Facts(tenant, revision.stated_at, earlier, files))
    if before is None or not before.added or not verdict.candidates:
        return verdict
    assert revision.application is not None
    assert tenant is not None
    return replace(verdict, candidates=_with_added(verdict.candidates, revision.application, before, tenant))


def _with_added(
    stated: Sequence[Candidate], application: Application, before: Standing, tenant: Tenant
) -> tuple[Candidate, ...]:
    """`stated`, and who was added and not withdrawn since, with the registries that these need."""
    if application.target_partners == ALL:
        return tuple(stated)
    names = dict.fromkeys((*application.target_partners, *(partner for partner, _ in before.added)))
    wider = candidates(application.model_copy(update={"target_partners": tuple(names)}), tenant)
    kept = {(each.partner, each.credential) for each in stated} | set(before.added)
    gates = {each.gate.credential for each in wider if each.gate and (each.partner, each.credential) in kept}
    return tuple(each for each in wider if (each.partner, each.credential) in kept or each.credential in gates)


def _added(added: PartnerAdded, revision: Revision, before: Standing, tenant: Tenant) -> Verdict:
    """The partner phase for these partners alone. Who has the application already is not asked twice.

    Its content passed the rules before; that it is this content is not taken on trust.
    """
    application = revision.application
    assert application is not None
    if not before.content:
        return Verdict((problem("", "content-refused", "the application was refused; correct it first"),))
    if wrong := backend(application, revision.stated_at, before.files):
        return Verdict(tuple(wrong))
    narrowed = application.model_copy(update={"target_partners": added.partners})
    known = {(each.partner, each.credential) for each in before.opportunities}
    found = [each for each in candidates(narrowed, tenant) if (each.partner, each.credential) not in known]
    asked = [each for each in found if each.partner in added.partners]
    if not asked:
        return Verdict((problem("", "already-added", "the application is at each of the named partners already"),))
    gates = {each.gate.credential for each in asked if each.gate is not None}
    return Verdict((), (*asked, *(each for each in found if each not in asked and each.credential in gates)))


def _concerned(revision: Revision, before: Standing, tenant: Tenant) -> Verdict:
    """The opportunity that is named, or every lender's. They exist, so only a lost account speaks against one."""
    named: uuid.UUID | None = getattr(revision.amendment, "opportunity_id", None)
    open_ones = [each for each in before.opportunities if lends(each.partner)]
    if named is not None:
        open_ones = [e for e in open_ones if opportunity_id(revision.application_id, e.partner, e.credential) == named]
        if not open_ones:
            message = "the application has no opportunity of this id at a lender"
            return Verdict((problem("", "opportunity-unknown", message),))
    if not open_ones and isinstance(revision.amendment, Withdrawn):
        return Verdict((problem("", "nothing-to-withdraw", "the application is at no lender"),))
    found = tuple(_remembered(each, tenant) for each in open_ones)
    if found and not any(each.eligible for each in found):
        return Verdict(tuple(why for each in found for why in each.reasons))
    return Verdict((), found)


def _remembered(opportunity: Opportunity, tenant: Tenant) -> Candidate:
    accounts = {(each.partner, each.credential): each for each in tenant.partners}
    gate = next((each for each in tenant.partners if each.credential == opportunity.gate), None)
    partner, credential = opportunity.partner, opportunity.credential
    return Candidate(partner, credential, tuple(_lost(partner, (partner, credential) in accounts)), gate)


def _lost(partner: str, account: bool) -> list[FieldProblem]:
    if partner not in PARTNERS:
        return [reason(partner, "", "partner-unknown", "there is no partner of this name")]
    if not account:
        return [reason(partner, "", "no-credential", "the tenant's account at this partner is gone")]
    return []
