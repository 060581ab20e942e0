"""Amendments from the Kafka intake, as records say them. Pure; `changes` keeps and makes them."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from joserfc.jwk import ECKey
from pydantic import ValidationError

from lendrail.contracts import strict_json
from lendrail.contracts.event import Envelope, Malformed, read_envelope
from lendrail.contracts.intake import (
    MAX_DOCUMENT,
    MAX_DOCUMENT_JWE,
    Intake,
    IntakeAmendment,
    NewAmendment,
    imported_application_id,
)
from lendrail.contracts.problems import pointer, sensitive_fields
from lendrail.contracts.terms import NAMESPACE, FieldProblem
from lendrail.gateway import receive
from lendrail.gateway.amending.wishes import INTAKE_BODIES, Paper, Wish, correction, paper, wish
from lendrail.runtime.directory import Tenant
from lendrail.runtime.jose import MAX_JWE, BadSeal, open_sensitive

KINDS = tuple(INTAKE_BODIES)
DOCUMENT = "document-added"


@dataclass(frozen=True)
class Change:
    """One readable record that amends."""

    record: Any
    envelope: Envelope
    tenant: Tenant
    upstream: str
    application: str
    revision: int | None
    data: dict[str, Any]
    problems: tuple[FieldProblem, ...]

    @property
    def id(self) -> str:
        return str(uuid.uuid5(NAMESPACE, f"amendment|{self.tenant.id}|{self.envelope.source}|{self.envelope.id}"))

    @property
    def fingerprint(self) -> str:
        return receive.fingerprint([self.application, self.revision, self.data])


def amends(record: Any) -> bool:
    """Whether this record is of the type that amends; every other one is read as an application."""
    return any(name.lower() == "ce_type" and value == IntakeAmendment.type.encode() for name, value in record.headers)


def read_change(record: Any, tenant: Tenant, key: ECKey | None, clear_allowed: bool) -> Change:
    """What a record says. Raises `Malformed` when it cannot be read."""
    envelope = read_envelope(record.headers, IntakeAmendment.type)
    intent = _intent(record.value)
    if intent.sensitive is not None and key is None:
        raise Malformed("the tenant has no readable intake key")
    application = intent.application_id
    if application is None:
        assert intent.intake_event is not None
        application = imported_application_id(tenant.id, envelope.source, intent.intake_event)
    problems = () if clear_allowed else _in_clear(intent.amendment)
    data = intent.amendment
    if intent.sensitive is not None and key is not None:
        try:
            most = MAX_DOCUMENT_JWE if data["kind"] == DOCUMENT else MAX_JWE
            data = open_sensitive(data, intent.sensitive, key, most)
        except BadSeal as fault:
            problems = (_broken(fault, data["kind"]), *problems)
    upstream = record.topic.removeprefix(Intake.prefix)
    return Change(record, envelope, tenant, upstream, str(application), intent.revision, data, problems)


def _intent(value: bytes | None) -> NewAmendment:
    try:
        intent = IntakeAmendment.model_validate(strict_json.loads(value or b"")).intent
    except strict_json.BadJson as fault:
        raise Malformed(f"the body cannot be read: {fault}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise Malformed(f"the body is no amendment: {first['type']}") from None
    if intent.amendment.get("kind") not in KINDS:
        raise Malformed("the amendment is of no kind that comes by Kafka")
    return intent


def _broken(fault: BadSeal, kind: str) -> FieldProblem:
    code, message = fault.code, fault.message
    if kind == DOCUMENT and code == "sensitive-too-large":
        code = "too-large"
        message = f"a file has at most {MAX_DOCUMENT} bytes here; send it to POST /v1/applications/{{id}}/documents"
    return FieldProblem(pointer="", code=code, message=message, phase="backend")


def _in_clear(data: dict[str, Any]) -> tuple[FieldProblem, ...]:
    """Personal values that are not sealed."""
    found = sensitive_fields(INTAKE_BODIES[data["kind"]], data)
    message = "must be sealed for the tenant's intake key (GET /v1/keys/intake)"
    return tuple(
        FieldProblem(pointer=pointer(steps), code="sensitive-in-clear", message=message, phase="backend")
        for steps in found[: receive.MAX_PROBLEMS]
    )


def read_wish(data: dict[str, Any], tenant: Tenant) -> Wish:
    """The amendment that the opened record speaks of; what the two doors take is the same."""
    kind = data["kind"]
    if kind == "corrected":
        application = data.get("application")
        return correction(json.dumps(application, default=float).encode(), application, tenant, tenant.mode)
    body = _body(data)
    if kind == "partner-added":
        return wish(kind, body, None)
    place, problems = _place(data, needed=kind == "offer-accepted")
    return Wish(None, problems, receive.fingerprint(data)) if problems else wish(kind, body, place)


def read_paper(data: dict[str, Any]) -> tuple[Paper | None, tuple[FieldProblem, ...]]:
    """The file that the opened record brings; None where it does not fit, and the problems say why."""
    place, misplaced = _place(data, needed=False)
    found, problems = paper(_body(data), place)
    return (None, misplaced + problems) if misplaced else (found, problems)


def _body(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in ("kind", "opportunityId")}


def _place(data: dict[str, Any], *, needed: bool) -> tuple[uuid.UUID | None, tuple[FieldProblem, ...]]:
    """The opportunity that it is about."""
    stated = data.get("opportunityId")
    if stated is None and not needed:
        return None, ()
    try:
        return uuid.UUID(str(stated)), ()
    except ValueError:
        message = "must be the opportunity's id"
        return None, (FieldProblem(pointer="/opportunityId", code="uuid_parsing", message=message),)
