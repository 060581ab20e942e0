"""A lender that takes applications by mail: an inbox that people read, or a program. The facts.

No such lender publishes rules, so what is agreed with one is set in the options of the tenant's account. A mail server
knows no reference: whatever it took twice the lender has twice. So an unknown outcome is never followed by a second
mail without a person, and that one is marked.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lendrail.contracts.application_fields import Country, Label
from lendrail.contracts.application_words import UploadKind
from lendrail.contracts.terms import DecimalString, Model, PartnerName
from lendrail.partners.channels.mail import smtp
from lendrail.partners.partner import Capability, Facts, Operation

NAME = "email-lender"
AUTH = {"smtp": smtp()}
OPERATIONS = {
    "create": Operation(capability=Capability.BLIND),
    "follow-up": Operation(capability=Capability.BLIND),
}
RETRY_AFTER_SECONDS = 300.0
"""After a 4xx reply. Servers that put unknown senders off (greylisting) mostly do so for five minutes."""
CREDENTIAL_REFUSALS = frozenset({530, 534, 535, 538})
"""RFC 4954, section 6: sign in first, differently, rightly, under TLS."""
MOST_DOCUMENTS = 100
"""Links in one mail."""
FACTS = Facts(
    country="any",
    source="the platform's guide for finance partners, which names mail beside the API; RFC 5321, 5322, 4954, 3207",
    required=(),
    documents=("application-summary", *UploadKind),
    lacks={
        "read, webhooks": "an inbox tells nothing: its decisions come by CSV import or from people",
        "look-up by reference": "after an unknown outcome a person asks the lender, by the reference in the subject",
        "update, withdraw, accept": "people write that to people: no mail server's word proves that it was done",
        "documents as attachments": (
            "they travel as links that expire, since mail is read and kept on its way; later ones are attached where "
            "the account says that this was agreed (`lateDocuments`)"
        ),
        "personal identifiers": "social security, tax, identity and account numbers and birth dates are never mailed",
    },
)

MailAddress = Annotated[
    str, Field(max_length=254, pattern=r"^[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")
]
"""One plain address; anything that could be read as two, as an encoded word or as a comment is refused."""


class Options(Model):
    """A tenant's account. `to` is the inbox that the lender named, `from` an address that the server lets us use."""

    to: MailAddress | None = None
    sender: Annotated[MailAddress | None, Field(alias="from")] = None
    reply_to: MailAddress | None = None
    lender_name: Label | None = None
    format: Literal["json", "csv"] = "json"
    """Of the part for programs."""
    late_documents: Literal["link", "attached"] = "link"
    """How what comes after the application travels; attached only where the lender agreed to have it so."""
    purpose: Literal["application", "supplement"] = "application"
    """A supplement goes beside an application by API, for the lender's records."""
    partner: PartnerName | None = None
    """The partner whose API took the application that this mail supplements."""
    partner_id: Annotated[str, Field(pattern=r"^[!-~]{1,200}$")] | None = None
    """Its id there, where it is known."""
    country: Country | None = None
    """The lender finances businesses of this country only."""
    minimum_amount: DecimalString | None = None
    maximum_amount: DecimalString | None = None
    """In the currency that is asked for."""
