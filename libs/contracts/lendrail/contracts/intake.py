"""What an upstream system publishes to its own `intake-<upstream>` topic.

The record is a CloudEvent in binary mode of type `io.lendrail.intake.v1`; its `ce_id` and `ce_source` are the
upstream's
own and make a second import the same import. Personal values do not travel in clear: they are left out of `application`
and put, by JSON pointer, into one JWE (RFC 7516) for the tenant's published key.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, Literal

from lendrail.contracts.event import TYPE_PREFIX
from lendrail.contracts.terms import NAMESPACE, Model


class NewApplication(Model):
    kind: Literal["application"] = "application"
    application: dict[str, Any]
    sensitive: str | None = None
    """JWE whose plain text is a JSON object: RFC 6901 pointer into `application` to the value that belongs there."""


class Intake(Model):
    """One record of an intake topic; intents are a closed union, told apart by `kind`."""

    prefix: ClassVar[str] = "intake-"
    type: ClassVar[str] = f"{TYPE_PREFIX}intake.v1"

    intent: NewApplication


def imported_application_id(tenant: str, source: str, event_id: str) -> uuid.UUID:
    """The application id of an intake record: the same record always becomes the same application."""
    return uuid.uuid5(NAMESPACE, f"intake|{tenant}|{source}|{event_id}")
