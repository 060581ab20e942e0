"""The canonical application as the lender's, and the way back from its element paths to our fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from lendrail.contracts.application import Application
from lendrail.contracts.application_parts import Business, Owner
from lendrail.contracts.terms import FieldProblem, Money, Term
from lendrail.partners.fields import Convert, Field, Unfit, problem, translate, word
from lendrail.partners.forms import amount_limits
from lendrail.partners.soap_lender import profile
from lendrail.partners.soap_lender.profile import NAME, Options

_MONTHS = {"months": 1, "years": 12}


def build(application: Application, options: Options) -> tuple[dict[str, Any], list[FieldProblem]]:
    """Its `Application` element, and everything that keeps the partner from taking it."""
    built, problems = translate(_application(options), application, NAME)
    built["Currency"] = options.currency
    address, more = _address(application)
    built.setdefault("Business", {})["Address"] = address
    persons = [translate(PERSON, each, NAME, f"/owners/{at}") for at, each in enumerate(application.owners)]
    loans = [
        translate(_loan(options), each, NAME, f"/existingLoans/{at}")
        for at, each in enumerate(application.existing_loans)
    ]
    built["Persons"] = {"Person": [person for person, _ in persons]}
    if loans:
        built["ExistingLoans"] = {"ExistingLoan": [loan for loan, _ in loans]}
    problems += more + [each for _, found in (*persons, *loans) for each in found]
    return built, [*_limits(application, options), *problems]


def _limits(application: Application, options: Options) -> Iterator[FieldProblem]:
    """What the partner takes at all."""
    if application.business.country != options.country:
        yield problem(NAME, "/business/country", "country", f"this partner finances businesses in {options.country}")
    if not application.owners:
        yield problem(NAME, "/owners", "missing", "at least one person is required by this partner")
    if application.quotation_only:
        yield problem(NAME, "/quotationOnly", "not-supported", "this partner has no quotation without an application")
    yield from amount_limits(NAME, application, options.minimum_amount, options.maximum_amount)


def _address(application: Application) -> tuple[dict[str, Any], list[FieldProblem]]:
    used = application.business.address()
    if used is None:
        return {}, [problem(NAME, "/business/addresses", "missing", "is required by this partner")]
    at = next(index for index, each in enumerate(application.business.addresses) if each is used)
    return translate(ADDRESS, used, NAME, f"/business/addresses/{at}")


def at_most(longest: int) -> Convert:
    def convert(value: str) -> str:
        if len(value) > longest:
            raise Unfit("too-long", f"must have at most {longest} characters for this partner")
        return value

    return convert


def _money(options: Options) -> Convert:
    def convert(value: Money) -> str:
        if value.currency != options.currency:
            raise Unfit("currency", f"must be in {options.currency} for this partner")
        return format(value.amount, "f")

    return convert


def _months(term: Term) -> int:
    if term.unit not in _MONTHS:
        raise Unfit("unit", "must be in months or years for this partner")
    return term.value * _MONTHS[term.unit]


def _percent(value: Decimal) -> str:
    return format(value, "f")


def _roles(owner: Owner) -> dict[str, Any]:
    return {"Role": [profile.ROLES[each] for each in owner.roles] or ["Owner"]}


def _registrations(business: Business) -> dict[str, Any] | None:
    known = [
        {"Scheme": each.scheme.upper(), "Country": each.country, "Number": each.number.reveal()}
        for each in business.registrations
    ]
    return {"Registration": known} if known else None


def _references(application: Application) -> dict[str, Any] | None:
    known = [
        {"System": each.system, "Kind": each.kind, "Value": each.value} for each in application.external_references
    ]
    return {"CustomersReference": known} if known else None


def _tax_number(owner: Owner) -> Any:
    return owner.ssn or owner.tax_number


def _phone(owner: Owner) -> Any:
    return owner.mobile_phone or owner.home_phone or owner.work_phone


ADDRESS = (
    Field("Line1", "line1", at_most(100), required=True),
    Field("Line2", "line2", at_most(100)),
    Field("City", "city", at_most(60), required=True),
    Field("Region", "region", at_most(60)),
    Field("PostalCode", "postal_code"),
    Field("Country", "country"),
)
PERSON = (
    Field("FirstName", "first_name", at_most(100), required=True),
    Field("MiddleName", "middle_name", at_most(100)),
    Field("LastName", "last_name", at_most(100), required=True),
    Field("Roles", "roles", get=_roles),
    Field("BirthDate", "birth_date", required=True),
    Field("TaxNumber", "ssn", get=_tax_number),
    Field("Email", "email", at_most(200)),
    Field("Phone", "mobile_phone", get=_phone),
    Field("OwnershipPercent", "ownership_percent", _percent),
    Field("Address", "address", required=True, fields=ADDRESS),
)
INDUSTRY = (
    Field("Naics", "naics"),
    Field("Anzsic", "anzsic"),
    Field("Sic", "sic"),
    Field("Description", "description", at_most(500)),
)
BUSINESS = (
    Field("LegalName", "legal_name", required=True),
    Field("TradingName", "trading_name"),
    Field("EntityType", "entity_type", word(profile.ENTITY_TYPES, "entity type"), required=True),
    Field("Country", "country"),
    Field("Registrations", "registrations", get=_registrations),
    Field("Industry", "industry", fields=INDUSTRY),
    Field("StartDate", "start_date", str),
    Field("Phone", "phone"),
    Field("Email", "email", at_most(200)),
    Field("Website", "website"),
    Field("Employees", "employees"),
)


def _loan(options: Options) -> tuple[Field, ...]:
    return (
        Field("Lender", "lender"),
        Field("Balance", "balance", _money(options)),
        Field("Payment", "payment", _money(options)),
        Field("PaymentFrequency", "payment_frequency", word(profile.FREQUENCIES, "frequency")),
    )


def _application(options: Options) -> tuple[Field, ...]:
    money = _money(options)
    financials = (
        Field("AnnualRevenue", "annual_revenue", money),
        Field("MonthlyRevenue", "monthly_revenue", money),
        Field("AnnualProfit", "annual_profit", money),
        Field("TotalAssets", "total_assets", money),
        Field("TotalLiabilities", "total_liabilities", money),
    )
    wish = "requested_finance."
    return (
        Field("Product", wish + "product", word(profile.PRODUCTS, "product")),
        Field("Amount", wish + "amount", money),
        Field("TermMonths", wish + "term", _months),
        Field("Purpose", wish + "purpose", word(profile.PURPOSES, "purpose")),
        Field("PurposeDescription", wish + "purpose_description", at_most(500)),
        Field("RepaymentFrequency", wish + "repayment_frequency", word(profile.FREQUENCIES, "frequency")),
        Field("Business", "business", fields=BUSINESS),
        Field("Financials", "financials", fields=financials),
        Field("CustomersReferences", "external_references", get=_references),
        Field("Notes", "notes", at_most(2000)),
    )


_LISTS = {"Persons/Person": "/owners", "ExistingLoans/ExistingLoan": "/existingLoans"}


def _paths(fields: Iterable[Field], at: str, name: str) -> Iterator[tuple[str, str]]:
    for each in fields:
        yield name + each.name, each.pointer(at)
        yield from _paths(each.fields, each.pointer(at), f"{name}{each.name}/")


_SINGLE = {
    **dict(_paths(_application(Options()), "", "")),
    **{f"Business/Address/{each.name}": "/business/addresses" for each in ADDRESS},
    "Business/Address": "/business/addresses",
    "Persons": "/owners",
    "ExistingLoans": "/existingLoans",
    "Currency": "/requestedFinance/amount/currency",
}
_INSIDE = {
    "Persons/Person": dict(_paths(PERSON, "", "")),
    "ExistingLoans/ExistingLoan": dict(_paths(_loan(Options()), "", "")),
}


def pointer_of(path: str) -> str:
    """Where the applicant mends what stands at `path`, such as `Application/Persons/Person[2]/Address/City`; of an
    unknown element the nearest known one above it, at last the whole application.
    """
    steps = re.fullmatch(r"Application/(Persons/Person|ExistingLoans/ExistingLoan)\[([1-9][0-9]{0,2})\](/.*)?", path)
    if steps:
        at = f"{_LISTS[steps[1]]}/{int(steps[2]) - 1}"
        return at + _nearest(_INSIDE[steps[1]].get, (steps[3] or "").strip("/"))
    return _nearest(_SINGLE.get, path.removeprefix("Application").strip("/"))


def _nearest(known: Callable[[str], str | None], path: str) -> str:
    while path:
        if (found := known(path)) is not None:
            return found
        path = path.rpartition("/")[0]
    return ""
