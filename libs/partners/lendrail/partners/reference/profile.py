"""The reference partner: an API that any lender may build, published in `docs/reference-partner/`. Its facts.

Its words are ours: the canonical application goes in, canonical statuses, offers and reasons come out.
"""

from __future__ import annotations

from typing import Literal

from lendrail.contracts.application_words import UploadKind
from lendrail.contracts.terms import DecimalString, Model, Status
from lendrail.partners.channels.auth import bearer, oauth_client
from lendrail.partners.partner import Capability, Operation
from lendrail.partners.refusals import USUAL, Refusal, has_code, has_problems

AUTH = {"bearer": bearer(), "oauth-client": oauth_client()}
RETRY_AFTER_SECONDS = 5.0
PAGE_SIZE = 100
_KEYED = Operation(capability=Capability.KEYED, repeats=5)  # keys are kept for ever
_READ = Operation(capability=Capability.HARMLESS, deadline=30, processing=0, repeats=2)
OPERATIONS = {
    "create": _KEYED,
    "update": _KEYED,  # a PUT of the whole: the same bytes twice are the same as once
    "document": _KEYED,
    "accept": _KEYED,
    "register-webhook": _KEYED,  # the same address again only replaces its secret
    "read": _READ,
    "index": _READ,
    "search": _READ,
}
_CHANGES = frozenset({"update", "document", "accept"})
REFUSALS = (
    *USUAL,
    Refusal(422, "rejected", has_problems()),
    Refusal(404, "rejected", has_code("not-found"), operations=_CHANGES),
    Refusal(409, "rejected", has_code("closed"), operations=_CHANGES),
    Refusal(409, "rejected", has_code("not-on-offer"), operations=frozenset({"accept"})),
    Refusal(413, "rejected", has_code("too-large")),
)
STATUSES = {
    each.value: each
    for each in (
        Status.SUBMITTED,
        Status.IN_REVIEW,
        Status.INFO_REQUIRED,
        Status.REFERRED,
        Status.APPROVED,
        Status.DECLINED,
        Status.DUPLICATE,
        Status.ACCEPTED,
        Status.FUNDED,
        Status.WITHDRAWN,
        Status.EXPIRED,
    )
}
DOCUMENTS = tuple(each.value for each in UploadKind)
LACKS = {
    "withdraw": "not part of the interface: a person tells the partner, who then reports `withdrawn`",
}


class Options(Model):
    """A tenant's choices. The limits are agreed with the partner, in its currency."""

    attachments: Literal["bytes", "link"] = "bytes"
    currency: str | None = None
    minimum_amount: DecimalString | None = None
    maximum_amount: DecimalString | None = None
