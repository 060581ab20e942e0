"""JSON from outside, read without mercy (RFC 8259 as interoperable systems need it).

Python's reader takes NaN, keeps the last of two equal names and turns amounts into floats; each of these has moved
money
to the wrong place somewhere. Here they are faults, reported without quoting the input.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

MAX_DEPTH = 64
_BRACKETS = re.compile(r"[\[\]{}]")
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")


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
    value = _parsed(text)
    if _HALF_CHARACTER.search(text) and _has_half_character(value):
        raise BadJson("a text holds half of a surrogate pair")
    return value


def _parsed(text: str) -> Any:
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


def _has_half_character(value: Any) -> bool:
    """Whether some text cannot be written as UTF-8 (RFC 8259, section 8.2)."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return True
    return False


def _depth(text: str) -> int:
    """Upper bound of the nesting: brackets inside strings count too, which only real documents of absurd size
    notice.
    """
    depth = deepest = 0
    for bracket in _BRACKETS.findall(text):
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest
