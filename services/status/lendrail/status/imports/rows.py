"""What one row says, by the facts of its format. Pure; nothing is guessed, and no cell is quoted in a fault."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from lendrail.contracts.files import LIFE, FileFormat, ValueKind, plain
from lendrail.contracts.terms import Status
from lendrail.status.imports.cells import Cell, Unfit, identity, read_time, serial, text_of

STATUS = "status"
"""Name of the event that a status word states; the others are called as their status is."""
LONGEST_WORD, LONGEST_TEXT = 80, 500
EARLIEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
AHEAD = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Event:
    """What was so from a time on."""

    name: str
    status: Status | None
    words: str
    time: dt.datetime
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """What a row says; `faults` are codes with the header that each is about."""

    line: int
    keys: dict[str, str] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    faults: tuple[tuple[str, str], ...] = ()


class Reader:
    """Reads the rows of one file; `columns` says where each header that we know stands."""

    def __init__(
        self, format: FileFormat, columns: dict[str, int], received: dt.datetime, as_of: dt.datetime | None
    ) -> None:
        self._format = format
        self._at = {header: columns[plain(header)] for header in format.headers if plain(header) in columns}
        self._keyed = {kind: header for kind, header in format.keys.items() if header in self._at}
        self._timed = {status: header for status, header in format.events.items() if header in self._at}
        self._valued = {kind: header for kind, header in format.values.items() if header in self._at}
        self._zone = ZoneInfo(format.timezone)
        self._latest, self._as_of = received + AHEAD, as_of
        self._words = {plain(word): status for word, status in format.words.items()}
        thousands, point = (",", r"\.") if format.decimal == "." else (r"\.", ",")
        groups = rf"[0-9]{{1,3}}(?:{thousands}[0-9]{{3}})+|[0-9]{{1,15}}"
        self._number = re.compile(rf"(?:{groups})(?:{point}[0-9]{{1,6}})?")

    def row(self, line: int, cells: Sequence[Cell]) -> Row:
        """What is not at fault is told, whatever else is; but nothing at all where it is not sure whose it is."""
        faults: list[tuple[str, str]] = []
        keys = self._keys(cells, faults)
        if faults or not keys:
            return Row(line, faults=tuple(faults) or (("id-missing", ""),))
        events = self._events(cells, faults)
        if not events and not faults:
            return Row(line, keys, faults=(("nothing-said", ""),))
        if events:
            values = self._values(cells, faults)
            newest = events[-1]
            events[-1] = Event(newest.name, newest.status, newest.words, newest.time, values)
        return Row(line, keys, tuple(events), tuple(faults))

    def _cell(self, cells: Sequence[Cell], header: str | None, *, own: bool = False) -> Cell:
        """What stands there, without blanks around it; None where nothing does. `own`: whoever writes it may begin it
        as they like, save as a formula is saved. Raises `Unfit`.
        """
        at = self._at.get(header) if header is not None else None
        value = cells[at] if at is not None else None
        if isinstance(value, float) and math.isnan(value):
            raise Unfit("cell-error")
        if not isinstance(value, str):
            return value
        value = value.strip()
        signed = value[:1] == "@" or (value[:1] in ("+", "-") and not value[1:2].isdigit() and len(value) > 1)
        if value[:1] == "=" or (signed and not own):
            raise Unfit("formula")
        return value or None

    def _keys(self, cells: Sequence[Cell], faults: list[tuple[str, str]]) -> dict[str, str]:
        found: dict[str, str] = {}
        for kind, header in self._keyed.items():
            try:
                value = self._cell(cells, header, own=True)
                if value is not None:
                    found[kind] = identity(kind, value)
            except Unfit as unfit:
                faults.append((unfit.code, header))
        return found

    def _events(self, cells: Sequence[Cell], faults: list[tuple[str, str]]) -> list[Event]:
        """In the order in which they were so; of one moment in the order of a deal's life."""
        found = [event for event in [self._word(cells, faults)] if event is not None]
        told = {(event.status, event.time) for event in found}
        for status, header in self._timed.items():
            try:
                cell = self._cell(cells, header)
                if cell is None:
                    continue
                time = self._time(cell)
            except Unfit as unfit:
                faults.append((unfit.code, header))
                continue
            if (status, time) not in told:
                found.append(Event(status.value, status, header, time))
        return sorted(found, key=lambda each: (each.time, _place(each.status)))

    def _word(self, cells: Sequence[Cell], faults: list[tuple[str, str]]) -> Event | None:
        header, at = self._format.status, self._format.at
        if header is None:
            return None
        try:
            word = self._cell(cells, header)
            if word is not None:
                word = text_of(word, LONGEST_WORD, "word-unreadable")
        except Unfit as unfit:
            faults.append((unfit.code, header))
            return None
        try:
            cell = self._cell(cells, at)
            if word is None:
                if cell is not None:
                    raise Unfit("status-missing")
                return None
            if cell is None and self._as_of is None:
                raise Unfit("time-missing")
            time = self._time(cell) if cell is not None else self._as_of
        except Unfit as unfit:
            faults.append((unfit.code, at or header))
            return None
        assert time is not None
        return Event(STATUS, self._words.get(plain(word)), word, time)

    def _time(self, cell: Cell) -> dt.datetime:
        """Raises `Unfit`."""
        time = self._moment(cell)
        if time is None:
            raise Unfit("time")
        try:
            time = (time if time.tzinfo else time.replace(tzinfo=self._zone)).astimezone(dt.UTC)
        except (ValueError, OverflowError):
            raise Unfit("time") from None
        if time < EARLIEST:
            raise Unfit("time-too-old")
        if time > self._latest:
            raise Unfit("time-in-future")
        return time.replace(microsecond=time.microsecond // 1000 * 1000)

    def _moment(self, cell: Cell) -> dt.datetime | None:
        if isinstance(cell, dt.datetime):
            return cell
        if isinstance(cell, float):
            return serial(cell) if "excel" in self._format.dates else None
        if cell is None or not cell.isascii() or len(cell) > 64:
            return None
        for way in self._format.dates:
            found = read_time(cell, way)
            if found is not None:
                return found
        return None

    def _values(self, cells: Sequence[Cell], faults: list[tuple[str, str]]) -> dict[str, str]:
        found: dict[str, str] = {}
        for kind, header in self._valued.items():
            try:
                cell = self._cell(cells, header)
                if cell is not None:
                    found[kind] = self._value(kind, cell)
            except Unfit as unfit:
                faults.append((unfit.code, header))
        if "commission" in found and "currency" not in found:
            faults.append(("currency", self._format.values["commission"]))
            del found["commission"]
        found.pop("currency", None) if "commission" not in found else None
        return found

    def _value(self, kind: ValueKind, cell: Cell) -> str:
        """As it is written in our own models. Raises `Unfit`."""
        match kind:
            case "commission" | "closeChance":
                number = self._decimal(cell)
                if kind == "closeChance" and number > 100:
                    raise Unfit("number")
                return format(number, "f")
            case "currency":
                if not isinstance(cell, str) or not re.fullmatch(r"[A-Z]{3}", cell):
                    raise Unfit("currency")
                return cell
            case "closesOn":
                found = self._moment(cell)
                if found is None:
                    raise Unfit("time")
                return found.date().isoformat()
            case _:
                return text_of(cell, LONGEST_TEXT, "text")

    def _decimal(self, cell: Cell) -> Decimal:
        if isinstance(cell, float):
            number = Decimal(repr(cell))
            if not 0 <= number < 10**15 or round(number, 6) != number:
                raise Unfit("number")
            return number
        if not isinstance(cell, str) or not self._number.fullmatch(cell):
            raise Unfit("number")
        if self._format.decimal == ",":
            return Decimal(cell.replace(".", "").replace(",", "."))
        return Decimal(cell.replace(",", ""))


def _place(status: Status | None) -> int:
    return LIFE.index(status) if status is not None else len(LIFE)


def told(row: Row) -> list[Any]:
    """A row as it goes from one process to the other."""
    events = [[e.name, e.status, e.words, e.time.isoformat(), e.values] for e in row.events]
    return [row.line, row.keys, events, row.faults]


def heard(said: Sequence[Any]) -> Row:
    """The other way."""
    line, keys, events, faults = said
    read = (
        Event(name, Status(status) if status else None, words, dt.datetime.fromisoformat(time), values)
        for name, status, words, time, values in events
    )
    return Row(line, keys, tuple(read), tuple((code, header) for code, header in faults))
