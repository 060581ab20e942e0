"""The canonical application as a party and as the draft of its loan."""

from __future__ import annotations

import datetime as dt
from typing import Any

from lendrail.contracts.application_finance import RequestedFinance
from lendrail.contracts.application_parts import Business
from lendrail.contracts.application_words import RegistrationScheme as Scheme
from lendrail.partners.business import known_as, registered
from lendrail.partners.fields import Convert, Field, Unfit, each_as, either, months, ours
from lendrail.partners.finpace import profile
from lendrail.partners.finpace.profile import NAME, Options
from lendrail.partners.forms import WHOLE, Form, Tables, no_quotation

REGISTER = registered(Scheme.COMPANY_NUMBER, Scheme.ACN, Scheme.LEI)
TAX = registered(Scheme.VAT, Scheme.EIN, Scheme.ABN)
PURPOSE = either("requested_finance.purpose_description", "requested_finance.purpose")
ADDRESS = ours("line1", "line2", "city", "region", "postal_code", "country")


def _contacts(business: Business) -> list[dict[str, Any]]:
    ways = {"email": business.email, "phone": business.phone}
    return [{"type": kind, "value": value.reveal()} for kind, value in ways.items() if value]


def _facility(options: Options) -> Convert:
    def convert(wish: RequestedFinance) -> str:
        if wish.product in options.facility_of_product:
            return options.facility_of_product[wish.product]
        if wish.product not in profile.OPEN_PRODUCTS:
            raise Unfit("not-supported", "no facility type is agreed with this partner for this product")
        if wish.purpose is None:
            raise Unfit("missing", "is required by this partner")
        if wish.purpose not in options.facility_of_purpose:
            raise Unfit("not-supported", "no facility type is agreed with this partner for this purpose")
        return options.facility_of_purpose[wish.purpose]

    return convert


def _draft(options: Options, today: dt.date) -> Tables:
    facility, wish = _facility(options), "requested_finance."
    return {
        WHOLE: (
            Field("facilityType", wish + "purpose", facility, get=lambda it: it.requested_finance, required=True),
            Field("requestedAmount", wish + "amount", lambda amount: amount.model_dump(mode="json")),
            Field("requestedTenorMonths", wish + "term", months, required=True),
            Field("purpose", wish + "purpose_description", get=PURPOSE),
        )
    }


PARTY = Form(
    NAME,
    Options,
    {
        WHOLE: (
            Field("displayName", "business.trading_name", get=known_as),
            Field("legalName", "business.legal_name"),
            Field("registrationNumber", "business.registrations", get=REGISTER),
            Field("countryOfIncorporation", "business.country"),
            Field("taxNumber", "business.registrations", get=TAX),
            Field("addresses", "business.addresses", each_as(ADDRESS, NAME)),
            Field("contacts", "business", _contacts),
        )
    },
)
DRAFT = Form(NAME, Options, _draft, (no_quotation("this partner has no quotation alone"),))
POINTERS = PARTY.pointers | DRAFT.pointers | {"facilityType": "/requestedFinance/product"}
POINTERS |= dict.fromkeys(("amount", "currency"), "/requestedFinance/amount")
"""Where the applicant mends what the partner complains of."""
