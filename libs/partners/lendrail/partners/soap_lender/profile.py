"""A lender that speaks SOAP 1.1 and 1.2: business loans in one currency of one country. The facts, after its WSDL.

Made for this project after the mechanics of public registers: WS-Security by user name and timestamp, a header that
names the environment, message ids of the caller's that are echoed and honoured, typed faults, a mailbox for news.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lendrail.contracts.application_words import EntityType, Frequency, OwnerRole, Product, Purpose
from lendrail.contracts.terms import DecimalString, Model, ReasonCode, Status
from lendrail.partners.channels.wsse import wsse
from lendrail.partners.partner import Capability, Facts, Operation
from lendrail.partners.refusals import Refusal

NAME = "soap-lender"
SERVICES = "http://loans.example.test/2030/01/services"
AUTH = {"wsse": wsse(f"{{{SERVICES}}}TargetEnvironment")}
KEY_LIFE_SECONDS = 86_400.0
"""How long it remembers a message id."""
_KEYED = Operation(capability=Capability.KEYED, repeats=5, key_life=KEY_LIFE_SECONDS)
_HARMLESS = Operation(capability=Capability.HARMLESS, processing=0, deadline=30)
OPERATIONS = {
    "create": _KEYED,
    "document": _KEYED,
    "update": _KEYED,
    "withdraw": _KEYED,
    "acknowledge": Operation(capability=Capability.KEYED, repeats=5, deadline=30),
    "read": _HARMLESS,
    "search": _HARMLESS,
    "index": _HARMLESS,
    "feed": _HARMLESS,
}
WSDL_OPERATIONS = {
    "create": "SubmitApplication",
    "document": "UploadDocument",
    "update": "UpdateApplication",
    "withdraw": "UpdateApplication",
    "acknowledge": "AcknowledgeMessages",
    "read": "GetApplication",
    "search": "ListApplications",
    "index": "ListApplications",
    "feed": "RetrieveMessages",
}
REFUSALS = (  # of what stands before the service: these come without a SOAP message
    Refusal(401, "credential-refused"),
    Refusal(403, "credential-refused"),
    Refusal(413, "rejected", operations={"document"}),
    Refusal(429, "retry-later"),
)
SECURITY_FAULTS = frozenset({"FailedAuthentication", "FailedCheck", "InvalidSecurity", "InvalidSecurityToken"})
CLOCK_FAULTS = frozenset({"MessageExpired"})
RETRY_SECONDS = 30.0
"""After a server fault that says the message was not processed, and after one that came too late: it is signed anew."""
FEED_SECONDS = 30.0
PAGE = 50

STATUSES = {
    "Received": Status.SUBMITTED,
    "UnderReview": Status.IN_REVIEW,
    "MoreInformationRequired": Status.INFO_REQUIRED,
    "Referred": Status.REFERRED,
    "Approved": Status.APPROVED,
    "Declined": Status.DECLINED,
    "OfferAccepted": Status.ACCEPTED,
    "Settled": Status.FUNDED,
    "Withdrawn": Status.WITHDRAWN,
    "Lapsed": Status.EXPIRED,
}
DECLINE_REASONS = {
    "CreditHistory": ReasonCode.BUSINESS_CREDIT,
    "PersonalCredit": ReasonCode.PERSONAL_CREDIT,
    "Serviceability": ReasonCode.CASH_FLOW,
    "TradingHistory": ReasonCode.TIME_IN_BUSINESS,
    "IndustryExcluded": ReasonCode.INDUSTRY,
    "SecurityInsufficient": ReasonCode.POLICY,
}
WITHDRAWAL_REASONS = {"withdrawn": "Withdrawn", "expired": "Expired", "duplicate": "TakenElsewhere"}
ENTITY_TYPES: dict[str, str] = {
    EntityType.SOLE_PROPRIETOR: "SoleTrader",
    EntityType.LIMITED_LIABILITY_COMPANY: "Company",
    EntityType.CORPORATION: "Company",
    EntityType.S_CORPORATION: "Company",
    EntityType.PRIVATE_COMPANY: "Company",
    EntityType.PUBLIC_COMPANY: "PublicCompany",
    EntityType.GENERAL_PARTNERSHIP: "Partnership",
    EntityType.LIMITED_PARTNERSHIP: "LimitedPartnership",
    EntityType.LIMITED_LIABILITY_PARTNERSHIP: "LimitedPartnership",
    EntityType.TRUST: "Trust",
    EntityType.NON_PROFIT: "NonProfit",
    EntityType.COOPERATIVE: "Cooperative",
    EntityType.GOVERNMENT: "Government",
    EntityType.OTHER: "Other",
}
PRODUCTS: dict[str, str] = {
    Product.TERM_LOAN: "TermLoan",
    Product.LINE_OF_CREDIT: "LineOfCredit",
    Product.OVERDRAFT: "Overdraft",
    Product.REVENUE_BASED_FINANCE: "MerchantAdvance",
    Product.INVOICE_FACTORING: "InvoiceFinance",
    Product.INVOICE_DISCOUNTING: "InvoiceFinance",
    Product.EQUIPMENT_LOAN: "EquipmentFinance",
    Product.EQUIPMENT_LEASE: "EquipmentFinance",
    Product.VEHICLE_FINANCE: "EquipmentFinance",
    Product.TRADE_FINANCE: "TradeFinance",
    Product.PROPERTY_FINANCE: "PropertyFinance",
    Product.OTHER: "Other",
}
PURPOSES: dict[str, str] = {
    Purpose.WORKING_CAPITAL: "WorkingCapital",
    Purpose.INVENTORY: "Stock",
    Purpose.MATERIALS: "Stock",
    Purpose.EQUIPMENT_PURCHASE: "Equipment",
    Purpose.EQUIPMENT_REPAIR: "Equipment",
    Purpose.VEHICLE_PURCHASE: "Vehicle",
    Purpose.PROPERTY_PURCHASE: "Property",
    Purpose.RENOVATION: "Property",
    Purpose.NEW_LOCATION: "Expansion",
    Purpose.BUSINESS_EXPANSION: "Expansion",
    Purpose.BUSINESS_ACQUISITION: "Acquisition",
    Purpose.DEBT_REFINANCING: "Refinance",
    Purpose.PAYROLL: "Wages",
    Purpose.HIRING: "Wages",
    Purpose.MARKETING: "Marketing",
    Purpose.TAXES: "Taxes",
    Purpose.MISCELLANEOUS_EXPENSES: "Other",
    Purpose.OTHER: "Other",
}
FREQUENCIES: dict[str, str] = {
    Frequency.BUSINESS_DAILY: "Daily",
    Frequency.DAILY: "Daily",
    Frequency.WEEKLY: "Weekly",
    Frequency.FORTNIGHTLY: "Fortnightly",
    Frequency.SEMI_MONTHLY: "SemiMonthly",
    Frequency.MONTHLY: "Monthly",
    Frequency.QUARTERLY: "Quarterly",
    Frequency.YEARLY: "Yearly",
    Frequency.AT_MATURITY: "AtMaturity",
    Frequency.OTHER: "Other",
}
ROLES: dict[str, str] = {
    OwnerRole.OWNER: "Owner",
    OwnerRole.DIRECTOR: "Director",
    OwnerRole.BENEFICIAL_OWNER: "BeneficialOwner",
    OwnerRole.GUARANTOR: "Guarantor",
    OwnerRole.AUTHORIZED_SIGNATORY: "Signatory",
    OwnerRole.APPLICANT: "Applicant",
}
DOCUMENT_TYPES: dict[str, str] = {
    "bank-statement": "BankStatement",
    "financial-statement": "FinancialStatement",
    "tax-return": "TaxReturn",
    "drivers-license": "Identity",
    "identity-document": "Identity",
    "application-form": "ApplicationForm",
    "application-summary": "ApplicationForm",
    "quote": "Quote",
}
FACTS = Facts(
    country="US",
    source="the WSDL beside the mapping; the country and the currency are agreed with each introducer",
    required=(
        "/business/addresses",
        "/business/entityType",
        "/owners",
        "/owners/0/address",
        "/owners/0/birthDate",
    ),
    documents=tuple(DOCUMENT_TYPES),
    statuses=STATUSES,
    vocabularies={
        "EntityType": frozenset(ENTITY_TYPES.values()),
        "Product": frozenset(PRODUCTS.values()),
        "Purpose": frozenset(PURPOSES.values()),
    },
    lacks={
        "webhooks": "news come to a mailbox that is looked into",
        "accept": "by the link in the offer",
        "MTOM": "documents travel as base64 in the message",
    },
)


class Options(Model):
    """A tenant's choices. Limits are agreed with the partner, it publishes none; in the currency."""

    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] = "US"
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    minimum_amount: DecimalString | None = None
    maximum_amount: DecimalString | None = None
