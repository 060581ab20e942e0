"""What partners ask of a business that an application may say in more than one way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lendrail.contracts.application import Application
from lendrail.contracts.application_words import RegistrationScheme
from lendrail.contracts.terms import Money


def registered(*schemes: RegistrationScheme, country: str | None = None) -> Callable[[Application], Any]:
    """The number in the first of `schemes` that the business has (in `country`, where one is named)."""

    def get(application: Application) -> Any:
        known = [each for each in application.business.registrations if country in (None, each.country)]
        return next((each.number for scheme in schemes for each in known if each.scheme == scheme), None)

    return get


def known_as(application: Application) -> Any:
    """The name over its door, else the one in the register."""
    return application.business.trading_name or application.business.legal_name


def monthly_revenue(application: Application) -> Money | None:
    """As stated, else a twelfth of the year's."""
    stated = application.financials
    if stated is None or stated.annual_revenue is None or stated.monthly_revenue:
        return stated.monthly_revenue if stated else None
    return Money(amount=stated.annual_revenue.amount / 12, currency=stated.annual_revenue.currency)
