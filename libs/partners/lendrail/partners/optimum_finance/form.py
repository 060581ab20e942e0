"""The canonical application as the parameters of an instant decision."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from lendrail.contracts.application_parts import Industry
from lendrail.contracts.application_words import RegistrationScheme
from lendrail.partners.business import registered
from lendrail.partners.fields import Convert, Field, Unfit, amount_in, months_since, then
from lendrail.partners.forms import APPLICANT, WHOLE, Form, Part, Rule, only_in
from lendrail.partners.industries import partners_word
from lendrail.partners.optimum_finance.profile import CURRENCY, NAME, PRODUCTS, SECTOR, Options
from lendrail.partners.people import any_phone, full_name
from lendrail.partners.united_kingdom import company_number

TO_CALL = replace(APPLICANT, find=lambda it: None if it.quotation_only else APPLICANT.find(it))
"""A quotation is asked for without a person."""
RULES = (
    only_in("GB", "this partner finances United Kingdom businesses only"),
    Rule(
        "/requestedFinance/product",
        "not-supported",
        "this partner finances invoices only",
        lambda it: it.requested_finance.product not in (None, *PRODUCTS),
    ),
    Rule(
        "/owners",
        "missing",
        "this partner needs a person to call; only a quotation does without",
        lambda it: not it.quotation_only and not it.owners,
    ),
)


def _sector(options: Options) -> Convert:
    def convert(industry: Industry) -> str:
        if word := partners_word(industry, options.sectors, (SECTOR,)):
            return word
        raise Unfit("not-supported", "no sector of this partner is known for this industry; an operator can map one")

    return convert


def _tables(options: Options, today: dt.date) -> dict[Part, tuple[Field, ...]]:
    number = registered(RegistrationScheme.COMPANY_NUMBER, country="GB")
    whole_pounds = then(amount_in(CURRENCY, "pounds sterling"), int)
    full_years = then(months_since(today), lambda months: max(0, months // 12))
    return {
        WHOLE: (
            Field("companyNumber", "business.registrations", company_number, get=number, required=True),
            Field("sector", "business.industry", _sector(options), required=True),
            Field("turnover", "financials.expected_annual_revenue", whole_pounds, required=True),
            Field("yearsTrading", "business.start_date", full_years, required=True),
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
