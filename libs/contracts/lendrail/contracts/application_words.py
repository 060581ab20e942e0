"""The closed lists of words of the canonical application.

Kebab-case, one meaning each. `other` exists only where partners' own lists differ, so that a true answer
is always possible; a mapping that does not know a word reports a problem, it never guesses.
"""

from enum import StrEnum


class EntityType(StrEnum):
    SOLE_PROPRIETOR = "sole-proprietor"
    LIMITED_LIABILITY_COMPANY = "limited-liability-company"
    CORPORATION = "corporation"
    S_CORPORATION = "s-corporation"
    PRIVATE_COMPANY = "private-company"
    PUBLIC_COMPANY = "public-company"
    GENERAL_PARTNERSHIP = "general-partnership"
    LIMITED_PARTNERSHIP = "limited-partnership"
    LIMITED_LIABILITY_PARTNERSHIP = "limited-liability-partnership"
    TRUST = "trust"
    NON_PROFIT = "non-profit"
    COOPERATIVE = "cooperative"
    GOVERNMENT = "government"
    OTHER = "other"


class RegistrationScheme(StrEnum):
    EIN = "ein"
    ABN = "abn"
    ACN = "acn"
    ARBN = "arbn"
    ARSN = "arsn"
    COMPANY_NUMBER = "company-number"
    VAT = "vat"
    LEI = "lei"
    BIC = "bic"
    DUNS = "duns"
    OTHER = "other"


class AddressKind(StrEnum):
    PHYSICAL = "physical"
    REGISTERED = "registered"
    MAILING = "mailing"


class OwnerRole(StrEnum):
    OWNER = "owner"
    DIRECTOR = "director"
    BENEFICIAL_OWNER = "beneficial-owner"
    GUARANTOR = "guarantor"
    AUTHORIZED_SIGNATORY = "authorized-signatory"
    APPLICANT = "applicant"


class IdentityDocumentKind(StrEnum):
    PASSPORT = "passport"
    DRIVERS_LICENSE = "drivers-license"
    NATIONAL_ID = "national-id"
    RESIDENCE_PERMIT = "residence-permit"
    HEALTH_CARD = "health-card"
    OTHER = "other"


class CreditBand(StrEnum):
    EXCELLENT = "excellent"
    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"
    VERY_POOR = "very-poor"
    NONE = "none"


class BankAccountKind(StrEnum):
    CHECKING = "checking"
    SAVINGS = "savings"
    LOAN = "loan"
    OTHER = "other"


class Frequency(StrEnum):
    BUSINESS_DAILY = "business-daily"
    DAILY = "daily"
    WEEKLY = "weekly"
    FORTNIGHTLY = "fortnightly"
    SEMI_MONTHLY = "semi-monthly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"
    AT_MATURITY = "at-maturity"
    OTHER = "other"


class Product(StrEnum):
    TERM_LOAN = "term-loan"
    LINE_OF_CREDIT = "line-of-credit"
    OVERDRAFT = "overdraft"
    REVENUE_BASED_FINANCE = "revenue-based-finance"
    INVOICE_FACTORING = "invoice-factoring"
    INVOICE_DISCOUNTING = "invoice-discounting"
    EQUIPMENT_LOAN = "equipment-loan"
    EQUIPMENT_LEASE = "equipment-lease"
    VEHICLE_FINANCE = "vehicle-finance"
    TRADE_FINANCE = "trade-finance"
    PROPERTY_FINANCE = "property-finance"
    OTHER = "other"


class Purpose(StrEnum):
    WORKING_CAPITAL = "working-capital"
    INVENTORY = "inventory"
    MATERIALS = "materials"
    EQUIPMENT_PURCHASE = "equipment-purchase"
    EQUIPMENT_REPAIR = "equipment-repair"
    VEHICLE_PURCHASE = "vehicle-purchase"
    PROPERTY_PURCHASE = "property-purchase"
    RENOVATION = "renovation"
    NEW_LOCATION = "new-location"
    BUSINESS_EXPANSION = "business-expansion"
    BUSINESS_ACQUISITION = "business-acquisition"
    DEBT_REFINANCING = "debt-refinancing"
    PAYROLL = "payroll"
    HIRING = "hiring"
    MARKETING = "marketing"
    TAXES = "taxes"
    MISCELLANEOUS_EXPENSES = "miscellaneous-expenses"
    OTHER = "other"


class CollateralKind(StrEnum):
    REAL_ESTATE = "real-estate"
    VEHICLE = "vehicle"
    EQUIPMENT = "equipment"
    INVENTORY = "inventory"
    RECEIVABLES = "receivables"
    CASH = "cash"
    GENERAL_SECURITY = "general-security"
    PERSONAL_GUARANTEE = "personal-guarantee"
    OTHER = "other"


class TradeDocumentKind(StrEnum):
    INVOICE = "invoice"
    PURCHASE_ORDER = "purchase-order"
    BILL_OF_LADING = "bill-of-lading"
    WAREHOUSE_RECEIPT = "warehouse-receipt"
    LETTER_OF_INDEMNITY = "letter-of-indemnity"
    BUNKER_DELIVERY_NOTE = "bunker-delivery-note"
    DELIVERY_ORDER = "delivery-order"
    AIR_WAYBILL = "air-waybill"
    OTHER = "other"


class EquipmentCondition(StrEnum):
    NEW = "new"
    USED = "used"
    DEMONSTRATION = "demonstration"
    REFURBISHED = "refurbished"


class SellerKind(StrEnum):
    DEALER = "dealer"
    MANUFACTURER = "manufacturer"
    PRIVATE = "private"
    AUCTION = "auction"
    SALE_AND_LEASEBACK = "sale-and-leaseback"


class ConsentKind(StrEnum):
    SHARE_WITH_PARTNERS = "share-with-partners"
    CREDIT_CHECK = "credit-check"
    IDENTITY_CHECK = "identity-check"
    BANK_DATA = "bank-data"
    ELECTRONIC_SIGNATURE = "electronic-signature"
    MARKETING = "marketing"


class UploadKind(StrEnum):
    BANK_STATEMENT = "bank-statement"
    DRIVERS_LICENSE = "drivers-license"
    IDENTITY_DOCUMENT = "identity-document"
    VOIDED_CHECK = "voided-check"
    TAX_RETURN = "tax-return"
    FINANCIAL_STATEMENT = "financial-statement"
    RECEIVABLES_REPORT = "receivables-report"
    PROOF_OF_OWNERSHIP = "proof-of-ownership"
    INVOICE = "invoice"
    QUOTE = "quote"
    CONTRACT = "contract"
    APPLICATION_FORM = "application-form"
    OTHER = "other"


class RiskResult(StrEnum):
    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"
    NOT_RUN = "not-run"
