"""What an application must look like: one table, walked over the element. Pure.

The first text that is too long is a fault of its own; everything else that is wrong is told at once.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lendrail.sandbox.soap_lender.envelope import SERVICES


class TooLong(Exception):
    def __init__(self, path: str, longest: int) -> None:
        super().__init__(path)
        self.path, self.longest = path, longest


@dataclass(frozen=True, slots=True)
class Wrong:
    path: str
    number: str
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A text of a form, or, with `inside`, an element of elements; `many` may repeat."""

    longest: int = 0
    form: str | None = None
    inside: Mapping[str, "Rule"] = field(default_factory=dict)
    required: bool = False
    many: bool = False


def text(longest: int, required: bool = False) -> Rule:
    return Rule(longest, None, {}, required)


def form(pattern: str, required: bool = False) -> Rule:
    return Rule(0, pattern, {}, required)


def words(names: str, required: bool = False, many: bool = False) -> Rule:
    return Rule(0, "|".join(names.split()), {}, required, many)


def group(required: bool = False, many: bool = False, **inside: Rule) -> Rule:
    return Rule(0, None, inside, required, many)


AMOUNT = r"-?[0-9]{1,15}(\.[0-9]{1,6})?"
DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
PHONE = r"\+?[0-9]{7,15}"
FREQUENCIES = "Daily Weekly Fortnightly SemiMonthly Monthly Quarterly Yearly AtMaturity Other"
ADDRESS = group(
    True,
    Line1=text(100, True),
    Line2=text(100),
    City=text(60, True),
    Region=text(60),
    PostalCode=text(20),
    Country=form("[A-Z]{2}", True),
)
PERSON = group(
    True,
    True,
    FirstName=text(100, True),
    MiddleName=text(100),
    LastName=text(100, True),
    Roles=group(True, Role=words("Owner Director BeneficialOwner Guarantor Signatory Applicant", True, True)),
    BirthDate=form(DATE, True),
    TaxNumber=text(60),
    Email=text(200),
    Phone=form(PHONE),
    OwnershipPercent=form(r"(100(\.0+)?|[0-9]{1,2}(\.[0-9]{1,6})?)"),
    Address=ADDRESS,
)
REGISTRATION = group(True, True, Scheme=text(20, True), Country=form("[A-Z]{2}", True), Number=text(60, True))
BUSINESS = group(
    True,
    LegalName=text(200, True),
    TradingName=text(200),
    EntityType=words(
        "SoleTrader Company PublicCompany Partnership LimitedPartnership Trust NonProfit Cooperative Government Other",
        True,
    ),
    Country=form("[A-Z]{2}", True),
    Registrations=group(Registration=REGISTRATION),
    Industry=group(Naics=text(20), Anzsic=text(20), Sic=text(20), Description=text(500)),
    StartDate=form(DATE),
    Phone=form(PHONE),
    Email=text(200),
    Website=text(500),
    Employees=form("[0-9]{1,9}"),
    Address=ADDRESS,
)
MONEY = form(AMOUNT)
APPLICATION = group(
    True,
    Product=words(
        "TermLoan LineOfCredit Overdraft MerchantAdvance InvoiceFinance EquipmentFinance TradeFinance"
        " PropertyFinance Other"
    ),
    Amount=form(r"(?!0+(\.0+)?$)[0-9]{1,15}(\.[0-9]{1,6})?", True),
    Currency=form("[A-Z]{3}", True),
    TermMonths=form("[1-9][0-9]{0,4}"),
    Purpose=words(
        "WorkingCapital Stock Equipment Vehicle Property Expansion Acquisition Refinance Wages Marketing Taxes Other"
    ),
    PurposeDescription=text(500),
    RepaymentFrequency=words(FREQUENCIES),
    Business=BUSINESS,
    Persons=group(True, Person=PERSON),
    Financials=group(
        AnnualRevenue=MONEY, MonthlyRevenue=MONEY, AnnualProfit=MONEY, TotalAssets=MONEY, TotalLiabilities=MONEY
    ),
    ExistingLoans=group(
        ExistingLoan=group(
            True, True, Lender=text(200, True), Balance=MONEY, Payment=MONEY, PaymentFrequency=words(FREQUENCIES)
        )
    ),
    CustomersReferences=group(
        CustomersReference=group(True, True, System=text(100, True), Kind=text(100, True), Value=text(200, True))
    ),
    Notes=text(2000),
)


def wrong(application: Any, country: str, currency: str) -> list[Wrong]:
    """Everything but lengths. Raises TooLong."""
    found = list(_inside(application, APPLICATION.inside, "Application"))
    given = application.findtext(f"{{{SERVICES}}}Currency")
    where = application.findtext(f"{{{SERVICES}}}Business/{{{SERVICES}}}Country")
    if not found and given != currency:
        found.append(Wrong("Application/Currency", "V-20", f"must be {currency}"))
    if not found and where != country:
        found.append(Wrong("Application/Business/Country", "V-21", f"must be {country}"))
    return found


def _inside(element: Any, rules: Mapping[str, Rule], path: str) -> Iterator[Wrong]:
    counts: dict[str, int] = {}
    order = list(rules)
    last = 0
    for child in element:
        name = str(child.tag).removeprefix(f"{{{SERVICES}}}")
        at = f"{path}/{name}"
        rule = rules.get(name)
        if rule is None or (counts.get(name) and not rule.many):
            yield Wrong(at, "V-01", "is not expected here")
            continue
        if order.index(name) < last:
            yield Wrong(at, "V-02", "is out of order")
        last = order.index(name)
        counts[name] = counts.get(name, 0) + 1
        yield from _one(child, rule, f"{at}[{counts[name]}]" if rule.many else at)
    for name, rule in rules.items():
        if rule.required and name not in counts:
            yield Wrong(f"{path}/{name}", "V-03", "is required")


def _one(element: Any, rule: Rule, path: str) -> Iterator[Wrong]:
    if rule.inside:
        yield from _inside(element, rule.inside, path)
        return
    value = element.text or ""
    if rule.longest and len(value) > rule.longest:
        raise TooLong(path, rule.longest)
    if len(element) or not value.strip() or (rule.form is not None and not re.fullmatch(rule.form, value, re.ASCII)):
        yield Wrong(path, "V-04", "is invalid")
