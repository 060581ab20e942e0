"""The canonical application as the parameters of an instant decision."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from lendrail.contracts.application_words import RegistrationScheme
from lendrail.partners.business import registered
from lendrail.partners.fields import Field, amount_in, months_since, then
from lendrail.partners.forms import APPLICANT, WHOLE, Form, Tables, only_for, only_in, somebody
from lendrail.partners.industries import by_industry
from lendrail.partners.optimum_finance.profile import CURRENCY, NAME, PRODUCTS, SECTOR, Options
from lendrail.partners.people import any_phone, full_name
from lendrail.partners.united_kingdom import company_number

TO_CALL = replace(APPLICANT, find=lambda it: None if it.quotation_only else APPLICANT.find(it))
"""A quotation is asked for without a person."""
RULES = (
    only_in("GB", "this partner finances United Kingdom businesses only"),
    only_for(PRODUCTS, "this partner finances invoices only"),
    somebody("this partner needs a person to call; only a quotation does without", quotations=False),
)
NUMBER = registered(RegistrationScheme.COMPANY_NUMBER, country="GB")
WHOLE_POUNDS = then(amount_in(CURRENCY, "pounds sterling"), int)


def _tables(options: Options, today: dt.date) -> Tables:
    years, sector = then(months_since(today), lambda full: max(0, full // 12)), by_industry(options.sectors, (SECTOR,))
    return {
        WHOLE: (
            Field("companyNumber", "business.registrations", company_number, get=NUMBER, required=True),
            Field("sector", "business.industry", sector, required=True),
            Field("turnover", "financials.expected_annual_revenue", WHOLE_POUNDS, required=True),
            Field("yearsTrading", "business.start_date", years, required=True),
            Field("expectedCustomers", "financials.customers", required=True),
            Field("phoenix", "business.phoenix"),
            Field("quotationOnly", "quotation_only"),
        ),
        TO_CALL: (
            Field("contactName", "last_name", get=full_name),
            Field("contactNumber", "mobile_phone", get=any_phone, required=True),
            Field("contactEmail", "email", required=True),
        ),
    }


FORM = Form(NAME, Options, _tables, RULES)
