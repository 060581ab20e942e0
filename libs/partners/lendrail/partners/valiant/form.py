"""The canonical application as a lead: one flat object."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from functools import partial

from lendrail.contracts.application import Application
from lendrail.contracts.application_words import EquipmentCondition, RegistrationScheme
from lendrail.partners import australia
from lendrail.partners.business import monthly_revenue, registered
from lendrail.partners.choices import industry_of, one_of
from lendrail.partners.fields import Field, Unfit, amount_in, cut, months_since, then
from lendrail.partners.forms import ADDRESS, APPLICANT, EQUIPMENT, WHOLE, Form, Tables, no_quotation, only_in, somebody
from lendrail.partners.people import any_phone
from lendrail.partners.valiant.profile import CURRENCY, LONGEST, NAME, Options

RULES = (
    only_in("AU", "this partner takes Australian businesses only"),
    somebody("this partner needs a person to call"),
    no_quotation(),
)
SHORT = cut(LONGEST)


def _text(amount: Decimal) -> str | None:
    """Amounts are text there and above zero."""
    cents = round(amount, 2)
    return f"{cents:.2f}".removesuffix(".00") if cents > 0 else None


def _whole(amount: Decimal) -> int:
    if amount < 1:
        raise Unfit("amount-too-low", "must be at least one dollar for this partner")
    return int(amount)


def _guarantee(application: Application) -> bool | None:
    said = [each.guarantor for each in application.owners if each.guarantor is not None]
    return any(said) if said else None


def _tables(options: Options, today: dt.date) -> Tables:
    listed = partial(one_of, lists=options.lists, words=options.words)
    dollars = amount_in(CURRENCY, "Australian dollars")
    text = then(dollars, _text)
    months = then(months_since(today), lambda full: full if full > 0 else None)
    number, industry = registered(RegistrationScheme.ABN), industry_of("industry", options.lists, options.words)
    money, wish = "financials.", "requested_finance."
    return {
        WHOLE: (
            Field("company", "business.legal_name"),
            Field("abn", "business.registrations", australia.abn, get=number),
            Field("entity_type", "business.entity_type", listed("entity_type")),
            Field("industry", "business.industry", industry),
            Field("months_trading", "business.start_date", months),
            Field("franchise", "business.franchise", lambda _: True),
            Field("credit_status", money + "credit_band", listed("credit_status")),
            Field("average_monthly_sales_amount", money + "monthly_revenue", text, get=monthly_revenue),
            Field("invoice_sales", money + "invoices_customers"),
            Field("merchant_sales", money + "monthly_card_sales", lambda sales: sales.amount > 0),
            Field("cloud_accounting", money + "cloud_accounting"),
            Field("accounting_software", money + "accounting_software", listed("accounting_software")),
            Field("tax_up_to_date", money + "taxes_up_to_date"),
            Field("tax_outstanding_amount", money + "taxes_outstanding", text),
            Field("ato_payment_arrangement", money + "tax_payment_plan"),
            Field("previous_default", money + "previous_default"),
            Field("default_liability_amount", money + "default_liability", text),
            Field("legal_action", money + "legal_action"),
            Field("legal_action_description", money + "legal_action_description", SHORT),
            Field("director_guarantee_available", "owners", get=_guarantee),
            Field("requested_amount", wish + "amount", then(dollars, _whole)),
            Field("loan_purpose", wish + "purpose", listed("loan_purpose")),
            Field("prefers_speed_over_rate", wish + "prefers_speed_over_rate"),
            Field("prefers_redrawable", wish + "wants_redraw"),
            Field("lead_description", "notes", SHORT),
        ),
        APPLICANT: (
            Field("first_name", "first_name"),
            Field("last_name", "last_name"),
            Field("phone", "mobile_phone", australia.phone, get=any_phone, required=True),
            Field("email", "email", required=True),
        ),
        ADDRESS: (
            Field("state", "region", listed("australian_state")),
            Field("postal_code", "postal_code", australia.postcode_number),
        ),
        EQUIPMENT: (
            Field("equipment_class", "category", listed("equipment_class")),
            Field("new_equipment", "condition", lambda condition: condition == EquipmentCondition.NEW),
        ),
    }


FORM = Form(NAME, Options, _tables, RULES)
