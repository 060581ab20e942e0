"""Forward Financing's words, as published for the current revision of its API (values outside are refused with 422).

Left: our words, or prefixes of NAICS codes; right: theirs. The longest prefix wins; a code without a row is reported,
never squeezed into the nearest industry.
"""

from types import MappingProxyType

ENTITY_TYPES = {
    "sole-proprietor": "Sole Proprietor",
    "limited-liability-company": "LLC",
    "corporation": "Corporation",
    "s-corporation": "Corporation",
    "limited-partnership": "Limited Partnership",
    "limited-liability-partnership": "Limited Liability Partnership",
    "general-partnership": "General Partnership",
}
CLASSIC_ENTITY_TYPES = ENTITY_TYPES | {"limited-liability-company": "Limited Liability Company (LLC)"}
"""The samples of the older revision spell it out; its list was never published."""

LOAN_USES = {
    "working-capital": "Working Capital",
    "inventory": "Inventory",
    "materials": "Materials",
    "equipment-purchase": "Equipment Purchase",
    "equipment-repair": "Equipment Repair",
    "renovation": "Renovation",
    "new-location": "New Location",
    "business-expansion": "Business Expansion",
    "debt-refinancing": "Debt Refinancing",
    "payroll": "Payroll",
    "hiring": "Hiring Employees",
    "marketing": "Marketing",
    "taxes": "Taxes",
    "miscellaneous-expenses": "Misc. Business Expenses",
    "vehicle-purchase": "Other",
    "property-purchase": "Other",
    "business-acquisition": "Other",
    "other": "Other",
}

MONTHLY_REVENUES = (
    (5_000, "Less than $5,000"),
    (10_000, "$5,000-$10,000"),
    (20_000, "$10,000-$20,000"),
    (50_000, "$20,000-$50,000"),
    (100_000, "$50,000-$100,000"),
)
"""Upper bounds in dollars, not included; above the last one:"""
HIGHEST_MONTHLY_REVENUE = "Greater than $100,000"

_NAICS_BY_INDUSTRY = {
    "Accounting & Tax Services": "5412",
    "Automotive": "441 8111",
    "Consulting": "5416",
    "Convenience Stores": "445120 445131",
    "Education": "61",
    "Electricians/Plumbing/HVAC": "23821 23822 23511 23531",
    "Farming": "111 112 1151 1152",
    "Furniture": "442 4491",
    "Gas Stations": "447 4571",
    "General Contractor": "236 237 233 234",
    "Gyms": "71394",
    "Home Healthcare": "6216",
    "Hotels/Hospitality": "721",
    "Janitorial": "56172",
    "Jewelry": "44831 45831",
    "Landscaping": "56173",
    "Law Firms": "5411",
    "Manufacturing": "31 32 33",
    "Medical": "621 622 623",
    "Other Business Services": "5413 5414 5415 5418 5419 5611 5612 5614 5619 8112 8113",
    "Other Consumer": "6244 713 8114 812",
    "Pharmacies": "44611 45611",
    "Real Estate/Insurance": "531 524",
    "Recycling": "56292 42393",
    "Restaurants & Bars": "722",
    "Retail": "44 45",
    "Salons & Spas": "8121",
    "Security Guard": "56161",
    "Staffing": "5613",
    "Subcontractor": "238 235",
    "Ticket/Concert Venues": "7113",
    "Travel": "5615",
    "Trucking & Transportation": "48 492",
    "Wholesale & Distribution": "42",
    "Wine & Liquor": "4453",
}
"""Editions of 1997 to 2022: their codes of other years (233 to 235, 447, 4571, …) never name something else."""
INDUSTRIES = frozenset(_NAICS_BY_INDUSTRY)
INDUSTRY_OF_NAICS = MappingProxyType(
    {prefix: industry for industry, prefixes in _NAICS_BY_INDUSTRY.items() for prefix in prefixes.split()}
)

ATTACHMENT_TAGS = {
    "bank-statement": "bank_statement",
    "drivers-license": "drivers_license",
    "voided-check": "voided_check",
    "tax-return": "tax_return",
    "financial-statement": "balance_sheet_income_statement",
    "receivables-report": "accounts_receivable_report_invoices",
    "invoice": "accounts_receivable_report_invoices",
    "proof-of-ownership": "proof_of_ownership",
}

DECLINE_DRIVERS = {
    "Application Incomplete": "incomplete-application",
    "Challenged personal credit history": "personal-credit",
    "Default history": "default-history",
    "Excessive liens or judgements": "liens-or-judgements",
    "Excessive negative days or NSFs": "cash-flow",
    "Excessive recent inquiries": "recent-inquiries",
    "Existing customer": "existing-customer",
    "Failed merchant interview": "identity",
    "Fraud": "fraud",
    "Inability to extend a minimum offer": "amount",
    "Low adjusted deposit count": "deposits",
    "Low adjusted deposit volume": "deposits",
    "Open or recent bankruptcy": "bankruptcy",
    "Over daily submission limit": "limit-reached",
    "Over-leveraged w/ pre-existing financing": "over-leveraged",
    "Personal Bank Statements": "documents",
    "Poor business risk score": "business-credit",
    "Poor month to date performance": "cash-flow",
    "Poor personal risk score": "personal-credit",
    "Presence of criminal filings": "criminal-record",
    "Previous decline": "previous-decline",
    "Prohibited business type": "industry",
    "Restricted business location": "location",
    "Poor Industry Risk Score": "industry",
    "Short-time In business": "time-in-business",
    "Sub 500 FICO": "personal-credit",
    "Too early to net 50%": "over-leveraged",
    "Unexplained UCCs": "liens-or-judgements",
    "Unwillingness to pay creditors": "default-history",
    "Volatile deposits": "deposits",
}
