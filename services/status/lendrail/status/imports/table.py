"""A CSV file, piece by piece, in memory that does not grow with it. Every line of the file is in exactly one record.

A quote that is never closed would swallow the rows behind it, so a record that goes over several lines is believed only
while none of these lines could be a row of its own. Otherwise its first line is told as broken, and reading goes on
with the next one. Pure.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass

MOST_BYTES = 256 * 1024
"""Of one line, and of one record."""
MOST_LINES = 50
"""Of one record."""
QUOTE = '"'
_UTF8, _UTF16 = codecs.BOM_UTF8, (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LOST = "\ufffd"

csv.field_size_limit(MOST_BYTES)


@dataclass(frozen=True, slots=True)
class Record:
    """One row as it stands. `cells` is empty for a blank line, and where `fault` says why it cannot be read."""

    line: int
    """Where it begins, from 1."""
    lines: int
    text: str = ""
    cells: tuple[str, ...] = ()
    fault: str | None = None


class Lines:
    """Bytes into lines, whatever ends them; None in place of a line that is too long to be held."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self._begun, self._over = False, False
        self._head = self._rest = b""
        self._held = False
        self._utf16: codecs.IncrementalDecoder | None = None

    def feed(self, data: bytes) -> list[bytes | None]:
        if not self._begun:
            self._head += data
            if len(self._head) < 4:
                return []
            data = self._begin()
        return self._split(self._plain(data, final=False))

    def end(self) -> list[bytes | None]:
        found = self._split(self._plain(b"" if self._begun else self._begin(), final=True) + b"\n" * self._held)
        rest, self._rest = self._rest, b""
        return found + ([None] if self._over else [rest] if rest else [])

    def _begin(self) -> bytes:
        """A byte order mark says more than what was agreed."""
        data, self._head, self._begun = self._head, b"", True
        if data.startswith(_UTF8):
            self.encoding, data = "utf-8", data[len(_UTF8) :]
        elif data.startswith(_UTF16) or self.encoding == "utf-16":
            self.encoding = "utf-16"
            self._utf16 = codecs.getincrementaldecoder("utf-16")("replace")
        return data

    def _plain(self, data: bytes, *, final: bool) -> bytes:
        """In an encoding whose line ends are single bytes, and with `\\n` only."""
        if self._utf16 is not None:
            data = self._utf16.decode(data, final).encode("utf-8", "replace")
        if self._held:
            data = b"\r" + data
        self._held = data.endswith(b"\r") and not final
        if self._held:
            data = data[:-1]
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data

    def _split(self, data: bytes) -> list[bytes | None]:
        parts = (self._rest + data).split(b"\n")
        self._rest = parts.pop()
        found: list[bytes | None] = [part if len(part) <= MOST_BYTES else None for part in parts]
        if found and self._over:
            found[0], self._over = None, False
        if len(self._rest) > MOST_BYTES:
            self._rest, self._over = b"", True
        return found


class Table:
    """Records. While `delimiter` is not set they are texts without cells, so that whoever reads the first one can say
    what separates its columns, and how many there are.
    """

    def __init__(self, encoding: str) -> None:
        self._lines = Lines(encoding)
        self.delimiter, self.width = "", 0
        self.count = 0
        """Lines so far."""
        self._held: list[str] = []
        self._first, self._quotes, self._size = 0, 0, 0

    def feed(self, data: bytes) -> Iterator[Record]:
        for line in self._lines.feed(data):
            yield from self._line(line)

    def end(self) -> Iterator[Record]:
        """What the last bytes leave."""
        for line in self._lines.end():
            yield from self._line(line)
        if self._held:
            yield from self._broken()

    def _line(self, line: bytes | None) -> Iterator[Record]:
        self.count += 1
        text, fault = self._decoded(line)
        if fault is None:
            yield from self._text(self.count, text)
            return
        number = self.count
        if self._held:
            yield from self._broken()
        yield Record(number, 1, fault=fault)

    def _decoded(self, line: bytes | None) -> tuple[str, str | None]:
        if line is None:
            return "", "line-too-long"
        if b"\0" in line:
            return "", "nul"
        try:
            text = line.decode("utf-8" if self._lines.encoding == "utf-16" else self._lines.encoding)
        except UnicodeDecodeError:
            return "", "encoding"
        return text, "encoding" if self._lines.encoding == "utf-16" and _LOST in text else None

    def _text(self, number: int, text: str) -> Iterator[Record]:
        quotes = text.count(QUOTE)
        if not self._held:
            if quotes % 2 == 0:
                yield self._record(number, [text])
                return
            self._first, self._quotes, self._size = number, 0, 0
        self._held.append(text)
        self._quotes += quotes
        self._size += len(text) + 1
        if self._quotes % 2 == 0:
            yield from self._joined()
        elif len(self._held) >= MOST_LINES or self._size > MOST_BYTES or self._is_row(len(self._held) - 1):
            yield from self._broken()

    def _joined(self) -> Iterator[Record]:
        """A record of several lines, unless it is none."""
        record = self._record(self._first, self._held)
        fits = not self.delimiter or (record.fault is None and len(record.cells) == self.width)
        if fits and not any(map(self._is_row, range(1, len(self._held)))):
            self._held = []
            yield record
        else:
            yield from self._broken()

    def _is_row(self, index: int) -> bool:
        """Whether this held line could stand alone; the first one is open, or it would not be held."""
        text = self._held[index]
        if index == 0 or self.width < 2 or text.count(QUOTE) % 2:
            return False
        return len(self._record(0, [text]).cells) == self.width

    def _broken(self) -> Iterator[Record]:
        held, first, self._held = self._held, self._first, []
        yield Record(first, 1, fault="unbalanced-quote")
        for number, text in enumerate(held[1:], first + 1):
            yield from self._text(number, text)

    def _record(self, number: int, lines: list[str]) -> Record:
        text = "\n".join(lines)
        if not self.delimiter:
            return Record(number, len(lines), text)
        if QUOTE not in text:
            cells = text.split(self.delimiter)
        else:
            try:
                cells = split(text, self.delimiter)
            except csv.Error:
                return Record(number, len(lines), fault="unbalanced-quote")
        return Record(number, len(lines), text, tuple(cells) if any(map(str.strip, cells)) else ())


def split(text: str, delimiter: str) -> list[str]:
    """The cells of one row. Raises csv.Error."""
    return next(csv.reader([text], delimiter=delimiter, strict=True), [])
