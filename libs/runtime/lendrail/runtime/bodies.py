"""Bodies of people's requests, and the key under which a request that changes something is carried out once: it rests
with the answer beside the audit entry of what was changed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from fastapi import Request
from pydantic import ValidationError

from lendrail.contracts.problems import problems_of, unknown_fields
from lendrail.contracts.terms import FieldProblem, Model
from lendrail.runtime.http import Problem
from lendrail.runtime.mongo import ASCENDING, Collection, Document

_M = TypeVar("_M", bound=Model)
ONCE = "audit.idempotency"


def checked(model: type[_M], body: Any) -> _M:
    """Raises `Problem` 422 that names every field at fault."""
    faults = [
        FieldProblem(pointer=p, code="unknown-field", message="is not known") for p in unknown_fields(model, body)
    ]
    try:
        told = model.model_validate(body)
    except ValidationError as error:
        raise Problem(422, "invalid-request", "The body is not valid.", errors=[*problems_of(error), *faults]) from None
    if faults:
        raise Problem(422, "invalid-request", "The body is not valid.", errors=faults)
    return told


def idempotency_key(request: Request) -> str:
    """Raises `Problem` 400."""
    name = request.headers.get("idempotency-key", "")
    if not re.fullmatch(r"[!-~]{1,255}", name):
        raise Problem(400, "idempotency-key-missing", "Send an Idempotency-Key of 1 to 255 visible ASCII characters.")
    return name


def fingerprint(told: Sequence[Any]) -> str:
    """What tells a request from another one under the same key, unreadable."""
    return hashlib.sha256(orjson.dumps(list(told))).hexdigest()


@dataclass(frozen=True, slots=True)
class Once:
    """The key of a request, and what tells it from another one under the same key."""

    name: str
    asked: str

    def beside(self, answer: Document) -> Document:
        """What rests beside the audit entry."""
        return {"idempotency": self.name, "fingerprint": self.asked, "answer": answer}


async def prepare(collection: Collection) -> None:
    """A key belongs to one entry."""
    there = {ONCE: {"$exists": True}}
    await collection.create_index([(ONCE, ASCENDING)], unique=True, partialFilterExpression=there)


async def answered_before(collection: Collection, once: Once) -> Document | None:
    """The answer of an earlier request with this key. Raises `Problem` when that was another request."""
    document = await collection.find_one({ONCE: once.name}, {"audit": 1})
    for entry in (document or {}).get("audit", ()):
        if entry.get("idempotency") == once.name:
            if entry["fingerprint"] != once.asked:
                raise Problem(422, "idempotency-key-reused", "This Idempotency-Key was used with another request.")
            answer: Document = entry["answer"]
            return answer
    return None
