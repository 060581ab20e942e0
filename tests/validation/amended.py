"""Amendments of one application, as the gateway states them."""

import datetime as dt
from typing import Any

from tests import make

from lendrail.contracts.application import Application
from lendrail.contracts.application_amended import (
    ApplicationAmended,
    Corrected,
    DocumentAdded,
    OfferAccepted,
    PartnerAdded,
    Withdrawn,
)
from lendrail.contracts.application_received import ApplicationReceived
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import DocumentRef, opportunity_id

LATER = make.NOW + dt.timedelta(hours=1)
SHA = "ab" * 32


def at(event: ApplicationReceived, partner: str = "forward-financing", credential: str = "demo-ff") -> Any:
    return opportunity_id(event.application_id, partner, credential)


def amended(event: ApplicationReceived, revision: int, amendment: Any, **changes: Any) -> ApplicationAmended:
    """Revision `revision` of `event`'s application; where it is not corrected it stands as received."""
    values: dict[str, Any] = {
        "application_id": event.application_id,
        "tenant_id": event.tenant_id,
        "mode": event.mode,
        "revision": revision,
        "amended_at": LATER,
        "amended_by": "demo-upstream",
        "received_at": event.received_at,
        "amendment": amendment,
        "application": None if isinstance(amendment, Corrected) else event.application,
    }
    return ApplicationAmended(**(values | changes))


def corrected(application: Application) -> Corrected:
    return Corrected(application=application)


def added(*partners: str) -> PartnerAdded:
    return PartnerAdded(partners=partners)


def document(opportunity: Any = None, name: str = "bank-statement-1") -> DocumentAdded:
    ref = DocumentRef(
        id=name, kind="bank-statement", name="statement.pdf", content_type="application/pdf", sha256=SHA, size=9
    )
    return DocumentAdded(document=ref, opportunity_id=opportunity)


def accepted(opportunity: Any) -> OfferAccepted:
    return OfferAccepted(opportunity_id=opportunity, offer_id="offer-1")


def withdrawn(opportunity: Any = None) -> Withdrawn:
    return Withdrawn(opportunity_id=opportunity, reason=SensitiveText("Testa Fakely changed her mind"))
