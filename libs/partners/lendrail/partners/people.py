"""Whom a partner is told to call."""

from __future__ import annotations

from typing import Any

from lendrail.contracts.application import Application
from lendrail.contracts.application_parts import Owner
from lendrail.contracts.application_words import OwnerRole


def applicant(application: Application) -> int | None:
    """Place among the owners of the person who applies, else of the first one; None where there is nobody."""
    people = list(enumerate(application.owners))
    applying = (at for at, each in people if each.applicant or OwnerRole.APPLICANT in each.roles)
    return next(applying, 0 if people else None)


def any_phone(person: Owner) -> Any:
    """The number that reaches a person best."""
    return person.mobile_phone or person.work_phone or person.home_phone


def full_name(person: Owner) -> str:
    return f"{person.first_name.reveal()} {person.last_name.reveal()}"
