"""Backend rules: what the schema cannot say of an application by itself. Pure; every rule tells all it finds."""

from __future__ import annotations

import datetime as dt
import typing
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from lendrail.contracts.application import Application
from lendrail.contracts.application_words import ConsentKind
from lendrail.contracts.sensitive import SensitiveDate
from lendrail.contracts.terms import FieldProblem, Money
from lendrail.validation import abn
from lendrail.validation.currencies import CURRENCIES

EASTERNMOST = dt.timedelta(hours=14)
"""A day that has begun somewhere on earth (UTC+14) is not in the future."""
CLOCK_SKEW = dt.timedelta(minutes=5)
"""How far an upstream's clock may run ahead of ours."""

Dated = tuple[str, dt.date | SensitiveDate | None]


def problem(pointer: str, code: str, message: str) -> FieldProblem:
    return FieldProblem(pointer=pointer, code=code, message=message, phase="backend")


def backend(application: Application, received_at: dt.datetime, files: Mapping[str, str]) -> list[FieldProblem]:
    """Everything that is wrong with the application as it stood when we received it.

    `files` are those that were uploaded for it: id to SHA-256.
    """
    found: list[FieldProblem] = []
    for rule in (_future_days, _future_moments):
        found += rule(application, received_at)
    for check in (_spans, _ownership, _currencies, _consents):
        found += check(application)
    return [*found, *_uploads(application, files), *abn.problems(application)]


def _future_days(application: Application, received_at: dt.datetime) -> Iterator[FieldProblem]:
    latest = (received_at.astimezone(dt.UTC) + EASTERNMOST).date()
    for pointer, day in _past_days(application):
        if day is not None and _date(day) > latest:
            yield problem(pointer, "in-future", "must not be in the future")


def _past_days(application: Application) -> Iterator[Dated]:
    """Days that must have been when the application was made."""
    business, financials = application.business, application.financials
    yield "/business/startDate", business.start_date
    yield "/business/formedOn", business.formed_on
    yield "/business/franchise/since", business.franchise.since if business.franchise else None
    yield "/financials/asOf", financials.as_of if financials else None
    for at, owner in enumerate(application.owners):
        yield f"/owners/{at}/birthDate", owner.birth_date
        yield f"/owners/{at}/ownerSince", owner.owner_since
        for nth, paper in enumerate(owner.identity_documents):
            yield f"/owners/{at}/identityDocuments/{nth}/issuedOn", paper.issued_on
    for at, loan in enumerate(application.existing_loans):
        yield f"/existingLoans/{at}/startedOn", loan.started_on
    for at, invoice in enumerate(application.invoices):
        yield f"/invoices/{at}/issuedOn", invoice.issued_on
    for at, document in enumerate(application.trade_documents):
        yield f"/tradeDocuments/{at}/issuedOn", document.issued_on


def _future_moments(application: Application, received_at: dt.datetime) -> Iterator[FieldProblem]:
    moments = [(f"/consents/{at}/givenAt", each.given_at) for at, each in enumerate(application.consents)]
    moments += [
        (f"/riskAssessments/{at}/assessedAt", each.assessed_at)
        for at, each in enumerate(application.risk_assessments)
        if each.assessed_at is not None
    ]
    for pointer, moment in moments:
        if moment > received_at + CLOCK_SKEW:
            yield problem(pointer, "in-future", "must not be in the future")


def _spans(application: Application) -> Iterator[FieldProblem]:
    """Ends that come before their beginnings."""
    for at, owner in enumerate(application.owners):
        yield from _ends_late_enough(f"/owners/{at}/ownerSince", owner.owner_since, owner.birth_date, "birthDate")
        for nth, paper in enumerate(owner.identity_documents):
            pointer = f"/owners/{at}/identityDocuments/{nth}/expiresOn"
            yield from _ends_late_enough(pointer, paper.expires_on, paper.issued_on, "issuedOn")
    for at, loan in enumerate(application.existing_loans):
        yield from _ends_late_enough(f"/existingLoans/{at}/endsOn", loan.ends_on, loan.started_on, "startedOn")
    papers: Iterable[tuple[str, Any]] = [("invoices", each) for each in enumerate(application.invoices)]
    papers = [*papers, *(("tradeDocuments", each) for each in enumerate(application.trade_documents))]
    for name, (at, paper) in papers:
        yield from _ends_late_enough(f"/{name}/{at}/dueOn", paper.due_on, paper.issued_on, "issuedOn")


def _ends_late_enough(
    pointer: str, end: dt.date | SensitiveDate | None, begin: dt.date | SensitiveDate | None, other: str
) -> Iterator[FieldProblem]:
    if end is not None and begin is not None and _date(end) < _date(begin):
        yield problem(pointer, "before-begin", f"must not be before {other}")


def _date(day: dt.date | SensitiveDate) -> dt.date:
    return day.date() if isinstance(day, SensitiveDate) else day


def _ownership(application: Application) -> Iterator[FieldProblem]:
    if sum(owner.ownership_percent or 0 for owner in application.owners) > 100:
        yield problem("/owners", "ownership-over-100", "the shares of all owners must not add up to more than 100")


def _currencies(application: Application) -> Iterator[FieldProblem]:
    for pointer, money in amounts(application):
        if money.currency not in CURRENCIES:
            yield problem(f"{pointer}/currency", "currency-unknown", "must be a currency code of ISO 4217 in use")


def _consents(application: Application) -> Iterator[FieldProblem]:
    if not any(each.kind == ConsentKind.SHARE_WITH_PARTNERS for each in application.consents):
        message = "a consent of kind share-with-partners is required: without it nothing can be sent to anybody"
        yield problem("/consents", "consent-missing", message)


def _uploads(application: Application, files: Mapping[str, str]) -> Iterator[FieldProblem]:
    """References lead to an entry of `uploads`, and each entry to a file. A file is uploaded for an application that
    is there, so a first revision can name none.
    """
    named: set[str] = set()
    for at, upload in enumerate(application.uploads):
        if upload.id not in files:
            message = "no file of this id was uploaded for this application; leave the entry out and upload the file"
            yield problem(f"/uploads/{at}/id", "upload-unknown", message)
        elif files[upload.id] != upload.sha256:
            yield problem(f"/uploads/{at}/sha256", "upload-differs", "must be the hash of the file that was uploaded")
        if upload.id in named:
            yield problem(f"/uploads/{at}/id", "id-repeated", "must be different from the ids before it")
        named.add(upload.id)
        if upload.owner is not None and upload.owner >= len(application.owners):
            yield problem(f"/uploads/{at}/owner", "owner-unknown", "must be the index of an owner")
    for pointer, reference in _upload_references(application):
        if reference is not None and reference not in named:
            yield problem(pointer, "upload-not-listed", "must be the id of an entry of uploads")


def _upload_references(application: Application) -> Iterator[tuple[str, str | None]]:
    for at, owner in enumerate(application.owners):
        for nth, paper in enumerate(owner.identity_documents):
            yield f"/owners/{at}/identityDocuments/{nth}/uploadId", paper.upload_id
    for at, invoice in enumerate(application.invoices):
        yield f"/invoices/{at}/uploadId", invoice.upload_id
    for at, document in enumerate(application.trade_documents):
        yield f"/tradeDocuments/{at}/uploadId", document.upload_id


def amounts(part: BaseModel, at: str = "") -> Iterator[tuple[str, Money]]:
    """Every amount of money in `part`, with its pointer."""
    for name, alias in _paths_to_money(type(part)):
        value = getattr(part, name)
        if isinstance(value, Money):
            yield f"{at}/{alias}", value
        elif isinstance(value, BaseModel):
            yield from amounts(value, f"{at}/{alias}")
        elif value:
            for nth, each in enumerate(value):
                yield from amounts(each, f"{at}/{alias}/{nth}")


@cache
def _paths_to_money(model: type[BaseModel]) -> tuple[tuple[str, str], ...]:
    """Names and wire names of the fields of `model` below which money can stand."""
    return tuple(
        (name, field.alias or name)
        for name, field in model.model_fields.items()
        if any(issubclass(part, Money) or _paths_to_money(part) for part in _models_in(field.annotation))
    )


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _models_in(inner)
