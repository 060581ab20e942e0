"""Which partners can take an application, and why the others cannot. Pure: a partner's own needs are its `check`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lendrail.contracts.application import Application
from lendrail.contracts.application_fields import ALL
from lendrail.contracts.terms import FieldProblem
from lendrail.partners import PARTNERS
from lendrail.runtime.directory import PartnerAccount, Tenant

NO_CREDENTIAL = "-"
"""Stands for the credential in the opportunity id where the tenant has none at the partner."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A partner that was asked for, under one of the tenant's credentials there; fit when no reason speaks against."""

    partner: str
    credential: str | None
    reasons: tuple[FieldProblem, ...]

    @property
    def eligible(self) -> bool:
        return not self.reasons


def candidates(application: Application, tenant: Tenant) -> tuple[Candidate, ...]:
    """One for each account at a wanted partner, and one for each wanted partner without an account."""
    accounts = [each for each in tenant.partners if application.wants(each.partner)]
    found = [_candidate(application, account) for account in accounts]
    reached = {account.partner for account in accounts}
    named = () if application.target_partners == ALL else dict.fromkeys(application.target_partners)
    return (*found, *(_stranger(partner) for partner in named if partner not in reached))


def _candidate(application: Application, account: PartnerAccount) -> Candidate:
    return Candidate(account.partner, account.credential, tuple(_reasons(application, account)))


def _stranger(partner: str) -> Candidate:
    if partner in PARTNERS:
        reason = _reason(partner, "/targetPartners", "no-credential", "the tenant has no account at this partner")
    else:
        reason = _reason(partner, "/targetPartners", "partner-unknown", "there is no partner of this name")
    return Candidate(partner, None, (reason,))


def _reasons(application: Application, account: PartnerAccount) -> Iterator[FieldProblem]:
    name = account.partner
    if not account.enabled:
        yield _reason(name, "/targetPartners", "partner-disabled", "the tenant's account at this partner is disabled")
    if account.mode != application.mode:
        yield _reason(name, "/mode", "mode-mismatch", f"the credential at this partner is for {account.mode} only")
    if not application.consents_to(name):
        yield _reason(name, "/consents", "consent-missing", "no consent to share the application with this partner")
    if name not in PARTNERS:
        yield _reason(name, "/targetPartners", "partner-unknown", "there is no partner of this name")
        return
    try:
        yield from PARTNERS[name].check(application, account.options)
    except ValueError:
        yield _reason(name, "/targetPartners", "account-misconfigured", "the options of the tenant's account are wrong")


def _reason(partner: str, pointer: str, code: str, message: str) -> FieldProblem:
    return FieldProblem(pointer=pointer, code=code, message=message, phase="partner", partner=partner)
