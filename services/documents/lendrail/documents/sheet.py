"""What a sheet says, without how it looks: plain values that travel to the process that draws it."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

LONGEST_CELL = 32_767
"""Characters that a cell of a spreadsheet takes."""
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write (https://www.w3.org/TR/xml/#charsets): control and half characters."""

Amount = tuple[float, str]
"""A number and its currency code."""
Cell = str | Amount | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels with one value each."""

    heading: str
    rows: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, slots=True)
class Table:
    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    title: str
    subtitle: str
    made: dt.datetime
    """Written into the file as its date; the same for every rendering."""
    sections: tuple[Facts | Table, ...]


def clean(text: str) -> str:
    """Text as a cell can hold it."""
    text = _NOT_IN_XML.sub("\ufffd", text)
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"
