"""What a partner is told of one application, as tables: which fields it gets from which part, and what it takes at all.

From the same rows follow the body of the request, everything that `check` says, the pointers to which a refusal leads
back, and the fields that the partner is known to need.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic.alias_generators import to_camel

from lendrail.contracts.application import Application
from lendrail.contracts.terms import FieldProblem, Model
from lendrail.partners.fields import Field, pointers, problem, translate
from lendrail.partners.partner import Order
from lendrail.partners.people import applicant

_Options = TypeVar("_Options", bound=Model)
Found = tuple[str, Any] | None
"""A pointer and what stands there."""


@dataclass(frozen=True)
class Part:
    """A part of the application that a table of fields is filled from; without it the table stays empty."""

    at: str
    """Where the applicant mends it, whichever of several it is."""
    find: Callable[[Application], Found]
    needed_at: str = ""
    """A pointer to the first of several."""


def _applicant(application: Application) -> Found:
    place = applicant(application)
    return None if place is None else (f"/owners/{place}", application.owners[place])


def _address(application: Application) -> Found:
    used, known = application.business.address(), application.business.addresses
    places = (f"/business/addresses/{place}" for place, each in enumerate(known) if each is used)
    return None if used is None else (next(places), used)


Tables = Mapping[Part, tuple[Field, ...]]
WHOLE = Part("", lambda application: ("", application))
APPLICANT = Part("/owners", _applicant, "/owners/0")
ADDRESS = Part("/business/addresses", _address, "/business/addresses/0")
EQUIPMENT = Part("/equipment", lambda it: ("/equipment/0", it.equipment[0]) if it.equipment else None, "/equipment/0")
"""The first piece of it."""


@dataclass(frozen=True)
class Rule:
    """What keeps an application away for which `broken` is true."""

    pointer: str
    code: str
    message: str
    broken: Callable[[Application], bool]


def amount_limits(
    partner: str, application: Application, least: Decimal | None, most: Decimal | None
) -> Iterator[FieldProblem]:
    """What a tenant agreed with a partner that publishes no limits, in the partner's currency."""
    amount, at = application.requested_finance.amount.amount, "/requestedFinance/amount/amount"
    if least is not None and amount < least:
        yield problem(partner, at, "amount-too-low", f"must be at least {least} for this partner")
    if most is not None and amount > most:
        yield problem(partner, at, "amount-too-high", f"must be at most {most} for this partner")


def only_in(country: str, message: str) -> Rule:
    return Rule("/business/country", "country", message, lambda it: it.business.country != country)


def only_for(products: Collection[str], message: str) -> Rule:
    """A wish that names no product may be for any of them."""
    return Rule(
        "/requestedFinance/product",
        "not-supported",
        message,
        lambda it: it.requested_finance.product not in (None, *products),
    )


def somebody(message: str, quotations: bool = True) -> Rule:
    """There must be an owner; of `quotations` too, which else do without."""
    return Rule("/owners", "missing", message, lambda it: not it.owners and (quotations or not it.quotation_only))


def no_quotation(message: str = "this partner has no quotation without an application") -> Rule:
    return Rule("/quotationOnly", "not-supported", message, lambda it: it.quotation_only)


@dataclass(frozen=True)
class Form(Generic[_Options]):
    """One flat object for `partner` by its `tables`, which may depend on a tenant's options and the day."""

    partner: str
    options: type[_Options]
    tables: Tables | Callable[[_Options, dt.date], Tables]
    rules: tuple[Rule, ...] = ()

    def check(self, application: Application, options: Mapping[str, Any]) -> list[FieldProblem]:
        return self._filled(application, options, dt.date.min)[1]

    def body(self, order: Order) -> dict[str, Any]:
        """The same on whatever day it is made: ages count to the day of the order."""
        return self._filled(order.application, order.options, order.planned_at.date())[0]

    @cached_property
    def pointers(self) -> dict[str, str]:
        """Where the applicant mends what the partner complains of, by its names of the fields."""
        found: dict[str, str] = {}
        for part, fields in self._plain:
            found |= dict.fromkeys(pointers(fields), part.at) if part.at else pointers(fields)
        return found

    @property
    def required(self) -> tuple[str, ...]:
        """Pointers to what may be absent from an application, but not from one for this partner."""
        found = [each.pointer for each in self.rules if each.code == "missing"]
        for part, fields in self._plain:
            for field in (each for each in fields if each.required):
                above = field.path.split(".")[0]
                whole = part is WHOLE and above != field.path and not Application.model_fields[above].is_required()
                found += [f"/{to_camel(above)}"] if whole else []
                found.append(field.pointer(part.needed_at))
        return tuple(sorted(set(found)))

    @property
    def _plain(self) -> Iterable[tuple[Part, tuple[Field, ...]]]:
        """The tables of a tenant that chose nothing: names and pointers are the same for all."""
        return self._on(self.options(), dt.date.min).items()

    def _on(self, options: _Options, today: dt.date) -> Tables:
        return self.tables(options, today) if callable(self.tables) else self.tables

    def _filled(
        self, application: Application, options: Mapping[str, Any], today: dt.date
    ) -> tuple[dict[str, Any], list[FieldProblem]]:
        broken = (each for each in self.rules if each.broken(application))
        problems = [problem(self.partner, each.pointer, each.code, each.message) for each in broken]
        body: dict[str, Any] = {}
        for part, fields in self._on(self.options.model_validate(options), today).items():
            if (place := part.find(application)) is not None:
                built, found = translate(fields, place[1], self.partner, place[0])
                body, problems = body | built, problems + found
        return body, problems
