"""Page tokens: where the next page begins, bound to the tenant and the question they were given for."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from lendrail.runtime.http import Problem

MAX_TOKEN = 400


@dataclass(frozen=True)
class Place:
    """The last entry that was shown, and in a walk along changes the time at which the walk ends."""

    after: str
    until: dt.datetime | None = None


def token_of(place: Place, question: str) -> str:
    said = [place.after, place.until and place.until.isoformat(), question]
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")


def place_of(token: str, question: str) -> Place:
    """Raises `Problem` 400 for what is no token of this question."""
    try:
        if len(token) > MAX_TOKEN:
            raise ValueError
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        said: Any = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        after, until, asked = said
        if asked != question or not isinstance(after, str):
            raise ValueError
        return Place(after, None if until is None else _time(until))
    except (ValueError, TypeError, RecursionError, binascii.Error, UnicodeError):
        raise Problem(400, "page-token-invalid", "Use the pageToken of the page before, with the same query.") from None


def _time(text: Any) -> dt.datetime:
    time = dt.datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError
    return time
