"""Pieces of Markdown that read the same on a screen and in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """With an empty line after it; nothing at all where there are no rows."""
    lines = [_row(each) for each in rows]
    if lines:
        yield from (_row(head), "|" + "---|" * len(head), *lines, "")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(each.replace('|', '&#124;') or ' ' for each in cells)} |"


def code(word: str) -> str:
    return f"`{word}`"


def listed(words: Iterable[str], nothing: str = "none") -> str:
    return ", ".join(words) or nothing


def duration(seconds: float | None) -> str:
    """In the largest unit that needs no fraction."""
    if seconds is None:
        return ""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def wrapped(text: str) -> list[str]:
    """A paragraph or a point of a list in lines of at most 120 characters."""
    indent = "  " if text.startswith("- ") else ""
    return textwrap.wrap(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
