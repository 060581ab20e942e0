"""What a tenant has to do next about an opportunity, and how: the same in the API, in notices and in letters. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Literal

from lendrail.contracts.sensitive import SensitiveText
from lendrail.contracts.terms import FieldProblem, Model, Status, Wanted


class Way(Model):
    """A request that brings it to the partner."""

    what: Literal["document", "correction"]
    method: Literal["POST", "PUT"]
    path: str


class ToDo(Model):
    """`items` are what the partner wants; `ways` how to send it. Faulty fields are named by the problems beside it."""

    items: tuple[Wanted, ...] = ()
    ways: tuple[Way, ...] = ()


def to_do(
    status: Status,
    application_id: uuid.UUID,
    wanted: Sequence[Wanted],
    missing_info: SensitiveText | None,
    problems: Sequence[FieldProblem],
) -> ToDo | None:
    """None while nothing is asked of the tenant. A text that is not a list is one item: nobody guesses its parts."""
    if status is not Status.INFO_REQUIRED:
        return None
    items = tuple(wanted) or ((Wanted(words=missing_info),) if missing_info else ())
    here = f"/v1/applications/{application_id}"
    document = Way(what="document", method="POST", path=f"{here}/documents")
    correction = Way(what="correction", method="PUT", path=here)
    return ToDo(items=items, ways=(correction,) if problems and not items else (document, correction))
