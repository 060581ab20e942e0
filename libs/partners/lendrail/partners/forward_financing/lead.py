"""The canonical application as Forward Financing's lead: one table per group of its fields."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from lendrail.contracts.application import Application
from lendrail.contracts.application_parts import ExistingLoan, Industry, Owner
from lendrail.contracts.application_words import OwnerRole, RegistrationScheme
from lendrail.contracts.terms import FieldProblem, Money
from lendrail.partners.business import known_as, monthly_revenue, registered
from lendrail.partners.fields import (
    Convert,
    Field,
    Unfit,
    amount_in,
    cut,
    matching,
    number,
    pointers,
    problem,
    then,
    translate,
    us_phone,
    us_state,
    us_zip,
    word,
)
from lendrail.partners.forms import ADDRESS as MAIN_ADDRESS
from lendrail.partners.forms import amount_limits
from lendrail.partners.forward_financing import vocabularies as words
from lendrail.partners.forward_financing.profile import BUSINESS_DAYS, LONGEST_NOTES, NAME, Options


def build(application: Application, options: Options) -> tuple[dict[str, Any], list[FieldProblem]]:
    """The lead without our reference, and everything that keeps the partner from taking it."""
    contacts = [translate(CONTACT, owner, NAME, f"/owners/{index}") for index, owner in _contacts(application)]
    account, account_problems = translate(_account(options), application, NAME)
    address, address_problems = _business_address(application)
    wish, wish_problems = translate(APPLICATION, application, NAME)
    lead = {
        "contacts_attributes": [contact for contact, _ in contacts],
        "account_attributes": account | address,
        "application_attributes": wish,
    }
    problems = [*_limits(application, options), *(each for _, found in contacts for each in found)]
    problems += account_problems + address_problems + wish_problems
    if application.existing_loans:
        loan, loan_problems = translate(LOAN, application.existing_loans[0], NAME, "/existingLoans/0")
        lead["loan_attributes"] = loan
        problems += loan_problems
    return lead, problems


def _business_address(application: Application) -> tuple[dict[str, Any], list[FieldProblem]]:
    if (place := MAIN_ADDRESS.find(application)) is None:
        return {}, []
    address, problems = translate(ADDRESS, place[1], NAME, place[0])
    return {"current_address_attributes": address}, problems


def _limits(application: Application, options: Options) -> Iterator[FieldProblem]:
    """What the partner takes at all."""
    if application.business.country != "US":
        yield problem(NAME, "/business/country", "country", "this partner finances United States businesses only")
    if not _contacts(application):
        yield problem(NAME, "/owners", "missing", "at least one owner is required by this partner")
    if application.quotation_only:
        yield problem(NAME, "/quotationOnly", "not-supported", "this partner has no quotation without an application")
    yield from amount_limits(NAME, application, options.minimum_amount, options.maximum_amount)


def _contacts(application: Application) -> list[tuple[int, Owner]]:
    """One contact for each owner; directors and guarantors without a share are none."""
    return [(index, each) for index, each in enumerate(application.owners) if OwnerRole.OWNER in each.roles]


_dollars = amount_in("USD", "US dollars")
_dollar_number = then(_dollars, number)


def _capital(value: Money) -> str:
    """The partner takes this one amount as a string."""
    amount = _dollars(value)
    return f"{amount:.0f}" if amount == int(amount) else f"{amount:.2f}"


def _daily_payment(loan: ExistingLoan) -> int | float | None:
    """The payment spread over its business days; unknown where the frequency does not tell."""
    days = BUSINESS_DAYS.get(loan.payment_frequency or "")
    return None if loan.payment is None or days is None else number(_dollars(loan.payment) / days)


def _revenue_band(value: Money) -> str:
    amount = _dollars(value)
    return next((band for bound, band in words.MONTHLY_REVENUES if amount < bound), words.HIGHEST_MONTHLY_REVENUE)


def _industry(options: Options) -> Convert:
    """Their word that the applicant gave, else the row of its NAICS code. The older revision takes any words."""

    def convert(industry: Industry) -> str:
        own = industry.description.reveal() if industry.description else None
        if own and (own in words.INDUSTRIES or not options.closed_words):
            return own
        if industry.naics is None:
            raise Unfit("missing", "add the NAICS code of the business, or name one of this partner's industries")
        for length in range(len(industry.naics), 1, -1):
            if found := words.INDUSTRY_OF_NAICS.get(industry.naics[:length]):
                return found
        raise Unfit("not-supported", "no industry of this partner has this NAICS code; add digits or name one")

    return convert


def _applicant_is_owner(application: Application) -> bool | None:
    applicants = [each for each in application.owners if each.applicant]
    return any(OwnerRole.OWNER in each.roles for each in applicants) if applicants else None


def _share(place: int) -> Any:
    def get(application: Application) -> Decimal | None:
        owners = _contacts(application)
        return owners[place][1].ownership_percent if place < len(owners) else None

    return get


ADDRESS = (
    Field("street1", "line1", required=True),
    Field("street2", "line2"),
    Field("city", "city"),
    Field("state", "region", us_state, required=True),
    Field("zip", "postal_code", us_zip, required=True),
)
CONTACT = (
    Field("first_name", "first_name", required=True),
    Field("last_name", "last_name", required=True),
    Field("email", "email"),
    Field("title", "title"),
    Field("born_on", "birth_date"),
    Field("home_phone", "home_phone", us_phone),
    Field("cell_phone", "mobile_phone", us_phone),
    Field("ssn", "ssn", required=True),
    Field("ownership_date", "owner_since"),
    Field("current_address_attributes", "address", required=True, fields=ADDRESS),
)
LOAN = (
    Field("company_name", "lender"),
    Field("daily_payment_amount", "payment", get=_daily_payment),
    Field("balance", "balance", _dollar_number),
)
APPLICATION = (
    Field("has_current_loan", "existing_loans", bool),
    Field("applicant_is_owner", "owners", get=_applicant_is_owner),
    Field("loan_use", "requested_finance.purpose", word(words.LOAN_USES, "purpose")),
    Field("capital_needed", "requested_finance.amount", _capital),
    Field("owner_1_percent_ownership", "owners", number, get=_share(0)),
    Field("owner_2_percent_ownership", "owners", number, get=_share(1)),
    Field("notes", "notes", cut(LONGEST_NOTES)),
)


def _account(options: Options) -> tuple[Field, ...]:
    types = words.ENTITY_TYPES if options.closed_words else words.CLASSIC_ENTITY_TYPES
    nine_digits = matching("[0-9]{9}", "must be an EIN of nine digits")
    return (
        Field("entity_type", "business.entity_type", word(types, "entity type"), required=True),
        Field("name", "business.trading_name", get=known_as),
        Field("legal_name", "business.legal_name"),
        Field("started_on", "business.start_date", str, required=True),
        Field("phone", "business.phone", us_phone, required=True),
        Field("email", "business.email"),
        Field("website", "business.website"),
        Field("fein", "business.registrations", nine_digits, get=registered(RegistrationScheme.EIN)),
        Field("monthly_revenue", "financials.monthly_revenue", _revenue_band, get=monthly_revenue),
        Field(
            "industry_name",
            "business.industry.naics",
            _industry(options),
            get=lambda it: it.business.industry or Industry(),
        ),
    )


def _pointers() -> dict[str, str]:
    """Where the applicant mends what the partner complains of; names that two groups share lead nowhere."""
    groups = {"contacts_attributes": "/owners", "account_attributes": "/business"}
    groups |= {"loan_attributes": "/existingLoans/0", "application_attributes": "/requestedFinance"}
    contact = dict.fromkeys(pointers(CONTACT), "/owners")
    account = pointers(_account(Options()))
    shared = contact.keys() & account.keys()
    single = {name: at for name, at in (contact | account).items() if name not in shared}
    return groups | single | pointers(LOAN, "/existingLoans/0") | pointers(APPLICATION)


POINTERS = _pointers()
