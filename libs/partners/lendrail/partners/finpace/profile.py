"""Finpace: SME lending by party, draft and submission. The facts; `mapping.py` has the translations.

Two generations of its reference disagree; this is the one that its overview page agrees with: base path `/v1`, words in
kebab-case, an idempotency key on every POST. The error shape of the other one is understood too. What the pages do
not tell is an option, or an assumption that says so.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import Field, Json

from lendrail.contracts.application_words import Product, Purpose
from lendrail.contracts.terms import Model, ReasonCode, Status
from lendrail.partners import reading
from lendrail.partners.channels.auth import oauth_client
from lendrail.partners.partner import Capability, Facts, Operation
from lendrail.partners.refusals import USUAL, Refusal, has_code, has_problems
from lendrail.partners.signatures import Signature

NAME = "finpace"
AUTH = {"oauth-client": oauth_client()}
RETRY_AFTER_SECONDS = 5.0  # no limit and no Retry-After are published
KEY_LIFE_SECONDS = 86_400.0  # assumed: how long a key is kept is not published
_KEYED = Operation(capability=Capability.KEYED, repeats=5, key_life=KEY_LIFE_SECONDS)
IDS = {"party": "partyId", "draft": "applicationId", "create": "applicationId", "register-webhook": "subscriptionId"}
"""What the answer to each operation must name."""
OPERATIONS = dict.fromkeys(IDS, _KEYED)

_code = partial(has_code, names=("code", "errorCode"), never=frozenset({"partyId", "applicationId"}))
"""Either generation's machine-readable code."""
REFUSALS = (
    *USUAL,
    Refusal(422, "rejected", has_problems()),
    Refusal(400, "rejected", _code()),
    Refusal(422, "rejected", _code("VALIDATION_FAILED", "LIMIT_BREACH")),
    Refusal(409, "rejected", _code("LIMIT_BREACH")),  # any other conflict may be about our own key
)
STATUSES = {
    "draft": Status.SUBMITTING,
    "submitted": Status.SUBMITTED,
    "in-underwriting": Status.IN_REVIEW,
    "approved": Status.APPROVED,
    "offer-issued": Status.APPROVED,
    "declined": Status.DECLINED,
    "accepted": Status.ACCEPTED,
    "booked": Status.ACCEPTED,  # in its books; that money was drawn is told elsewhere
}
OUTCOMES = {"approve": Status.APPROVED, "decline": Status.DECLINED, "refer": Status.REFERRED}
"""Of a decision. Only `approve` is published; any word that is not here is held."""
REASONS = {  # only the first is published; its codes are open, so any other one is kept as it is
    "cashflow.coverage.insufficient": ReasonCode.CASH_FLOW,
    "affordability.insufficient": ReasonCode.CASH_FLOW,
}
OFFER = {
    "id": ("decisionId", reading.foreign_id),
    "amount": ("approvedAmount", reading.money_object),
    "term": ("approvedTenorMonths", reading.term_in("months")),
}
"""Of an approval: our fields, its names of them and what reads them."""
DECISION_MADE = "credit.decision.completed"
SIGNATURE = Signature(header="X-Finpace-Signature")  # that it is an HMAC is published, header and encoding are not
WORKING_CAPITAL = "working-capital"
RUNNING_COSTS = (
    Purpose.WORKING_CAPITAL,
    Purpose.INVENTORY,
    Purpose.MATERIALS,
    Purpose.PAYROLL,
    Purpose.HIRING,
    Purpose.MARKETING,
    Purpose.TAXES,
    Purpose.MISCELLANEOUS_EXPENSES,
)
OPEN_PRODUCTS = (None, Product.TERM_LOAN, Product.LINE_OF_CREDIT, Product.OVERDRAFT, Product.REVENUE_BASED_FINANCE)
"""Products that say nothing of what the money is for."""


class Options(Model):
    """A tenant's choices, and what the partner does not publish. Tables are JSON objects."""

    submit_path: Annotated[str, Field(pattern=r"^/[a-z/{}-]*\{applicationId\}[a-z/-]*$")] = (
        "/sme-loan-applications/{applicationId}/submit"
    )
    facility_of_product: Json[dict[Product, str]] = Field(default_factory=dict)
    """Facility types agreed with the partner, by our product. It publishes no list, only the one word above."""
    facility_of_purpose: Json[dict[Purpose, str]] = Field(
        default_factory=lambda: dict.fromkeys(RUNNING_COSTS, WORKING_CAPITAL)
    )
    """The same by our purpose, for products that say nothing of what the money is for."""
    decision_mode: Literal["automated", "hybrid", "manual"] | None = None
    """The partner's own choice when absent."""


FACTS = Facts(
    country="any",
    source="the partner's public reference (generation with base path /v1) and its integration overview",
    statuses=STATUSES | OUTCOMES,
    vocabularies={
        "facilityType": (WORKING_CAPITAL,),
        "decisionMode": ("automated", "hybrid", "manual"),
        "partyType": ("organization",),
    },
    lacks={
        "read, index": "no such call is published: what it decides comes with the submission or by webhook",
        "documents": "its upload calls are not published",
        "update, withdraw": "no such call is published",
        "accept": "offers and their acceptance are the partner's own step; it has no public call for a small business",
        "funded": "its word `booked` is shown as accepted; drawdowns belong to its servicing side",
        "owners": "a party has no owners; relations between parties are not published",
        "collateral": "collateral ids come from a call that is not published",
    },
)
