"""The closed lists of the newer revision; the older documentation names none and its samples use other values."""

ENTITY_TYPES = frozenset(
    {
        "Sole Proprietor", "LLC", "Corporation", "Limited Partnership", "Limited Liability Partnership",
        "General Partnership"
    }
)  # fmt: skip
MONTHLY_REVENUES = frozenset(
    {
        "Less than $5,000", "$5,000-$10,000", "$10,000-$20,000", "$20,000-$50,000", "$50,000-$100,000",
        "Greater than $100,000"
    }
)  # fmt: skip
LOAN_USES = frozenset(
    {
        "Inventory", "Marketing", "Taxes", "Payroll", "Debt Refinancing", "Business Expansion", "New Location",
        "Renovation", "Equipment Purchase", "Equipment Repair", "Hiring Employees", "Other", "Misc. Business Expenses",
        "Materials", "Working Capital"
    }
)  # fmt: skip
INDUSTRIES = frozenset(
    {
        "Accounting & Tax Services", "Automotive", "Consulting", "Convenience Stores", "Education",
        "Electricians/Plumbing/HVAC", "Farming", "Furniture", "Gas Stations", "General Contractor", "Gyms",
        "Home Healthcare", "Hotels/Hospitality", "Janitorial", "Jewelry", "Landscaping", "Law Firms", "Manufacturing",
        "Medical", "Other Business Services", "Other Consumer", "Pharmacies", "Real Estate/Insurance", "Recycling",
        "Restaurants & Bars", "Retail", "Salons & Spas", "Security Guard", "Staffing", "Subcontractor",
        "Ticket/Concert Venues", "Travel", "Trucking & Transportation", "Wholesale & Distribution", "Wine & Liquor"
    }
)  # fmt: skip
LISTS = {
    "entity_type": ENTITY_TYPES,
    "monthly_revenue": MONTHLY_REVENUES,
    "loan_use": LOAN_USES,
    "industry_name": INDUSTRIES,
}
DRIVERS = (
    "Default history",
    "Excessive liens or judgements",
    "Low adjusted deposit volume",
    "Over-leveraged w/ pre-existing financing",
)
