"""Files of rows without a server: what an account agreed on its files, and what is read of one."""

from __future__ import annotations

import datetime as dt
import itertools

from lendrail.contracts.files import REFERENCE, FileFormat, format_of
from lendrail.contracts.terms import Status
from lendrail.status.imports.reading import CsvReading
from lendrail.status.imports.rows import Row

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
HEADER = "partnerId,status,statusAt\n"
CANARY = "Testa Fakely 900-12-3456"
"""What a file says of a person; no fault and no report may repeat it."""


def options(**told: str) -> dict[str, str]:
    return {f"import.{name}": value for name, value in told.items()}


def by(told: dict[str, str], statuses: dict[str, Status] | None = None) -> FileFormat:
    return format_of(None, statuses or {}, told)


def read(
    content: bytes | str, format: FileFormat = REFERENCE, piece: int = 7, as_of: dt.datetime | None = None
) -> list[Row]:
    data = content.encode() if isinstance(content, str) else content
    reading = CsvReading(with_words(format), NOW, as_of)
    rows = [row for at in range(0, len(data), piece) for row in reading.feed(data[at : at + piece])]
    rows += reading.end()
    tally = reading.tally
    assert tally.rows == len(rows)
    assert all(first.line < second.line for first, second in itertools.pairwise(rows))
    return rows


def with_words(format: FileFormat) -> FileFormat:
    return by({}) if format is REFERENCE else format


def codes(row: Row) -> list[str]:
    return [code for code, _ in row.faults]


def times(row: Row) -> list[tuple[str | None, str]]:
    return [(event.status and event.status.value, event.time.isoformat()) for event in row.events]
