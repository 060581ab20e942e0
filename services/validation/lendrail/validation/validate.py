"""The three phases put together: everything that can be said of an application, at once. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from lendrail.contracts.application import Application
from lendrail.contracts.problems import problems_of, unknown_fields
from lendrail.contracts.terms import FieldProblem
from lendrail.runtime.directory import Tenant
from lendrail.validation.eligibility import Candidate, candidates
from lendrail.validation.rules import backend, problem

TENANT_UNKNOWN = problem("", "tenant-unknown", "the tenant does not exist or exists no more")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules need to know and the application does not say."""

    tenant: Tenant | None
    received_at: dt.datetime
    earlier: str | None = None
    """The id of a recent application of the tenant for the same wish."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files that were uploaded for the application: id to SHA-256."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`problems` are those of the application itself; what keeps it from one partner stands with that candidate."""

    problems: tuple[FieldProblem, ...]
    candidates: tuple[Candidate, ...] = ()

    @property
    def sound(self) -> bool:
        return not self.problems

    def everything(self) -> tuple[FieldProblem, ...]:
        """All that has to be put right, partners' wishes included, so that one correction is enough."""
        return (*self.problems, *(reason for each in self.candidates for reason in each.reasons))


def read(body: Any) -> tuple[Application | None, list[FieldProblem]]:
    """The frontend phase for JSON that nobody checked yet: the application if it fits the schema, and every problem."""
    unknown = [
        FieldProblem(pointer=pointer, code="unknown_field", message="is not a field of the application")
        for pointer in unknown_fields(Application, body)
    ]
    try:
        return Application.model_validate(body), unknown
    except ValidationError as error:
        return None, problems_of(error) + unknown


def validate(application: Application | None, handed_over: tuple[FieldProblem, ...], facts: Facts) -> Verdict:
    """`handed_over` is what the frontend phase found; the other phases need an application that fits the schema."""
    if facts.tenant is None:
        return Verdict((*handed_over, TENANT_UNKNOWN))
    if application is None:
        return Verdict(handed_over)
    found = [*handed_over, *backend(application, facts.received_at, facts.files)]
    if application.mode != facts.tenant.mode:
        message = f"the tenant is for {facts.tenant.mode} applications only"
        found.append(problem("/mode", "mode-crossing", message))
    if facts.earlier is not None:
        message = f"the same business or person asked for the same amount and product in application {facts.earlier}"
        found.append(problem("", "duplicate", message))
    return Verdict(_once(found), candidates(application, facts.tenant))


def _once(problems: list[FieldProblem]) -> tuple[FieldProblem, ...]:
    """Without those that the door has told already."""
    return tuple({(each.pointer, each.code): each for each in reversed(problems)}.values())[::-1]
