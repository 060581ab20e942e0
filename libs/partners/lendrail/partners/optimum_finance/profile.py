"""Optimum Finance, United Kingdom: invoice finance by its Instant Decision API, version 1. The facts.

One call decides at once; the sale that follows is read by `GET /update` or told by their PUT to an address that they
are given by hand. The caller is known by `introducerId` alone, so it is a secret, and in the query of every GET.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType

from pydantic import Json

from lendrail.contracts.terms import Model, ReasonCode, Status
from lendrail.partners import reading
from lendrail.partners.channels.auth import parameter
from lendrail.partners.partner import Capability, Facts, Operation
from lendrail.partners.refusals import USUAL, Refusal, has_message

NAME = "optimum-finance"
AUTH = {"introducer-id": parameter("introducerId")}
CURRENCY = "GBP"
RETRY_AFTER_SECONDS = 30.0  # no limit is published
POLL = (60.0, 300.0, 900.0, 3600.0)  # people move a sale in hours and days; no limit is published
STAGE_POLLS = {Status.APPROVED: (900.0, 3600.0)}  # the decision is made; what comes next is a sale among people

OPERATIONS = {
    # No reference of ours and no key: a second call is a second opportunity.
    "create": Operation(capability=Capability.BLIND),
    "read": Operation(capability=Capability.HARMLESS, processing=0),
}

_speaks = partial(has_message, never=frozenset({"decision"}))
"""As their published client reads errors."""
REFUSALS = (  # their status codes are not published: these are HTTP's own meanings
    *USUAL,
    Refusal(400, "credential-refused", _speaks("introducerId")),
    Refusal(400, "rejected", _speaks(), operations={"create"}),
    Refusal(422, "rejected", _speaks(), operations={"create"}),
)

DECISIONS = {"approved": Status.APPROVED, "referred": Status.REFERRED, "declined": Status.DECLINED}
STAGES = {"Indicative Offer Sent": Status.APPROVED, "Closed Won": Status.FUNDED}
"""The list of the sale's stages was never published; one is in a sample, the other in a client's source."""

REASONS = (
    (r"turnover below £[0-9,.]+k?", ReasonCode.POLICY),
    (r"directors are not homeowners", ReasonCode.POLICY),
)
"""Reasons are free text; these two forms are published, and both are a limit of theirs."""

PERCENT = ("serviceFee", "discountFee", "badDebtProtection")
POUNDS = ("annualRenewalFee",)
"""Units are not published: these are assumed from the samples (1.14, 3.35, 0.85 and 0)."""
DETAILS = ("facility", "prepayment", "trialPeriodMonths", "cashAvailableWithinHours")
SALE = {
    "close_chance": ("closeChance", reading.decimal),
    "closes_on": ("closeDate", reading.day),
    "commission": ("estimatedMonthlyCommission", reading.money_in(CURRENCY)),
}
UNASSIGNED = "currently assigning"
SECTOR = "Beer / Wine Merchant"
"""The one word of their list that is published."""
SECTORS = MappingProxyType({"sic:46342": SECTOR, "naics:4248": SECTOR})
PRODUCTS = ("invoice-factoring", "invoice-discounting")

FACTS = Facts(
    country="GB",
    source="the partner's public API page; addresses, error text and one stage from published clients",
    statuses=DECISIONS | STAGES,
    vocabularies={
        "decision": tuple(DECISIONS),
        "facility": ("Factoring", "Invoice Discounting", "Confidential Invoice Discounting"),
    },
    lacks={
        "look-up by reference": "an application whose answer was lost is never sent again without a person",
        "list of sectors": "not published: a tenant maps its industries by the option `sectors`, the rest is reported",
        "signed webhooks": "their PUT only makes us look; the address is given to them by hand",
        "amount": "their call has no amount: the funding limit is what they offer for the turnover",
        "documents, update, withdraw, accept": "the partner has no such call",
        "quotation": "has no opportunity: it is answered at once and there is nothing to follow",
    },
)


class Options(Model):
    """A tenant's choices."""

    sectors: Json[dict[str, str]] = dict(SECTORS)  # noqa: RUF012 - pydantic copies it
    """JSON: codes of ours (`scheme:prefix`) to their sectors, as agreed with them; in place of the two rows here."""
