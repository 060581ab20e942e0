"""A whole file into rows: finds the header, checks it, reads what is behind it. Pure: a file that is read again gives
the same rows.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lendrail.contracts.files import FileFormat, plain
from lendrail.status.imports.cells import Cell
from lendrail.status.imports.rows import Reader, Row
from lendrail.status.imports.table import Record, Table, split

MOST_COLUMNS = 500
SEPARATORS = (",", ";", "\t", "|")
MOST_NAMED = 20


class Refused(Exception):
    """A file of which nothing is read; `code` is one of `says.REFUSALS`, `columns` are headers of the format."""

    def __init__(self, code: str, columns: Iterable[str] = ()) -> None:
        super().__init__(code)
        self.code, self.columns = code, tuple(columns)[:MOST_NAMED]


@dataclass
class Tally:
    """What became of all lines of a file."""

    lines: int = 0
    blank: int = 0
    rows: int = 0


class Sheet:
    """Reads rows once the header is known."""

    def __init__(self, format: FileFormat, received: dt.datetime, as_of: dt.datetime | None) -> None:
        self._format, self._received, self._as_of = format, received, as_of
        self._reader: Reader | None = None
        self.width = 0
        self.tally = Tally()

    @property
    def begun(self) -> bool:
        return self._reader is not None

    def begin(self, header: Sequence[str]) -> None:
        """Raises `Refused`."""
        columns = columns_of(header)
        lacking = missing(self._format, columns.keys())
        if lacking:
            raise Refused("columns-missing", lacking)
        names = [plain(each) for each in header]
        twice = [each for each in self._format.headers if names.count(plain(each)) > 1]
        if twice:
            raise Refused("column-twice", twice)
        self.width = len(header)
        self._reader = Reader(self._format, columns, self._received, self._as_of)

    def row(self, line: int, cells: Sequence[Cell]) -> Row:
        assert self._reader is not None
        self.tally.rows += 1
        if len(cells) != self.width:
            code = "too-few-columns" if len(cells) < self.width else "too-many-columns"
            return Row(line, faults=((code, ""),))
        return self._reader.row(line, cells)

    def fault(self, line: int, code: str) -> Row:
        self.tally.rows += 1
        return Row(line, faults=((code, ""),))


def columns_of(header: Sequence[str]) -> dict[str, int]:
    """Where each named column stands."""
    return {plain(name): at for at, name in enumerate(header) if plain(name)}


def missing(format: FileFormat, names: Iterable[str]) -> list[str]:
    """Headers that a file lacks; empty where it has all that it needs."""
    there = set(names)

    def has(headers: Iterable[str | None]) -> bool:
        return any(plain(each) in there for each in headers if each is not None)

    lacking = [each for each in format.headers if each in format.needed and plain(each) not in there]
    if not has(format.keys.values()):
        lacking += format.keys.values()
    if not has((*format.events.values(), format.status)):
        lacking += [*([format.status] if format.status else []), *format.events.values()]
    return list(dict.fromkeys(lacking))


class CsvReading:
    """The rows of a CSV file, from its bytes."""

    def __init__(self, format: FileFormat, received: dt.datetime, as_of: dt.datetime | None) -> None:
        self._format = format
        self._table, self.sheet = Table(format.encoding), Sheet(format, received, as_of)

    @property
    def tally(self) -> Tally:
        return self.sheet.tally

    def feed(self, data: bytes) -> Iterator[Row]:
        """Raises `Refused`."""
        yield from self._rows(self._table.feed(data))

    def end(self) -> Iterator[Row]:
        """Raises `Refused`."""
        yield from self._rows(self._table.end())
        if not self.sheet.begun or self.tally.rows == 0:
            raise Refused("empty")

    def _rows(self, records: Iterator[Record]) -> Iterator[Row]:
        for record in records:
            self.tally.lines += record.lines
            if not self.sheet.begun:
                self._header(record)
            elif record.fault is not None:
                yield self.sheet.fault(record.line, record.fault)
            elif not record.cells:
                self.tally.blank += record.lines
            else:
                yield self.sheet.row(record.line, record.cells)

    def _header(self, record: Record) -> None:
        """Lines before the header must be blank."""
        if record.fault is not None:
            raise Refused("header-unreadable")
        if not record.text.strip("".join(SEPARATORS) + ' "\r\n'):
            self.tally.blank += record.lines
            return
        delimiter = self._delimiter(record.text)
        try:
            header = split(record.text, delimiter)
        except csv.Error:
            raise Refused("header-unreadable") from None
        if len(header) > MOST_COLUMNS:
            raise Refused("too-many-columns")
        self.sheet.begin(header)
        self._table.delimiter, self._table.width = delimiter, len(header)

    def _delimiter(self, text: str) -> str:
        """What is agreed; else the first that gives all columns that are needed. Raises `Refused`."""
        fitting = [each for each in SEPARATORS if self._fits(text, each)]
        if self._format.delimiter == "auto":
            return fitting[0] if fitting else ","
        if fitting and self._format.delimiter not in fitting:
            raise Refused("delimiter")
        return self._format.delimiter

    def _fits(self, text: str, delimiter: str) -> bool:
        try:
            return not missing(self._format, columns_of(split(text, delimiter)))
        except csv.Error:
            return False
