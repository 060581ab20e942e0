"""Valiant's Lead API, Australia, for referrers: a lead goes there, and its state is read. The facts.

JSON:API in its answers, a flat JSON object in its requests, one content type for everything (400 otherwise).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Json

from lendrail.contracts.terms import Model, Status
from lendrail.partners.channels.auth import signed_key
from lendrail.partners.exchange import Choice
from lendrail.partners.partner import Capability, Facts, Operation
from lendrail.partners.refusals import USUAL, Refusal

NAME = "valiant"
AUTH = {"signed-key": signed_key("X-AUTH-ID", "X-AUTH-SIGNED-KEY")}
CONTENT_TYPE = "application/vnd.api+json"
CURRENCY = "AUD"
RETRY_AFTER_SECONDS = 30.0  # no limit is published
POLL = (60.0, 300.0, 900.0, 3600.0)  # they call nobody, and no limit is published

OPERATIONS = {
    # No key, and a lead cannot be looked up by anything of ours.
    "create": Operation(capability=Capability.BLIND),
    "read": Operation(capability=Capability.HARMLESS, processing=0),
    "options": Operation(capability=Capability.HARMLESS, processing=0),
}
REFUSALS = (  # error bodies are not published: where they are JSON:API's, their pointers are used
    Refusal(400, "rejected", operations={"create"}),  # often a missing parameter
    Refusal(402, "rejected", operations={"create"}),  # "parameters valid but the request failed"
    *USUAL,
)
STATUSES = {"Received": Status.SUBMITTED}
"""The one published word: it is there. Not `in-review`: nothing says that anybody looks at it yet."""

OPTION_NAMES = (
    "accounting_software",
    "australian_state",
    "business_performance",
    "credit_status",
    "entity_type",
    "equipment_class",
    "industry",
    "loan_purpose",
)
LISTS_SECONDS = 3600.0
"""They may change at any time, so they are fetched every hour."""
HOSPITALITY = {f"anzsic:{code}": "hospitality" for code in ("H", "44", "45")}
"""ANZSIC's division H is accommodation and food services."""
LONGEST = 255
"""Characters of its texts."""

FACTS = Facts(
    country="AU",
    source="the partner's public developer pages",
    statuses=STATUSES,
    lacks={
        "look-up by reference": "an application whose answer was lost is never sent again without a person",
        "webhooks": "they call nobody: leads are polled",
        "decisions": "one status word is published; any other is held and shown until people say what it means",
        "option lists": "fetched every hour; as long as one was never fetched, what would be a word of it is left out",
        "business_performance": "nothing of ours says it",
        "documents, update, withdraw, accept": "the partner has no such call",
    },
)


class Options(Model):
    """A tenant's choices."""

    lists: Json[dict[str, tuple[Choice, ...]]] = {}  # noqa: RUF012 - pydantic copies it
    """JSON: their lists by name, each as `GET /options/{name}` gives it. What was fetched takes their place."""
    words: Json[dict[str, dict[str, str]]] = {"industry": HOSPITALITY}  # noqa: RUF012 - pydantic copies it
    """JSON: by name of a list, our word (of an industry: `scheme:prefix` of its code) to one of theirs."""
    reference_in: Literal["utm_campaign", "utm_content", "utm_medium", "utm_source", "utm_term", ""] = "utm_content"
    """Where our reference travels, so that people can ask for a lead by it; empty: nowhere."""
