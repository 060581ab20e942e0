"""The application as a partner reads it: one sheet, the same for every partner. Pure.

What is left out on purpose: other partners' names (targets and scope of consents), the upstream's metadata, whole
personal numbers (the last four characters are enough to compare; the mapped request carries them all) and whole birth
dates.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator

from lendrail.contracts.application import Application, Consent, RiskAssessment
from lendrail.contracts.application_finance import Collateral, Equipment, Invoice, RequestedFinance, TradeDocument
from lendrail.contracts.application_parts import BankAccount, Business, ExistingLoan, Financials, Owner
from lendrail.contracts.terms import Reference
from lendrail.documents import cells
from lendrail.documents.sheet import Cell, Facts, Sheet, Table, clean


def summary(application: Application, application_id: uuid.UUID, received_at: dt.datetime) -> Sheet:
    made = received_at.astimezone(dt.UTC)
    kind = "Request for a quotation only" if application.quotation_only else "Application for finance"
    test = "" if application.mode == "live" else "  |  TEST, no real business"
    subtitle = f"{kind}  |  {application_id}  |  received {made:%Y-%m-%d %H:%M} UTC{test}"
    sections = (section for section in _sections(application) if section.rows)
    return Sheet("Application summary", subtitle, made.replace(tzinfo=None, microsecond=0), tuple(sections))


def _sections(application: Application) -> Iterator[Facts | Table]:
    yield _facts("Finance requested", _finance(application.requested_finance))
    yield _table("Security offered", _COLLATERAL, map(_collateral, application.requested_finance.security))
    yield _facts("Business", _business(application.business))
    yield _table("Owners and other persons", _OWNER, map(_owner, application.owners))
    if application.financials is not None:
        yield _facts("Financials", _financials(application.financials))
        yield _table("Bank accounts", _ACCOUNT, map(_account, application.financials.bank_accounts))
    yield _table("Existing loans", _LOAN, map(_loan, application.existing_loans))
    yield _table("Invoices", _INVOICE, map(_invoice, application.invoices))
    yield _table("Trade documents", _DOCUMENT, map(_document, application.trade_documents))
    yield _table("Equipment", _EQUIPMENT, map(_equipment, application.equipment))
    yield _table("Consents", _CONSENT, map(_consent, application.consents))
    yield _table("Checks", _CHECK, map(_check, application.risk_assessments))
    yield _table("References", _REFERENCE, map(_reference, application.external_references))
    yield _facts("Notes", [("Notes", cells.text(application.notes))])


def _finance(wish: RequestedFinance) -> Iterable[tuple[str, Cell]]:
    yield "Amount", cells.money(wish.amount)
    yield "Product", cells.word(wish.product)
    yield "Term", cells.term(wish.term)
    yield "Purpose", cells.word(wish.purpose)
    yield "Purpose in words", cells.text(wish.purpose_description)
    yield "Repayments", cells.word(wish.repayment_frequency)
    yield "Deposit", cells.money(wish.deposit)
    yield "Balloon", cells.money(wish.balloon)
    yield "Balloon share", cells.percent(wish.balloon_percent)
    yield "Needed by", cells.day(wish.needed_by)
    yield "Prefers speed over rate", cells.flag(wish.prefers_speed_over_rate)
    yield "Wants redraw", cells.flag(wish.wants_redraw)


_COLLATERAL = ("Kind", "Description", "Value", "Existing debt", "Serial number", "Address")


def _collateral(each: Collateral) -> tuple[Cell, ...]:
    return (
        cells.word(each.kind),
        cells.text(each.description),
        cells.money(each.value),
        cells.money(each.existing_debt),
        cells.text(each.serial_number),
        cells.address(each.address),
    )


def _business(business: Business) -> Iterable[tuple[str, Cell]]:
    yield "Legal name", cells.text(business.legal_name)
    yield "Trading name", cells.text(business.trading_name)
    yield "Entity type", cells.word(business.entity_type)
    yield "Country", business.country
    for each in business.registrations:
        issuer = f" ({each.issuer})" if each.issuer else ""
        yield f"{each.scheme.upper().replace('-', ' ')} {each.country}", clean(each.number.reveal() + issuer)
    if business.industry is not None:
        codes = (
            ("NAICS", business.industry.naics),
            ("ANZSIC", business.industry.anzsic),
            ("SIC", business.industry.sic),
        )
        yield "Industry codes", ", ".join(f"{name} {code}" for name, code in codes if code) or None
        yield "Industry", cells.text(business.industry.description)
    yield "Trading since", cells.day(business.start_date)
    yield "Registered on", cells.day(business.formed_on)
    yield "Phone", cells.text(business.phone)
    yield "Email", cells.text(business.email)
    yield "Website", cells.text(business.website)
    for address in business.addresses:
        yield f"{cells.word(address.kind)} address", cells.address(address)
    yield "Employees", cells.count(business.employees)
    if business.franchise is not None:
        yield "Franchise", cells.text(business.franchise.brand) or "yes"
        yield "Franchise since", cells.day(business.franchise.since)
    yield "Continues a failed company", cells.flag(business.phoenix)
    yield "Description", cells.text(business.description)


_OWNER = ("Name", "Roles", "Share", "SSN or tax number", "Born in", "Email", "Phone", "Address")


def _owner(owner: Owner) -> tuple[Cell, ...]:
    names = (owner.salutation, owner.first_name, owner.middle_name, owner.last_name)
    roles = ", ".join(str(role).replace("-", " ") for role in owner.roles)
    title = f"{owner.title.reveal()} ({roles})" if owner.title else roles
    phone = owner.mobile_phone or owner.work_phone or owner.home_phone
    return (
        clean(" ".join(name.reveal() for name in names if name)),
        clean(title),
        cells.percent(owner.ownership_percent),
        cells.masked(owner.ssn or owner.tax_number),
        owner.birth_date.reveal()[:4] if owner.birth_date else None,
        cells.text(owner.email),
        cells.text(phone),
        cells.address(owner.address),
    )


def _financials(stated: Financials) -> Iterable[tuple[str, Cell]]:
    yield "As of", cells.day(stated.as_of)
    yield "Revenue, last 12 months", cells.money(stated.annual_revenue)
    yield "Revenue, next 12 months", cells.money(stated.expected_annual_revenue)
    yield "Monthly revenue", cells.money(stated.monthly_revenue)
    yield "Monthly card sales", cells.money(stated.monthly_card_sales)
    yield "Monthly cash flow", cells.money(stated.monthly_cash_flow)
    yield "Profit, last 12 months", cells.money(stated.annual_profit)
    yield "Total assets", cells.money(stated.total_assets)
    yield "Total liabilities", cells.money(stated.total_liabilities)
    yield "Receivables", cells.money(stated.receivables)
    yield "Payables", cells.money(stated.payables)
    yield "Inventory", cells.money(stated.inventory)
    yield "Credit", cells.word(stated.credit_band)
    yield "Customers", cells.count(stated.customers)
    yield "Invoices its customers", cells.flag(stated.invoices_customers)
    yield "Accounting software", cells.text(stated.accounting_software)
    yield "Taxes up to date", cells.flag(stated.taxes_up_to_date)
    yield "Taxes outstanding", cells.money(stated.taxes_outstanding)
    yield "Tax payment plan", cells.flag(stated.tax_payment_plan)
    yield "Previous default", cells.flag(stated.previous_default)
    yield "Default liability", cells.money(stated.default_liability)
    yield "Bankruptcy", cells.flag(stated.bankruptcy)
    yield "Legal action", cells.flag(stated.legal_action)
    yield "Legal action in words", cells.text(stated.legal_action_description)


_ACCOUNT = ("Bank", "Kind", "Number", "Holder", "Average balance")


def _account(each: BankAccount) -> tuple[Cell, ...]:
    return (
        cells.text(each.bank),
        cells.word(each.kind),
        cells.masked(each.number),
        cells.text(each.holder),
        cells.money(each.average_balance),
    )


_LOAN = ("Lender", "Balance", "Original amount", "Payment", "Frequency", "Started on", "Ends on", "Remarks")


def _loan(loan: ExistingLoan) -> tuple[Cell, ...]:
    remarks = (("in arrears", loan.in_arrears), ("to be refinanced", loan.to_be_refinanced))
    return (
        cells.text(loan.lender),
        cells.money(loan.balance),
        cells.money(loan.original_amount),
        cells.money(loan.payment),
        cells.word(loan.payment_frequency),
        cells.day(loan.started_on),
        cells.day(loan.ends_on),
        ", ".join(words for words, holds in remarks if holds) or None,
    )


_INVOICE = ("Number", "Issuer", "Debtor", "Issued on", "Due on", "Amount", "Outstanding", "To be financed")


def _invoice(each: Invoice) -> tuple[Cell, ...]:
    return (
        cells.text(each.number),
        cells.text(each.issuer.name),
        cells.text(each.debtor.name),
        cells.day(each.issued_on),
        cells.day(each.due_on),
        cells.money(each.amount),
        cells.money(each.outstanding),
        cells.money(each.requested),
    )


_DOCUMENT = ("Kind", "Number", "Issuer", "Debtor", "Issued on", "Due on", "Amount", "Of invoice")


def _document(each: TradeDocument) -> tuple[Cell, ...]:
    return (
        cells.word(each.kind),
        cells.text(each.number),
        cells.text(each.issuer.name) if each.issuer else None,
        cells.text(each.debtor.name) if each.debtor else None,
        cells.day(each.issued_on),
        cells.day(each.due_on),
        cells.money(each.amount),
        cells.text(each.relates_to),
    )


_EQUIPMENT = ("Description", "Make and model", "Year", "Condition", "Pieces", "Price of one", "Tax", "Supplier")


def _equipment(each: Equipment) -> tuple[Cell, ...]:
    return (
        cells.text(each.description),
        clean(" ".join(part for part in (each.make, each.model) if part)) or None,
        cells.count(each.year),
        cells.word(each.condition),
        cells.count(each.quantity),
        cells.money(each.price),
        cells.money(each.tax),
        cells.text(each.supplier.name) if each.supplier else None,
    )


_CONSENT = ("Kind", "Given by", "Given at", "Wording")


def _consent(each: Consent) -> tuple[Cell, ...]:
    return cells.word(each.kind), cells.text(each.given_by), cells.moment(each.given_at), cells.text(each.text_version)


_CHECK = ("Kind", "Result", "Provider", "Score", "Assessed at", "Details")


def _check(each: RiskAssessment) -> tuple[Cell, ...]:
    return (
        cells.text(each.kind),
        cells.word(each.result),
        cells.text(each.provider),
        cells.decimal(each.score),
        cells.moment(each.assessed_at),
        cells.text(each.details),
    )


_REFERENCE = ("System", "Kind", "Value")


def _reference(each: Reference) -> tuple[Cell, ...]:
    return cells.text(each.system), cells.text(each.kind), cells.text(each.value)


def _facts(heading: str, rows: Iterable[tuple[str, Cell]]) -> Facts:
    return Facts(heading, tuple((label, value) for label, value in rows if value is not None))


def _table(heading: str, columns: tuple[str, ...], rows: Iterable[tuple[Cell, ...]]) -> Table:
    """Columns in which no row says anything are left out."""
    filled = tuple(rows)
    used = [at for at in range(len(columns)) if any(row[at] is not None for row in filled)]
    return Table(heading, tuple(columns[at] for at in used), tuple(tuple(row[at] for at in used) for row in filled))
