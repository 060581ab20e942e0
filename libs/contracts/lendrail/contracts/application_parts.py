"""Who asks for finance: the business, the people behind it, and how it stands."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lendrail.contracts.application_fields import (
    AccountNumber,
    Address,
    Count,
    Country,
    Day,
    Flag,
    IdentityNumber,
    Key,
    Label,
    Name,
    NonNegativeMoney,
    Percent,
    ShortText,
    WebAddress,
)
from lendrail.contracts.application_words import (
    AddressKind,
    BankAccountKind,
    CreditBand,
    EntityType,
    Frequency,
    IdentityDocumentKind,
    OwnerRole,
    RegistrationScheme,
)
from lendrail.contracts.sensitive import Email, Phone, SensitiveDate, Ssn
from lendrail.contracts.terms import Model, Money


class Registration(Model):
    """A number under which a register or tax office knows the business."""

    scheme: RegistrationScheme
    country: Country
    number: IdentityNumber
    issuer: Label | None = None
    """Name of the register; needed where the scheme is `other`."""


class Industry(Model):
    """What the business does: official codes, and its own words. Nobody guesses a code from the words."""

    naics: Annotated[str, Field(pattern=r"^[0-9]{2,6}$")] | None = None
    anzsic: Annotated[str, Field(pattern=r"^[A-S]?[0-9]{1,4}$")] | None = None
    sic: Annotated[str, Field(pattern=r"^[0-9]{2,5}$")] | None = None
    description: ShortText | None = None


class BusinessAddress(Address):
    kind: AddressKind = AddressKind.PHYSICAL


class Franchise(Model):
    brand: Name | None = None
    since: Day | None = None


class Business(Model):
    """The business that applies."""

    legal_name: Name
    trading_name: Name | None = None
    entity_type: EntityType | None = None
    country: Country
    """Where it is established."""
    registrations: Annotated[tuple[Registration, ...], Field(max_length=20)] = ()
    industry: Industry | None = None
    start_date: Day | None = None
    """When trading began."""
    formed_on: Day | None = None
    """When it was registered."""
    website: WebAddress | None = None
    phone: Phone | None = None
    email: Email | None = None
    addresses: Annotated[tuple[BusinessAddress, ...], Field(max_length=10)] = ()
    employees: Count | None = None
    franchise: Franchise | None = None
    """Present when the business is run under a franchise."""
    phoenix: Flag | None = None
    """Whether it continues an earlier failed company (asked by invoice financiers)."""
    description: ShortText | None = None

    def registration(self, scheme: RegistrationScheme) -> Registration | None:
        """The first number of that kind."""
        return next((each for each in self.registrations if each.scheme == scheme), None)

    def address(self) -> BusinessAddress | None:
        """Where it works: its physical address, else the first one."""
        physical = (each for each in self.addresses if each.kind == AddressKind.PHYSICAL)
        return next(physical, self.addresses[0] if self.addresses else None)


class IdentityDocument(Model):
    kind: IdentityDocumentKind
    number: IdentityNumber
    country: Country
    region: Name | None = None
    """State that issued it, where states do."""
    issued_on: SensitiveDate | None = None
    expires_on: SensitiveDate | None = None
    upload_id: Key | None = None
    """The picture of it among `uploads`."""


class Owner(Model):
    """A natural person who owns, directs, guarantees or applies for the business."""

    first_name: Name
    middle_name: Name | None = None
    last_name: Name
    salutation: Name | None = None
    title: Name | None = None
    """Position in the business."""
    roles: Annotated[tuple[OwnerRole, ...], Field(max_length=6)] = (OwnerRole.OWNER,)
    birth_date: SensitiveDate | None = None
    ssn: Ssn | None = None
    tax_number: IdentityNumber | None = None
    """The personal tax number of a country other than the United States."""
    tax_country: Country | None = None
    email: Email | None = None
    mobile_phone: Phone | None = None
    home_phone: Phone | None = None
    work_phone: Phone | None = None
    address: Address | None = None
    previous_addresses: Annotated[tuple[Address, ...], Field(max_length=5)] = ()
    ownership_percent: Percent | None = None
    owner_since: SensitiveDate | None = None
    applicant: Flag = False
    """Whether this person fills in the application."""
    guarantor: Flag | None = None
    homeowner: Flag | None = None
    citizenship: Country | None = None
    credit_band: CreditBand | None = None
    identity_documents: Annotated[tuple[IdentityDocument, ...], Field(max_length=10)] = ()


class BankAccount(Model):
    bank: Name
    holder: Name | None = None
    number: AccountNumber
    routing: AccountNumber | None = None
    """ABA routing number, BSB, sort code or BIC."""
    kind: BankAccountKind = BankAccountKind.CHECKING
    country: Country | None = None
    average_balance: Money | None = None


class Financials(Model):
    """How the business stands; amounts as of `as_of`, for the last twelve months unless they say otherwise."""

    as_of: Day | None = None
    annual_revenue: NonNegativeMoney | None = None
    expected_annual_revenue: NonNegativeMoney | None = None
    """Next twelve months."""
    monthly_revenue: NonNegativeMoney | None = None
    monthly_card_sales: NonNegativeMoney | None = None
    monthly_cash_flow: Money | None = None
    annual_profit: Money | None = None
    total_assets: NonNegativeMoney | None = None
    total_liabilities: NonNegativeMoney | None = None
    receivables: NonNegativeMoney | None = None
    payables: NonNegativeMoney | None = None
    inventory: NonNegativeMoney | None = None
    credit_band: CreditBand | None = None
    bank_accounts: Annotated[tuple[BankAccount, ...], Field(max_length=20)] = ()
    customers: Count | None = None
    """Customers expected to owe money in six months."""
    invoices_customers: Flag | None = None
    cloud_accounting: Flag | None = None
    accounting_software: Label | None = None
    taxes_up_to_date: Flag | None = None
    taxes_outstanding: NonNegativeMoney | None = None
    tax_payment_plan: Flag | None = None
    previous_default: Flag | None = None
    default_liability: NonNegativeMoney | None = None
    bankruptcy: Flag | None = None
    legal_action: Flag | None = None
    legal_action_description: ShortText | None = None


class ExistingLoan(Model):
    """A debt that the business already carries; the most recent one first."""

    lender: Name
    balance: NonNegativeMoney | None = None
    original_amount: NonNegativeMoney | None = None
    payment: NonNegativeMoney | None = None
    payment_frequency: Frequency | None = None
    started_on: Day | None = None
    ends_on: Day | None = None
    account_number: AccountNumber | None = None
    in_arrears: Flag | None = None
    to_be_refinanced: Flag | None = None
