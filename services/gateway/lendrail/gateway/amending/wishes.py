"""What callers say when they amend: the bodies of both doors, read strictly into amendments. Pure."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from lendrail.contracts.application import Application
from lendrail.contracts.application_amended import Amendment, Corrected, OfferAccepted, PartnerAdded, Withdrawn
from lendrail.contracts.application_fields import Flag
from lendrail.contracts.intake import NewDocument
from lendrail.contracts.problems import problems_of, unknown_fields
from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import FieldProblem, Mode, Model, PartnerName
from lendrail.gateway import receive
from lendrail.runtime.directory import Tenant

M = TypeVar("M", bound=BaseModel)


class Partners(Model):
    partners: Annotated[tuple[PartnerName, ...], Field(min_length=1, max_length=50)]


class Acceptance(Model):
    offer_id: Annotated[str, Field(min_length=1, max_length=512)]
    variant: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    reported: Flag = False
    """You took it up at the partner, by the offer's link; nothing is sent then."""


class Withdrawal(Model):
    reason: SensitiveText
    """Why, in your words; sealed."""


class Correction(Model):
    application: Application


class Documented(Model):
    document: NewDocument


BODIES: dict[str, type[BaseModel]] = {
    "partner-added": Partners,
    "offer-accepted": Acceptance,
    "withdrawn": Withdrawal,
}
INTAKE_BODIES = BODIES | {"corrected": Correction, "document-added": Documented}
"""By Kafka everything comes within one record: by REST these two come as a body of their own."""


@dataclass(frozen=True)
class Wish:
    """An amendment as somebody said it; `amendment` is None where it does not fit, and `problems` say why."""

    amendment: Amendment | None
    problems: tuple[FieldProblem, ...]
    fingerprint: str
    """Of what was said and of what it was said about, so that a key stands for this only."""


@dataclass(frozen=True)
class Paper:
    """A file that came by Kafka, and where it is to go."""

    file: NewDocument
    opportunity: uuid.UUID | None


def paper(data: Any, opportunity: uuid.UUID | None) -> tuple[Paper | None, tuple[FieldProblem, ...]]:
    """The file that a record holds; None where it does not fit, and the problems say why."""
    read, problems = _read(Documented, data)
    if problems or read is None:
        return None, problems
    return Paper(read.document, opportunity), ()


def correction(raw: bytes, data: Any, tenant: Tenant, mode: Mode) -> Wish:
    application, problems = receive.read_application(raw, data, tenant, mode)
    fits = application is not None and not problems
    return Wish(
        Corrected(application=application) if fits and application is not None else None,
        tuple(problems),
        said("corrected", None, data),
    )


def wish(kind: str, data: Any, opportunity: uuid.UUID | None) -> Wish:
    """`kind` is one of `BODIES`; `opportunity` is the one that it is about."""
    read, problems = _read(BODIES[kind], data)
    amendment = None if problems or read is None else _amendment(read, opportunity)
    return Wish(amendment, problems, said(kind, opportunity, data))


def _read(body: type[M], data: Any) -> tuple[M | None, tuple[FieldProblem, ...]]:
    problems = [_unknown(pointer) for pointer in unknown_fields(body, data)]
    try:
        return body.model_validate_json(json.dumps(data, default=float)), tuple(problems[: receive.MAX_PROBLEMS])
    except ValidationError as error:
        return None, tuple((problems + problems_of(error))[: receive.MAX_PROBLEMS])


def said(kind: str, opportunity: uuid.UUID | None, data: Any) -> str:
    return receive.fingerprint([kind, str(opportunity) if opportunity else None, data])


def _amendment(read: BaseModel, opportunity: uuid.UUID | None) -> Amendment:
    if isinstance(read, Partners):
        return PartnerAdded(partners=tuple(dict.fromkeys(read.partners)))
    if isinstance(read, Withdrawal):
        return Withdrawn(opportunity_id=opportunity, reason=read.reason)
    assert isinstance(read, Acceptance)
    assert opportunity is not None
    return OfferAccepted(
        opportunity_id=opportunity, offer_id=read.offer_id, variant=read.variant, reported=read.reported
    )


def _unknown(pointer: str) -> FieldProblem:
    return FieldProblem(pointer=pointer, code="unknown_field", message="is not a field of this")
