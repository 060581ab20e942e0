"""Answers other than 2xx, as problem details (RFC 9457)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import orjson
from fastapi.responses import Response

from lendrail.contracts.terms import FieldProblem

RETRY_AFTER_SECONDS = 2
LONGEST_RETRY_SECONDS = 4
"""For those who were refused because too much was under way; each is told another time, so that not all come again at
once.
"""
PROBLEM_TYPE = "https://lendrail.example/problems/"


class Problem(Exception):
    """An answer other than 2xx. `detail` says what to change and never quotes the input."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: dict[str, str] | None = None,
        slow: bool = False,
    ) -> None:
        """`slow`: a time limit of ours ended it; see `admission`."""
        super().__init__(code)
        self.status, self.code, self.detail = status, code, detail
        self.errors, self.headers = tuple(errors), headers or {}
        self.slow = slow

    def response(self, request_id: str) -> Response:
        body: dict[str, Any] = {
            "type": PROBLEM_TYPE + self.code,
            "title": self.code.replace("-", " ").capitalize(),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "requestId": request_id,
        }
        if self.errors:
            body["errors"] = [error.model_dump(mode="json", by_alias=True, exclude_none=True) for error in self.errors]
        return Response(orjson.dumps(body), self.status, self.headers, "application/problem+json")


def unavailable(*, slow: bool = False) -> Problem:
    """Our store is away, or slow; nothing was half done, so the caller may simply repeat."""
    detail, headers = (
        "Temporarily unavailable; repeat the same request later.",
        {"Retry-After": str(RETRY_AFTER_SECONDS)},
    )
    return Problem(503, "unavailable", detail, headers=headers, slow=slow)


def overloaded() -> Problem:
    """Nothing of the request was read."""
    detail = "More is under way here than can be carried; repeat the same request later."
    return Problem(503, "overloaded", detail, headers=_some_time_later())


def too_many() -> Problem:
    """The same for one tenant, while there is room for others."""
    detail = "Too many of your requests are under way at once; repeat the same request later."
    return Problem(429, "too-many-requests", detail, headers=_some_time_later())


def _some_time_later() -> dict[str, str]:
    return {"Retry-After": str(random.randint(1, LONGEST_RETRY_SECONDS))}


def too_slow() -> Problem:
    """Who holds a place without using it is cut off."""
    detail = "The body did not come in time; nothing was stored."
    return Problem(408, "body-too-slow", detail, headers={"Connection": "close"})


def too_large(limit: int) -> Problem:
    """The connection stays open and the server discards the rest unread into memory: closing it at once resets it, and
    many clients then never see the answer.
    """
    return Problem(413, "too-large", f"The body may have at most {limit} bytes.")
