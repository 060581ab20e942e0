"""JSON from outside, read without mercy (RFC 8259 as interoperable systems need it).

Python's reader takes NaN, keeps the last of two equal names and turns amounts into floats; each of these has moved
money
to the wrong place somewhere. Here they are faults, reported without quoting the input.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

MAX_DEPTH = 64


class BadJson(ValueError):
    """The text is not JSON that we accept; the message says why and quotes nothing."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise BadJson("an object has the same name twice")
    return result


def _constant(_: str) -> Any:
    raise BadJson("NaN and Infinity are not JSON")


def _integer(text: str) -> int:
    if len(text) > 20:
        raise BadJson("a number has too many digits")
    return int(text)


def _number(text: str) -> Decimal:
    if len(text) > 40:
        raise BadJson("a number has too many digits")
    return Decimal(text)


def loads(data: bytes | str) -> Any:
    """Parse; numbers with a fraction become `Decimal`. Raises `BadJson`."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
    except UnicodeDecodeError:
        raise BadJson("the text is not UTF-8") from None
    if _depth(text) > MAX_DEPTH:
        raise BadJson(f"it is nested more than {MAX_DEPTH} levels deep")
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except BadJson:
        raise
    except (ValueError, RecursionError) as error:
        position = getattr(error, "pos", None)
        raise BadJson("it is not JSON" + (f" (at character {position})" if position is not None else "")) from None


def _depth(text: str) -> int:
    """Upper bound of the nesting: brackets inside strings count too, which only real documents of absurd size
    notice.
    """
    depth = deepest = 0
    for character in text if ("[" in text or "{" in text) else "":
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest
