"""Page tokens: where the next page begins, bound to the tenant and the question they were given for."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import json
from typing import Any

from lendrail.gateway.store import NEWEST_FIRST
from lendrail.runtime.http import Problem
from lendrail.runtime.mongo import Document

_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
assert [name for name, _ in NEWEST_FIRST] == ["received", "_id"]


def question_of(tenant: str, mode: str, reference: str | None, system: str | None) -> str:
    """Names the list that a token belongs to, without showing it."""
    return hashlib.sha256(json.dumps([tenant, mode, reference, system]).encode()).hexdigest()[:16]


def token_after(document: Document, question: str) -> str:
    """The token of the page that begins after `document`."""
    place = [(document["received"] - _EPOCH) // dt.timedelta(milliseconds=1), document["_id"], question]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def older_than(token: str, question: str) -> Document:
    """The condition of the page that `token` names. Raises `Problem` 400."""
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        place: Any = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        milliseconds, application, asked = place
        if asked != question or not isinstance(milliseconds, int) or not isinstance(application, str):
            raise ValueError
        received = _EPOCH + dt.timedelta(milliseconds=milliseconds)
    except (ValueError, TypeError, OverflowError, OSError, binascii.Error, UnicodeError):
        raise Problem(400, "page-token-invalid", "Use the pageToken of the page before, with the same query.") from None
    return {"$or": [{"received": {"$lt": received}}, {"received": received, "_id": {"$lt": application}}]}
