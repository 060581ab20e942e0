"""Rows of an XLSX file. Its ZIP directory is looked at before anything is unpacked, so that a small file cannot become
a large one; formulas are told and not computed.
"""

from __future__ import annotations

import datetime as dt
import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from openpyxl import load_workbook
from openpyxl.cell.read_only import EmptyCell

from lendrail.contracts.files import FileFormat
from lendrail.status.imports.cells import Cell
from lendrail.status.imports.reading import MOST_COLUMNS, Refused, Sheet, Tally
from lendrail.status.imports.rows import Row

MOST_BYTES = 32 * 1024 * 1024
"""Of a workbook, which is held whole."""
MOST_UNPACKED = 1024 * 1024 * 1024
MOST_STRINGS = 64 * 1024 * 1024
"""Of the part with all its texts, which is held whole too."""
MOST_PARTS = 2000
MOST_DIRECTORY = 512 * 1024
MOST_NUMBER = 10**300
MOST_RATIO = 250
"""Times that a part may be larger than it is packed; tables reach 20."""
MOST_ROWS = 1_048_576
"""As many as a sheet can have."""
MAGIC, OLD = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, ValueError, OverflowError, OSError, EOFError,
    SyntaxError, KeyError, TypeError, AttributeError, IndexError, AssertionError, RuntimeError,
)  # fmt: skip
"""What openpyxl raises over files that are none; SyntaxError is that of its XML."""


class WorkbookReading:
    """The rows of a workbook's one sheet."""

    def __init__(self, format: FileFormat, received: dt.datetime, as_of: dt.datetime | None) -> None:
        self._format = format
        self.sheet = Sheet(format, received, as_of)

    @property
    def tally(self) -> Tally:
        return self.sheet.tally

    def rows(self, content: bytes) -> Iterator[Row]:
        """Raises `Refused`."""
        check(content)
        for line, cells in self._lines(content):
            if self.sheet.begun:
                yield self._row(line, cells)
            else:
                self._begin(cells)
        if not self.sheet.begun or self.tally.rows == 0:
            raise Refused("empty")

    def _lines(self, content: bytes) -> Iterator[tuple[int, Sequence[Any]]]:
        """Those that hold something; only here a file can make openpyxl fail."""
        try:
            book = load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)
            for line, cells in enumerate(self._chosen(book).iter_rows(), start=1):
                if line > MOST_ROWS:
                    raise Refused("workbook-damaged")
                self.tally.lines += 1
                if all(isinstance(cell, EmptyCell) or cell.value is None for cell in cells):
                    self.tally.blank += 1
                else:
                    yield line, cells
        except _DAMAGED:
            raise Refused("workbook-damaged") from None

    def _chosen(self, book: Any) -> Any:
        sheets = list(book.worksheets)
        for each in sheets:
            each.reset_dimensions()  # what a file says of its own size is not believed
        if self._format.sheet is not None:
            named = [each for each in sheets if each.title == self._format.sheet]
            if not named:
                raise Refused("sheet-missing")
            return named[0]
        filled = [each for each in sheets if _has_content(each)]
        if len(filled) > 1:
            raise Refused("several-sheets")
        if not filled:
            raise Refused("empty")
        return filled[0]

    def _begin(self, cells: Sequence[Any]) -> None:
        header = ["" if cell.value is None else str(cell.value) for cell in cells]
        while header and not header[-1].strip():
            header.pop()
        if len(header) > MOST_COLUMNS:
            raise Refused("too-many-columns")
        self.sheet.begin(header)

    def _row(self, line: int, cells: Sequence[Any]) -> Row:
        """A row ends where its last filled cell is, so a short one is whole."""
        read = [_value(cell) for cell in cells]
        while len(read) > self.sheet.width and read[-1] is None:
            read.pop()
        return self.sheet.row(line, read + [None] * (self.sheet.width - len(read)))


def check(content: bytes) -> None:
    """Raises `Refused` before anything is unpacked."""
    if content.startswith(OLD):
        raise Refused("xls")
    if len(content) > MOST_BYTES:
        raise Refused("workbook-too-large")
    parts = _directory(content)
    names = {each.filename for each in parts}
    if any(each.flag_bits & 1 for each in parts):
        raise Refused("xls")
    if any(name.endswith("vbaProject.bin") or "/macrosheets/" in name for name in names):
        raise Refused("macros")
    if "[Content_Types].xml" not in names or not any(re.fullmatch(r"xl/workbook\d*\.xml", name) for name in names):
        raise Refused("program")
    if len(names) != len(parts):
        raise Refused("workbook-damaged")
    strings = max((each.file_size for each in parts if "sharedstrings" in each.filename.lower()), default=0)
    packed = any(each.file_size > MOST_RATIO * max(each.compress_size, 4096) for each in parts)
    if packed or strings > MOST_STRINGS or sum(each.file_size for each in parts) > MOST_UNPACKED:
        raise Refused("workbook-too-large")


def _directory(content: bytes) -> list[zipfile.ZipInfo]:
    """Its reader believes whatever size the end states, so that is looked at before."""
    tail = content[-(65_535 + 22 + 20) :]
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) - end < 22:
        raise Refused("workbook-damaged")
    if int.from_bytes(tail[end + 12 : end + 16], "little") > MOST_DIRECTORY or b"PK\x06\x07" in tail:
        raise Refused("workbook-too-large")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
    except _DAMAGED:
        raise Refused("workbook-damaged") from None
    if len(parts) > MOST_PARTS:
        raise Refused("workbook-too-large")
    return parts


def _has_content(sheet: Any) -> bool:
    return any(not isinstance(cell, EmptyCell) and cell.value is not None for row in sheet.iter_rows() for cell in row)


def _value(cell: Any) -> Cell:
    """A formula as it begins, an error of the spreadsheet and a number that is none as NaN: both are at fault where
    their column is read.
    """
    value = None if isinstance(cell, EmptyCell) else cell.value
    if value is None:
        return None
    if cell.data_type in ("f", "e"):
        return "=" if cell.data_type == "f" else math.nan
    if isinstance(value, str | dt.datetime):
        return value
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return float(value) if abs(value) < MOST_NUMBER else math.nan
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time())
    return str(value)
