"""An application that every phase accepts, and Forward Financing too."""

import copy
from typing import Any

from tests import make

from lendrail.contracts.application import Application

EARLIER = "2026-01-02T03:04:05Z"


def sound_json(**changes: Any) -> dict[str, Any]:
    """The full example, its dates moved into the past, without files, every owner complete."""
    data = make.application_json()
    data["uploads"] = []
    del data["owners"][0]["identityDocuments"][0]["uploadId"]
    data["owners"][1] = copy.deepcopy(data["owners"][0]) | {
        "firstName": "Mocka",
        "ssn": "900-00-0002",
        "ownershipPercent": "40",
        "applicant": False,
        "roles": ["owner"],
    }
    data["financials"]["asOf"] = "2025-12-31"
    data["existingLoans"][0] |= {"startedOn": "2025-01-01"}
    for each in data["invoices"] + data["tradeDocuments"]:
        each |= {"issuedOn": "2026-01-02"}
        each.pop("uploadId", None)
    for each in data["consents"]:
        each["givenAt"] = EARLIER
    data["riskAssessments"][0]["assessedAt"] = EARLIER
    return data | changes


def sound(**changes: Any) -> Application:
    return Application.model_validate(sound_json(**changes))
