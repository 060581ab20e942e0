"""MonetaGo Secure Financing: a registry that finds trade documents which are financed twice. The facts.

Its API is for lenders only: each call runs under one lender's own credential and names that lender's institution.
Everything is asynchronous: a registration is answered with a request id, the finding is read later, and it may change
whenever another lender registers or finances the same document. Nothing calls us; one activity feed tells of changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from lendrail.contracts.terms import Model, Status
from lendrail.partners.channels.auth import oauth_client
from lendrail.partners.partner import Capability, Facts, Operation
from lendrail.partners.refusals import USUAL, Refusal, Shape

NAME = "monetago"
AUTH = {
    # One page of the guide calls the header `Authentication`, all its samples send `Authorization`: the credential's
    # setting `header` names it. A token lives 12 hours.
    "oauth-client": oauth_client(as_json=True),
}
RETRY_AFTER_SECONDS = 5.0  # no limit is published

HARMLESS = Operation(capability=Capability.HARMLESS, processing=0)
ENDING = Operation(capability=Capability.SEARCHABLE)
"""Financing and cancelling change what `read` tells, and our reference finds nothing of theirs: after an unknown
outcome the status of the registration is the answer, and the same bytes are never sent again by a program."""
OPERATIONS = {
    # Nothing recognises a repeat: the same bytes again would register a duplicate of ourselves. So after an unknown
    # outcome the list is searched for our reference, and only where it is absent the bytes may go again.
    "create": Operation(capability=Capability.ASYNCHRONOUS, repeats=2),
    "finance": ENDING,
    "withdraw": ENDING,
    "search": HARMLESS,
    "read": HARMLESS,
    "status-request": HARMLESS,  # makes another list of results to read, and changes no registration
    "document-matches": HARMLESS,
    "activity": HARMLESS,
}


def listed_errors() -> Shape:
    """`{"errors": [{code, text, path}, …]}`, the only form of a refusal that is believed. None is published; any other
    body leaves the outcome unknown, so a registration that was taken all the same is never sent again.
    """

    def fits(body: object) -> bool:
        errors = body.get("errors") if isinstance(body, dict) and "request_identification" not in body else None
        return isinstance(errors, list) and bool(errors) and all(isinstance(each, dict) for each in errors)

    return fits


CHANGING = frozenset({"finance", "withdraw"})
REFUSALS = (
    *USUAL,
    Refusal(400, "rejected", listed_errors()),
    Refusal(404, "rejected", listed_errors(), operations=CHANGING),
    Refusal(409, "rejected", listed_errors(), operations=CHANGING),  # not a step from its present status
)
STATUSES = MappingProxyType(
    {
        "PNDG": Status.IN_REVIEW,
        "REGU": Status.APPROVED,  # registered as the only one
        "REDU": Status.DUPLICATE,  # the same document is registered, and nobody financed it yet
        "DFIN": Status.DUPLICATE,  # the same document is financed
        "FNCD": Status.FUNDED,
        "CANC": Status.WITHDRAWN,
    }
)
EXACT = "EXCT"
"""The one published type of match; the word for a partial one is not."""
CANCELLATION_REASONS: Mapping[str, str] = MappingProxyType(
    {
        Status.DECLINED: "NTFD",  # decided not to finance
        Status.WITHDRAWN: "WITH",
        Status.EXPIRED: "EXNB",  # expired without a bid
        Status.FAILED: "RJCT",
        Status.DUPLICATE: "DFIN",
        Status.FUNDED: "OBSA",  # the obligation is satisfied, by somebody else
    }
)
OTHER_REASON = "UKWN"
ALL_REASONS = ("EXNB", "DFIN", "EBNA", "EXND", "LG1F", "NTFD", "RJCT", "UKWN", "WITH", "OBSA")
INVOICE_TYPE = "CINV"
SERVICE = "REGI"
PAGE = 1000
"""Events asked for in one look at the feed, as in the partner's sample; the largest number is not published."""
OVERLAP_SECONDS = 5.0
LOOK_BACK_SECONDS = 3600.0
"""Read again at each look, by our clock, where no clock of the partner's bears the cursor out."""
FEED_SECONDS = 10.0
POLL_SECONDS = (2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Matching takes seconds; after that the feed is what tells."""

BIC = r"[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?"
UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
FieldName = Annotated[str, Field(pattern=r"^[a-z_]{1,60}$")]


class Options(Model):
    """A lender's account. The names are guesses at what is not published, to be set right with the partner."""

    institution: Annotated[str, Field(pattern=f"^({BIC}|{UUID4})$")] | None = None
    """The submitting lender: its BIC (ISO 9362) or a UUID of version 4 that the partner gave. Nothing goes without."""
    search_filter: FieldName = "submitter_data_set_identification"
    cancellation_wrapper: FieldName = "cancellation_batch"
    cancellation_reason: FieldName = "cancellation_reason"
    status_request_wrapper: FieldName = "status_request_batch"
    other_documents: Literal["leave-out", "refuse"] = "leave-out"
    """What to do with trade documents that are no invoices."""


FACTS = Facts(
    country="any",
    source="the partner's public user guide and API reference, version 4.3.8",
    required=("/invoices",),
    statuses=STATUSES,
    vocabularies={
        "document_type": (INVOICE_TYPE,),
        "data_set_validation_service": (SERVICE,),
        "cancellation_reason": ALL_REASONS,
    },
    lacks={
        "documents other than invoices": "the codes and fields of their types are not published; they stay out of the "
        "registration, or speak against it where the account says so",
        "document authentication": "depends on data sources of the region, and its calls are not published",
        "trade-utility accounts, raw validation data": "belong to document authentication",
        "files": "the partner takes JSON only",
        "webhooks": "it has none: the activity feed and the status are read",
        "update": "a registration cannot be changed: it is cancelled and made anew",
        "extension of the decision period": "a sister deployment has it, this one does not publish it",
        "cancellation status": "the status of the registration says the same",
        "offers": "a registry finances nothing",
    },
)
