"""The canonical application as the parameters of an instant decision."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from lendrail.contracts.application import Application
from lendrail.contracts.application_parts import Industry, Owner
from lendrail.contracts.application_words import RegistrationScheme
from lendrail.contracts.terms import FieldProblem, Money
from lendrail.partners.fields import Convert, Field, Unfit, matching, pointers, problem, translate
from lendrail.partners.industries import partners_word
from lendrail.partners.optimum_finance.profile import CURRENCY, NAME, PRODUCTS, SECTOR, Options
from lendrail.partners.people import any_phone, applicant


def build(application: Application, options: Options, today: dt.date) -> tuple[dict[str, Any], list[FieldProblem]]:
    """The body, and everything that keeps the partner from taking it. A quotation is asked for without a person."""
    body, problems = translate(_company(options, today), application, NAME)
    if not application.quotation_only and (at := applicant(application)) is not None:
        contact, contact_problems = translate(CONTACT, application.owners[at], NAME, f"/owners/{at}")
        body, problems = body | contact, problems + contact_problems
    return body, [*_limits(application), *problems]


def _limits(application: Application) -> Iterator[FieldProblem]:
    product = application.requested_finance.product
    if application.business.country != "GB":
        yield problem(NAME, "/business/country", "country", "this partner finances United Kingdom businesses only")
    if product is not None and product not in PRODUCTS:
        message = "this partner finances invoices only"
        yield problem(NAME, "/requestedFinance/product", "not-supported", message)
    if not application.quotation_only and not application.owners:
        yield problem(NAME, "/owners", "missing", "this partner needs a person to call; only a quotation does without")


def _number(application: Application) -> Any:
    numbers = (each for each in application.business.registrations if each.scheme == RegistrationScheme.COMPANY_NUMBER)
    return next((each.number for each in numbers if each.country == "GB"), None)


def _company_number(value: str) -> str:
    """Text: it may begin with zeros, or with letters as in Scotland and Northern Ireland."""
    text: str = matching("[A-Z0-9]{8}", "must be a company number of eight characters, zeros before it included")(
        value.upper()
    )
    return text


def _whole_pounds(value: Money) -> int:
    if value.currency != CURRENCY:
        raise Unfit("currency", "must be in pounds sterling for this partner")
    return int(value.amount)


def _sector(options: Options) -> Convert:
    def convert(industry: Industry) -> str:
        if word := partners_word(industry, options.sectors, (SECTOR,)):
            return word
        raise Unfit("not-supported", "no sector of this partner is known for this industry; an operator can map one")

    return convert


def _years(today: dt.date) -> Convert:
    def convert(start: dt.date) -> int:
        return max(0, today.year - start.year - ((today.month, today.day) < (start.month, start.day)))

    return convert


def _full_name(owner: Owner) -> str:
    return f"{owner.first_name.reveal()} {owner.last_name.reveal()}"


CONTACT = (
    Field("contactName", "last_name", get=_full_name, required=True),
    Field("contactNumber", "mobile_phone", get=any_phone, required=True),
    Field("contactEmail", "email", required=True),
)


def _company(options: Options, today: dt.date) -> tuple[Field, ...]:
    return (
        Field("companyNumber", "business.registrations", _company_number, get=_number, required=True),
        Field("sector", "business.industry", _sector(options), required=True),
        Field("turnover", "financials.expected_annual_revenue", _whole_pounds, required=True),
        Field("yearsTrading", "business.start_date", _years(today), required=True),
        Field("expectedCustomers", "financials.customers", required=True),
        Field("phoenix", "business.phoenix"),
        Field("quotationOnly", "quotation_only"),
    )


POINTERS = dict.fromkeys(pointers(CONTACT), "/owners") | pointers(_company(Options(), dt.date.min))
"""Where the applicant mends what the partner complains of."""
