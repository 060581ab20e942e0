"""What knows an application's papers again, as far as a registry compares them, and its whole content. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from lendrail.contracts.application import Application
from lendrail.contracts.submit import Send, Submit
from lendrail.runtime.vault import Key
from lendrail.submission.attempts.attempt import Opportunity, State


def mark(application: Application, key: Key) -> str:
    """The same for the same papers of the same applicant, and of no use to anybody without the key."""
    context = {"reveal": True}
    business = application.business
    told = {
        "invoices": [each.model_dump(mode="json", context=context) for each in application.invoices],
        "applicant": business.model_dump(
            mode="json", include={"legal_name", "country", "registrations"}, context=context
        ),
    }
    if any(each.requested is None for each in application.invoices):  # then the whole amount is asked for on it
        told["amount"] = application.requested_finance.amount.model_dump(mode="json", context=context)
    return _hashed(told, key)


def uncleared(opportunity: Opportunity, submit: Submit, key: Key) -> bool:
    """Whether the application is about papers that a registry has not cleared for this lender."""
    intent, gate = submit.intent, opportunity.gate
    assert isinstance(intent, Send)
    if gate is None:
        return submit.gate is not None
    return gate.state == State.REJECTED or gate.paper != mark(intent.application, key)


def fingerprint(application: Application, key: Key) -> str:
    """The same for the same content, and as little use to anybody."""
    return _hashed(application.model_dump(mode="json", context={"reveal": True}), key)


def _hashed(told: dict[str, Any], key: Key) -> str:
    return hashlib.sha256(key.seal_content(json.dumps(told, sort_keys=True).encode())).hexdigest()
