"""Ways to garble what a partner says, for the mapping tests of every partner."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
HOW = st.sampled_from(["removed", "retyped", "extended"])
Path = tuple[str | int, ...]


def paths(body: Any) -> list[Path]:
    """To every value of `body`."""
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    return [(key, *rest) for key, value in items for rest in [(), *paths(value)]]


def garbled(body: Any, path: Path, how: str, junk: Any) -> Any:
    """A copy in which one value is gone, is `junk`, or has `junk` beside it."""
    changed = copy.deepcopy(body)
    place = changed
    for step in path[:-1]:
        place = place[step]
    if how == "removed":
        del place[path[-1]]
    elif how == "retyped":
        place[path[-1]] = junk
    elif isinstance(place, dict):
        place["surprise"] = junk
    else:
        place.append(junk)
    return changed


def hostile(body: Any) -> list[bytes]:
    """Whole documents that no careful reader takes for `body`."""
    text = json.dumps(body)
    return [
        b"",
        b"<!DOCTYPE html><html><body>We will be back soon</body></html>",
        text[: len(text) // 2].encode(),
        text.encode("utf-16"),
        text.encode() + b"\xff",
        b"\xef\xbb\xbf" + text.encode(),
        (text[:-1] + ', "x": NaN}').encode(),
        (text[:-1] + ', "x": 1, "x": 2}').encode(),
        (text[:-1] + ', "x": ' + "[" * 50_000 + "]" * 50_000 + "}").encode(),
        (text[:-1] + ', "x": ' + "9" * 5_000 + "}").encode(),
        f"[{text}]".encode(),
        b"null",
    ]
