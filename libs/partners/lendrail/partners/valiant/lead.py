"""The canonical application as a lead: one flat object."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

from lendrail.contracts.application import Application
from lendrail.contracts.application_words import EquipmentCondition, RegistrationScheme
from lendrail.contracts.terms import FieldProblem, Money
from lendrail.partners.fields import Convert, Field, Unfit, matching, pointers, problem, translate
from lendrail.partners.people import any_phone, applicant
from lendrail.partners.valiant.profile import CURRENCY, LONGEST, NAME, Options
from lendrail.partners.valiant.words import industry, one_of


def build(application: Application, options: Options, today: dt.date) -> tuple[dict[str, Any], list[FieldProblem]]:
    """The lead without our reference, and everything that keeps the partner from taking it."""
    lead, problems = translate(_business(options, today), application, NAME)
    problems = [*_limits(application), *problems]
    parts: list[tuple[tuple[Field, ...], Any, str]] = []
    if (person := applicant(application)) is not None:
        parts.append((PERSON, application.owners[person], f"/owners/{person}"))
    if (address := application.business.address()) is not None:
        at = next(index for index, each in enumerate(application.business.addresses) if each is address)
        parts.append((_address(options), address, f"/business/addresses/{at}"))
    if application.equipment:
        parts.append((_equipment(options), application.equipment[0], "/equipment/0"))
    for fields, part, at_part in parts:
        built, found = translate(fields, part, NAME, at_part)
        lead, problems = lead | built, problems + found
    return lead, problems


def _limits(application: Application) -> Iterator[FieldProblem]:
    if application.business.country != "AU":
        yield problem(NAME, "/business/country", "country", "this partner takes Australian businesses only")
    if not application.owners:
        yield problem(NAME, "/owners", "missing", "this partner needs a person to call")
    if application.quotation_only:
        yield problem(NAME, "/quotationOnly", "not-supported", "this partner has no quotation without an application")


def au_phone(value: str) -> str:
    """A landline or mobile number with 0, 61 or +61 before its area digit, or a 1300 or 1800 number."""
    if not re.fullmatch(r"(0|\+?61)[23478][0-9]{8}|1[38]00[0-9]{6}", value):
        raise Unfit("format", "must be an Australian telephone number for this partner")
    return value


def _postcode(value: str) -> int | str:
    """An integer for them; those of the Northern Territory begin with a zero, which an integer would lose."""
    text: str = matching("[0-9]{4}", "must be an Australian postcode of four digits", drop=" ")(value)
    return text if text.startswith("0") else int(text)


def _dollars(value: Money) -> str | None:
    """Amounts are text there and above zero."""
    if value.currency != CURRENCY:
        raise Unfit("currency", "must be in Australian dollars for this partner")
    cents = round(value.amount, 2)
    return f"{cents:.2f}".removesuffix(".00") if cents > 0 else None


def _whole_dollars(value: Money) -> int:
    if _dollars(value) is None or value.amount < 1:
        raise Unfit("amount-too-low", "must be at least one dollar for this partner")
    return int(value.amount)


def _months(today: dt.date) -> Convert:
    def convert(start: dt.date) -> int | None:
        months = (today.year - start.year) * 12 + today.month - start.month - (today.day < start.day)
        return months if months > 0 else None

    return convert


def _abn(application: Application) -> Any:
    registration = application.business.registration(RegistrationScheme.ABN)
    return registration and registration.number


def _monthly_sales(application: Application) -> Money | None:
    """As stated, else a twelfth of the year's."""
    stated = application.financials
    if stated is None or stated.annual_revenue is None or stated.monthly_revenue:
        return stated.monthly_revenue if stated else None
    return Money(amount=stated.annual_revenue.amount / 12, currency=stated.annual_revenue.currency)


def _guarantee(application: Application) -> bool | None:
    said = [each.guarantor for each in application.owners if each.guarantor is not None]
    return any(said) if said else None


def _short(text: str) -> str:
    return text[:LONGEST]


PERSON = (
    Field("first_name", "first_name", required=True),
    Field("last_name", "last_name", required=True),
    Field("phone", "mobile_phone", au_phone, get=any_phone, required=True),
    Field("email", "email", required=True),
)


def _address(options: Options) -> tuple[Field, ...]:
    return (
        Field("state", "region", one_of("australian_state", options)),
        Field("postal_code", "postal_code", _postcode),
    )


def _equipment(options: Options) -> tuple[Field, ...]:
    return (
        Field("equipment_class", "category", one_of("equipment_class", options)),
        Field("new_equipment", "condition", lambda condition: condition == EquipmentCondition.NEW),
    )


def _business(options: Options, today: dt.date) -> tuple[Field, ...]:
    eleven_digits = matching("[0-9]{11}", "must be an ABN of eleven digits", drop=" ")
    money = "financials."
    return (
        Field("company", "business.legal_name"),
        Field("abn", "business.registrations", eleven_digits, get=_abn),
        Field("entity_type", "business.entity_type", one_of("entity_type", options)),
        Field("industry", "business.industry", industry(options)),
        Field("months_trading", "business.start_date", _months(today)),
        Field("franchise", "business.franchise", lambda _: True),
        Field("credit_status", money + "credit_band", one_of("credit_status", options)),
        Field("average_monthly_sales_amount", money + "monthly_revenue", _dollars, get=_monthly_sales),
        Field("invoice_sales", money + "invoices_customers"),
        Field("merchant_sales", money + "monthly_card_sales", lambda sales: sales.amount > 0),
        Field("cloud_accounting", money + "cloud_accounting"),
        Field("accounting_software", money + "accounting_software", one_of("accounting_software", options)),
        Field("tax_up_to_date", money + "taxes_up_to_date"),
        Field("tax_outstanding_amount", money + "taxes_outstanding", _dollars),
        Field("ato_payment_arrangement", money + "tax_payment_plan"),
        Field("previous_default", money + "previous_default"),
        Field("default_liability_amount", money + "default_liability", _dollars),
        Field("legal_action", money + "legal_action"),
        Field("legal_action_description", money + "legal_action_description", _short),
        Field("director_guarantee_available", "owners", get=_guarantee),
        Field("requested_amount", "requested_finance.amount", _whole_dollars),
        Field("loan_purpose", "requested_finance.purpose", one_of("loan_purpose", options)),
        Field("prefers_speed_over_rate", "requested_finance.prefers_speed_over_rate"),
        Field("prefers_redrawable", "requested_finance.wants_redraw"),
        Field("lead_description", "notes", _short),
    )


def _pointers() -> dict[str, str]:
    """Where the applicant mends what the partner complains of."""
    options = Options()
    parts = dict.fromkeys(pointers(PERSON), "/owners") | dict.fromkeys(
        pointers(_address(options)), "/business/addresses"
    )
    return (
        parts | pointers(_business(options, dt.date.min)) | dict.fromkeys(pointers(_equipment(options)), "/equipment")
    )


POINTERS = _pointers()
