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
    gate: PartnerAccount | None = None
    """The account at a registry that must clear the application first."""

    @property
    def eligible(self) -> bool:
        return not self.reasons


def candidates(application: Application, tenant: Tenant) -> tuple[Candidate, ...]:
    """One for each account at a wanted partner, one for each wanted partner without an account, and one for each
    registry that one of them needs. Accounts that only serve others (registries, mails beside an API) are not asked.
    """
    serving = {each.registry for each in tenant.partners} | {each.supplement for each in tenant.partners}
    accounts = [each for each in tenant.partners if application.wants(each.partner) and each.credential not in serving]
    found = [_candidate(application, account, tenant) for account in accounts]
    reached = {account.partner for account in accounts}
    named = () if application.target_partners == ALL else dict.fromkeys(application.target_partners)
    registries = {each.gate.credential: each.gate for each in found if each.gate is not None}
    return (
        *found,
        *(Candidate(gate.partner, gate.credential, ()) for gate in registries.values()),
        *(_stranger(partner) for partner in named if partner not in reached),
    )


def _candidate(application: Application, account: PartnerAccount, tenant: Tenant) -> Candidate:
    """With its gate, where the account names a registry and the application has papers that one can know."""
    reasons = tuple(_reasons(application, account))
    if reasons or account.registry is None or not (application.invoices or application.trade_documents):
        return Candidate(account.partner, account.credential, reasons)
    registry = next((each for each in tenant.partners if each.credential == account.registry), None)
    if registry is None or registry.partner not in PARTNERS or PARTNERS[registry.partner].kind != "registry":
        wrong = reason(account.partner, "/targetPartners", "registry-misconfigured", "its registry is not set up")
        return Candidate(account.partner, account.credential, (wrong,))
    hindered = tuple(_reasons(application, registry))
    return Candidate(account.partner, account.credential, hindered, None if hindered else registry)


def _stranger(partner: str) -> Candidate:
    if partner in PARTNERS:
        why = reason(partner, "/targetPartners", "no-credential", "the tenant has no account at this partner")
    else:
        why = reason(partner, "/targetPartners", "partner-unknown", "there is no partner of this name")
    return Candidate(partner, None, (why,))


def _reasons(application: Application, account: PartnerAccount) -> Iterator[FieldProblem]:
    name = account.partner
    if not account.enabled:
        yield reason(name, "/targetPartners", "partner-disabled", "the tenant's account at this partner is disabled")
    if account.mode != application.mode:
        yield reason(name, "/mode", "mode-mismatch", f"the credential at this partner is for {account.mode} only")
    lends = name not in PARTNERS or PARTNERS[name].kind == "lender"
    if lends and not application.consents_to(name):
        yield reason(name, "/consents", "consent-missing", "no consent to share the application with this partner")
    if name not in PARTNERS:
        yield reason(name, "/targetPartners", "partner-unknown", "there is no partner of this name")
        return
    try:
        yield from PARTNERS[name].check(application, account.options)
    except ValueError:
        yield reason(name, "/targetPartners", "account-misconfigured", "the options of the tenant's account are wrong")


def reason(partner: str, pointer: str, code: str, message: str) -> FieldProblem:
    return FieldProblem(pointer=pointer, code=code, message=message, phase="partner", partner=partner)
