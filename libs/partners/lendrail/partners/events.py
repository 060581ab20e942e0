"""Where a partner's call names the event that it tells of, by which a repeat is known whenever it comes."""

from __future__ import annotations

from collections.abc import Callable

from lendrail.partners import reading
from lendrail.partners.signatures import Headers

EventId = Callable[[Headers, bytes], str | None]
LONGEST = 256


def in_header(name: str) -> EventId:
    """The value of a header that comes once."""
    wanted = name.lower().encode()

    def read(headers: Headers, body: bytes) -> str | None:
        found = [value for each, value in headers if each.lower() == wanted]
        if len(found) != 1 or not 0 < len(found[0]) <= LONGEST or not found[0].isascii():
            return None
        text = found[0].decode("ascii")
        return text if text.isprintable() else None

    return read


def in_body(name: str) -> EventId:
    """A text of the JSON object."""

    def read(headers: Headers, body: bytes) -> str | None:
        value = (reading.json_object(body) or {}).get(name)
        return value if isinstance(value, str) and 0 < len(value) <= LONGEST and value.isprintable() else None

    return read
