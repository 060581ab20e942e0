"""Which partners would take applications as they stand, and what keeps them from the others. Nothing is sent.

The contract speaks first. Then each partner's own check, with the options of the demo tenant's account there. Then
every call of what passed is made: a check that lets pass what cannot be put into words would be a defect of ours.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from lendrail.contracts.application import Application
from lendrail.contracts.problems import problems_of
from lendrail.contracts.terms import FieldProblem
from lendrail.local.accounts import ACCOUNTS
from lendrail.partners import PARTNERS
from lendrail.partners.partner import Order, Partner
from lendrail.runtime.clock import utc_now

OPTIONS = {account.partner: account.options for account in reversed(ACCOUNTS)}
"""Of the first account at each partner."""
Reasons = Counter[tuple[str, str]]
"""Applications by what speaks against them: the pointer of a field and the problem's code."""
MOST = 5
"""Reasons that are shown of each partner."""


@dataclass
class Fit:
    """How one partner fits."""

    takes: int = 0
    reasons: Reasons = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    """Applications that passed the check and could not be put into calls, by kind of error: defects of ours."""


@dataclass
class Fits:
    asked: int = 0
    unsound: int = 0
    """No applications at all: no partner is asked."""
    reasons: Reasons = field(default_factory=Counter)
    """Why they are none."""
    partners: dict[str, Fit] = field(default_factory=dict)


def fits(
    applications: Iterable[Mapping[str, Any]], partners: Mapping[str, Partner] = PARTNERS, *, calls: bool = True
) -> Fits:
    """Ask every partner for every application; without `calls` the checks alone, which is some ten times faster."""
    found = Fits(partners={name: Fit() for name in partners})
    for each in applications:
        found.asked += 1
        try:
            application = Application.model_validate(each)
        except ValidationError as error:
            found.unsound += 1
            found.reasons += _reasons(problems_of(error))
            continue
        for name, partner in partners.items():
            _ask(partner, application, found.partners[name], calls)
    return found


def _ask(partner: Partner, application: Application, fit: Fit, calls: bool) -> None:
    options = OPTIONS.get(partner.name, {})
    if problems := partner.check(application, options):
        fit.reasons += _reasons(problems)
        return
    try:
        if calls:
            partner.create(Order(application=application, reference="fit", options=options, planned_at=utc_now()))
        fit.takes += 1
    except Exception as error:  # counted under its kind alone: its text may quote a person
        fit.broken[type(error).__name__] += 1


def _reasons(problems: Iterable[FieldProblem]) -> Reasons:
    return Counter({(each.pointer, each.code) for each in problems})


def why(reasons: Reasons) -> str:
    """The most frequent reasons with how many applications have them; an application may have several."""
    first = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))[:MOST]
    said = ((f"`{pointer}`" if pointer else "(whole)", code, grouped(number)) for (pointer, code), number in first)
    return ", ".join(f"{at} {code}: {number}" for at, code, number in said)


def grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")
