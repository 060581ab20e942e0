"""Australian Business Numbers: the rule of their digits, what the register is asked, what its word changes. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lendrail.contracts.application import Application
from lendrail.contracts.application_rejected import ApplicationRejected
from lendrail.contracts.application_validated import ApplicationValidated, Check
from lendrail.contracts.application_words import RegistrationScheme
from lendrail.contracts.terms import FieldProblem
from lendrail.partners.abn_lookup import Asked, Finding

NAME = "abn"
COUNTRY = "AU"
WEIGHTS = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
MODULUS = 89
MESSAGES = {
    "abn-not-found": "the Australian Business Register has no such number",
    "abn-cancelled": "this number was cancelled at the Australian Business Register",
}
Fact = ApplicationValidated | ApplicationRejected


@dataclass(frozen=True, slots=True)
class Subject:
    """What the register is asked about an application, and where the number stands in it."""

    pointer: str
    asked: Asked


def digits_of(number: str) -> str | None:
    """The eleven digits of a sound number, else None; spaces and hyphens between them do not count.

    One is taken from the first digit, and the sum of all by their weights is a multiple of 89 (public rule of the
    register). 89 is a prime larger than nine times any weight's distance from another, so one wrong digit is always
    found, and so are any two that changed places.
    """
    digits = re.sub(r"[ \u00a0-]", "", number)
    if not re.fullmatch(r"[1-9][0-9]{10}", digits):
        return None
    total = sum(int(digit) * weight for digit, weight in zip(digits, WEIGHTS, strict=True)) - WEIGHTS[0]
    return None if total % MODULUS else digits


def problems(application: Application) -> Iterator[FieldProblem]:
    """Numbers that no business can have, wherever the business is."""
    for pointer, number in _numbers(application):
        if digits_of(number) is None:
            message = "must be an ABN: eleven digits whose check is right"
            yield FieldProblem(pointer=pointer, code="abn-invalid", message=message, phase="backend")


def subject(application: Application | None) -> Subject | None:
    """None: not an Australian business, or one without a sound number."""
    if application is None or application.business.country != COUNTRY:
        return None
    business = application.business
    names = (business.legal_name, *((business.trading_name,) if business.trading_name else ()))
    for pointer, number in _numbers(application):
        if (digits := digits_of(number)) is not None:
            return Subject(pointer, Asked(abn=digits, names=tuple(each.reveal() for each in names)))
    return None


def _numbers(application: Application) -> Iterator[tuple[str, str]]:
    for at, each in enumerate(application.business.registrations):
        if each.scheme == RegistrationScheme.ABN:
            yield f"/business/registrations/{at}/number", each.number.reveal()


def concluded(fact: Fact, pointer: str, finding: Finding, checked_at: dt.datetime) -> Fact:
    """What the rules stated, with the register's word added."""
    if finding.result != "rejected":
        return checked(fact, finding, checked_at)
    wrong = FieldProblem(pointer=pointer, code=finding.code, message=MESSAGES[finding.code], phase="backend")
    if isinstance(fact, ApplicationRejected):
        return fact.model_copy(update={"problems": (*fact.problems, wrong)})
    return ApplicationRejected(
        application_id=fact.application_id,
        tenant_id=fact.tenant_id,
        mode=fact.mode,
        revision=fact.revision,
        received_at=fact.received_at,
        references=fact.application.external_references,
        problems=(wrong, *(reason for each in fact.ineligible for reason in each.reasons)),
    )


def checked(fact: Fact, finding: Finding, checked_at: dt.datetime) -> Fact:
    """Only what is sound carries checks: what is not goes nowhere."""
    if isinstance(fact, ApplicationRejected) or finding.result == "rejected":
        return fact
    check = Check(name=NAME, result=finding.result, code=finding.code, checked_at=checked_at)
    return fact.model_copy(update={"checks": (*fact.checks, check)})
