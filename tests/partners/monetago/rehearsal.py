"""MonetaGo: lenders who do not see each other's registrations, and one whose tokens end at once."""

from __future__ import annotations

import copy
from typing import Any

from tests.partners.rehearsals import FULL, Rehearsal, Settings, json_without

AUDIENCE = "https://audience.example.test"
DOCUMENT = ("financing_validation_request_details", 0, "referred_documents", 0, "document_summary")


def user(name: str, institution: str, **settings: Any) -> dict[str, Any]:
    """Of the sandbox; matching is over at once."""
    own = {"clientId": f"fake-{name}", "clientSecret": "fake-secret", "audience": AUDIENCE, "institution": institution}
    return {"partner": "monetago", "user": name, "settings": own | {"decisionDelayMs": 0} | settings}


def auth(url: str, client: str = "fake-lender", secret: str = "fake-secret", **more: str) -> Settings:
    token = {"scheme": "oauth-client", "tokenUrl": f"{url}/monetago/oauth/token", "audience": AUDIENCE}
    return token | {"clientId": client, "clientSecret": secret} | more


def application(amount: str, mark: str) -> dict[str, Any]:
    """The full example with an invoice that nobody else has."""
    data = copy.deepcopy(FULL)
    data["requestedFinance"]["amount"]["amount"] = amount
    (invoice,) = data["invoices"]
    del invoice["requested"]
    invoice["number"] = f"INV-{mark}"
    return data


REHEARSALS = (
    Rehearsal(
        name="monetago",
        partner_name="monetago",
        path="/monetago/v1",
        users=(
            user("lender", "ZZZZSGS0XXX"),
            user("other", "ZZZZUSS0XXX", inclusiveAfter=True),
            user("short", "ZZZZSGS0XXX", tokenSeconds=1),
        ),
        auth=auth,
        wrong_auth=lambda url: auth(url, secret="fake-wrong-secret"),
        short_lived=lambda url: auth(url, "fake-short"),
        options={"institution": "ZZZZSGS0XXX"},
        operations={
            "create": "registrations",
            "search": "financing_validation_requests",
            "read": "status",
            "finance": "financings",
            "withdraw": "cancellations",
            "status-request": "status_requests",
            "document-matches": "document_matches",
            "activity": "activity",
        },
        application=application,
        amounts={"approve": "50000", "duplicate": "50006"},
        spoil=json_without("batch_collection", 0, *DOCUMENT, "invoice_number"),
        spoilt_at=frozenset({"/invoices/0/number"}),
    ),
)
