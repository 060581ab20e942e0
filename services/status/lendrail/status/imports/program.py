"""The process that reads one file: bytes in, rows out, and nothing else. It has no keys and no store, and is bounded in
memory and time, so a hostile file costs no more than this process.

In: one frame with what is to be known, then the bytes of the file to their end. Out: frames of rows, and at the end one
that says so or why the file is refused. A frame is its length in four bytes and JSON.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import resource
import struct
import sys
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from lendrail.contracts.files import FileFormat
from lendrail.status.imports.reading import CsvReading, Refused, Tally
from lendrail.status.imports.rows import Row, told

PIECE = 64 * 1024
MEMORY, SECONDS = 2 * 1024**3, 1800
PROGRAMS = (b"MZ", b"\x7fELF", b"%PDF", b"#!", b"\x89PNG", b"\xff\xd8\xff", b"\x1f\x8b")
MAGIC, OLD = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def main(source: BinaryIO, sink: BinaryIO) -> None:
    asked = read_frame(source)
    format = FileFormat.model_validate(asked["format"])
    received = dt.datetime.fromisoformat(asked["received"])
    as_of = dt.datetime.fromisoformat(asked["asOf"]) if asked["asOf"] else None
    begin = source.read(PIECE)
    tally = Tally()
    try:
        if begin.startswith(PROGRAMS):
            raise Refused("program")
        if begin.startswith((MAGIC, OLD)):
            from lendrail.status.imports import workbook

            book = workbook.WorkbookReading(format, received, as_of)
            tally = book.tally
            send(sink, book.rows(begin + source.read(workbook.MOST_BYTES + 1)), asked["skip"], asked["batch"])
        else:
            table = CsvReading(format, received, as_of)
            tally = table.tally
            send(sink, _csv_rows(table, begin, source), asked["skip"], asked["batch"])
    except Refused as refused:
        write_frame(sink, {"refused": refused.code, "columns": refused.columns})
    except MemoryError:
        write_frame(sink, {"refused": "workbook-too-large", "columns": ()})
    else:
        write_frame(sink, {"end": vars(tally)})


def _csv_rows(table: CsvReading, begin: bytes, source: BinaryIO) -> Iterator[Row]:
    data = begin
    while data:
        yield from table.feed(data)
        data = source.read(PIECE)
    yield from table.end()


def send(sink: BinaryIO, rows: Iterable[Row], skip: int, size: int) -> None:
    """Those behind line `skip`, so many in a frame."""
    batch: list[Any] = []
    for row in rows:
        if row.line <= skip:
            continue
        batch.append(told(row))
        if len(batch) == size:
            write_frame(sink, {"rows": batch})
            batch = []
    if batch:
        write_frame(sink, {"rows": batch})


def write_frame(sink: BinaryIO, value: Any) -> None:
    data = json.dumps(value, separators=(",", ":")).encode()
    sink.write(struct.pack(">I", len(data)) + data)
    sink.flush()


def read_frame(source: BinaryIO) -> Any:
    (length,) = struct.unpack(">I", source.read(4))
    return json.loads(source.read(length))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(BrokenPipeError):
        main(sys.stdin.buffer, sys.stdout.buffer)
