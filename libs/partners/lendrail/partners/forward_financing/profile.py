"""Forward Financing, United States: revenue-based finance. The facts; `mapping.py` has the translations.

Two revisions of its API are served by options: `classic` (header `api_key`, one attachment a call) and `current`
(OAuth 2.0 password grant, bulk attachments, closed word lists). Plain HTTP is answered with 403.
"""

from __future__ import annotations

from typing import Literal

from lendrail.contracts.terms import DecimalString, Model, Status, TermUnit
from lendrail.partners.channels.auth import api_key, oauth_password
from lendrail.partners.forward_financing import vocabularies as words
from lendrail.partners.partner import Capability, Facts, Operation, Rate
from lendrail.partners.refusals import USUAL, Refusal, has_field_errors, says

NAME = "forward-financing"
AUTH = {
    "api-key": api_key("api_key"),  # the underscore is theirs; proxies on the way must let it pass
    "oauth-password": oauth_password("partner-api", "openid email profile"),
}
RATE = Rate(requests=1, seconds=1)  # "per user"; over it 429. No Retry-After is documented, so we wait:
RETRY_AFTER_SECONDS = 2.0

OPERATIONS = {
    # `reference_id` must be unique over all submissions: a repeat is safe, but its answer has no lead id.
    "create": Operation(capability=Capability.UNIQUE_REFERENCE, repeats=5),
    "document": Operation(capability=Capability.BLIND, repeats=1),
    "read": Operation(capability=Capability.HARMLESS, processing=0),
    "register-webhook": Operation(capability=Capability.BLIND, repeats=1),
}
REFUSALS = (
    *USUAL,
    Refusal(422, "duplicate", says("reference id is not unique"), operations={"create"}),
    Refusal(422, "rejected", has_field_errors(), operations={"create", "document", "register-webhook"}),
    Refusal(400, "rejected", operations={"document"}),  # missing or invalid query parameters
)
STAGES = {
    "Working": Status.IN_REVIEW,
    "Approval Sent": Status.APPROVED,
    "Declined": Status.DECLINED,
    "File Missing Info": Status.INFO_REQUIRED,
    "Waiting on ISO": Status.INFO_REQUIRED,
}
FACTS = Facts(
    country="US",
    source="the partner's public API pages, both revisions",
    required=(
        "/business/entityType",
        "/business/industry",
        "/business/phone",
        "/business/startDate",
        "/owners",
        "/owners/0/address",
        "/owners/0/ssn",
    ),
    documents=("application-summary", "bank-statement", "drivers-license", "voided-check"),
    statuses=STAGES,
    vocabularies={
        "entity_type": tuple(dict.fromkeys(words.ENTITY_TYPES.values())),
        "industry_name": words.INDUSTRIES,
        "loan_use": tuple(dict.fromkeys(words.LOAN_USES.values())),
        "monthly_revenue": (*(band for _, band in words.MONTHLY_REVENUES), words.HIGHEST_MONTHLY_REVENUE),
        "tag": tuple(dict.fromkeys(words.ATTACHMENT_TAGS.values())),
        "decline_drivers": tuple(words.DECLINE_DRIVERS),
    },
    lacks={
        "look-up by reference": "an application whose answer was lost has no id until a person or the partner tells it",
        "signed webhooks": "a webhook only makes us look",
        "update, withdraw": "the partner has no such call",
        "accept": "by the link in the offer",
    },
)
TERM_UNIT: TermUnit = "days"  # of max_payments, "term in days"; sellers elsewhere reckon 20 of them a month
VARIANT_TERM_UNIT: TermUnit = "months"  # of max_term: not published, inferred from samples (7 at a rate of 1.34)
WEBHOOK_ADDRESSES = ("18.213.237.69", "44.199.142.45", "44.199.142.90")  # instead of a signature
LONGEST_NOTES = 2000
BULK_FILES = 25
BUSINESS_DAYS = {  # payments of their kind in one payment of ours; 20 a month is their own rule of thumb
    "business-daily": 1,
    "daily": 1,
    "weekly": 5,
    "fortnightly": 10,
    "semi-monthly": 10,
    "monthly": 20,
    "quarterly": 60,
    "yearly": 240,
}


class Options(Model):
    """A tenant's choices. The limits are agreed with the partner, it publishes none; in US dollars."""

    revision: Literal["classic", "current"] = "classic"
    attachments: Literal["raw", "base64", "url", "bulk"] = "raw"
    vocabulary: Literal["classic", "current"] | None = None
    """The revision's own one when absent."""
    minimum_amount: DecimalString | None = None
    maximum_amount: DecimalString | None = None

    @property
    def closed_words(self) -> bool:
        return (self.vocabulary or self.revision) == "current"
