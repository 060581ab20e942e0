"""Receiving an application: what can be told at once, before anything is stored. Pure; the doors decide what follows.

The REST door refuses whatever has a problem here. The Kafka intake has nobody to answer, so it passes the problems on.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Sequence
from typing import Any

import uuid_utils
from pydantic import ValidationError

from lendrail.contracts.application import Application
from lendrail.contracts.application_fields import ALL
from lendrail.contracts.problems import problems_of, unknown_fields
from lendrail.contracts.terms import FieldProblem, Mode, Reference
from lendrail.runtime.directory import Tenant

MODE_CROSSING = "mode-crossing"
MAX_PROBLEMS = 1000
"""More than any person reads; keeps an answer and an event bounded."""
MAX_RECORD = 900 * 1024
"""Bytes of a sealed event; the brokers take records of 1 MiB with their headers."""


def new_application_id() -> uuid.UUID:
    """UUIDv7: ids of one process sort by their time."""
    return uuid.UUID(bytes=uuid_utils.uuid7().bytes)


def idempotency_key(values: Sequence[str]) -> str | None:
    """The key that a request states; None where it states none, several, or one that is not 1 to 255 visible ASCII."""
    return values[0] if len(values) == 1 and re.fullmatch(r"[\x21-\x7e]{1,255}", values[0]) else None


def fingerprint(data: Any) -> str:
    """SHA-256 of the parsed body, indifferent to spaces and to the order of names. Store it sealed: of short bodies
    it could be guessed back.
    """
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), default=lambda number: ["decimal", str(number)])
    return hashlib.sha256(canonical.encode()).hexdigest()


Read = tuple[Application | None, list[FieldProblem]]
"""The application, None where it does not fit the schema, and all its problems."""


def read_application(raw: bytes, data: Any, tenant: Tenant, mode: Mode) -> Read:
    """What `raw` (parsed: `data`) holds, with every problem of its schema, its names, its mode and its targets."""
    problems = [_unknown(pointer) for pointer in unknown_fields(Application, data)]
    if isinstance(data, dict) and data.get("mode") in {"test", "live"} - {mode}:
        message = f"must be {mode}, the mode of your credentials: test and live never cross"
        problems.append(FieldProblem(pointer="/mode", code=MODE_CROSSING, message=message, phase="backend"))
    try:
        application = Application.model_validate_json(raw)
    except ValidationError as error:
        return None, (problems + problems_of(error))[:MAX_PROBLEMS]
    return application, (problems + of_tenant(application, tenant))[:MAX_PROBLEMS]


def of_tenant(application: Application, tenant: Tenant) -> list[FieldProblem]:
    """What the tenant's own set-up says: the targets exist, and a person consented to one of them at least."""
    own = {account.partner for account in tenant.partners}
    problems = [
        FieldProblem(
            pointer=f"/targetPartners/{index}",
            code="unknown-partner",
            message="is not a partner of yours",
            phase="backend",
        )
        for index, partner in enumerate(application.target_partners if application.target_partners != ALL else ())
        if partner not in own
    ]
    wanted = [partner for partner in own if application.wants(partner)]
    if wanted and not any(application.consents_to(partner) for partner in wanted):
        message = "must allow sharing (share-with-partners) with one of the target partners at least"
        problems.append(FieldProblem(pointer="/consents", code="consent-missing", message=message, phase="backend"))
    return problems


def references_in(data: Any) -> tuple[Reference, ...]:
    """The readable external references of an application that does not fit the schema, so that it can be found."""
    stated = data.get("externalReferences") if isinstance(data, dict) else None
    found = []
    for each in stated[:50] if isinstance(stated, list) else ():
        try:
            found.append(Reference.model_validate(each))
        except ValidationError:
            continue
    return tuple(found)


def _unknown(pointer: str) -> FieldProblem:
    return FieldProblem(pointer=pointer, code="unknown_field", message="is not a field of the application")
