"""Workbooks into rows, without a server: their own times and numbers, and those that are none."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import zipfile
from collections.abc import Iterable
from typing import Any

import pytest
from openpyxl import Workbook
from tests.status.tables import NOW, by, codes, options, read, times, with_words

from lendrail.contracts.files import REFERENCE, FileFormat
from lendrail.status.imports.reading import Refused
from lendrail.status.imports.rows import Row
from lendrail.status.imports.says import REFUSALS
from lendrail.status.imports.workbook import WorkbookReading


def sheet(rows: Iterable[Iterable[Any]], **sheets: Iterable[Iterable[Any]]) -> bytes:
    book = Workbook()
    for name, content in {"Sheet": rows, **sheets}.items():
        page = book.active if name == "Sheet" else book.create_sheet(name)
        assert page is not None
        for row in content:
            page.append(list(row))
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def read_sheet(content: bytes, format: FileFormat = REFERENCE) -> list[Row]:
    return list(WorkbookReading(with_words(format), NOW, None).rows(content))


def test_a_workbook_has_times_and_numbers_of_its_own() -> None:
    rows = read_sheet(
        sheet(
            [
                ["partnerId", "approvedAt", "fundedAt", "commission", "currency", "closesOn"],
                [4711, dt.datetime(2026, 3, 1, 9, 30), dt.date(2026, 3, 2), 12.5, "EUR", dt.date(2026, 4, 1)],
                [],
                ["A2", "2026-03-01T10:00:00+01:00"],
            ]
        )
    )
    assert [row.line for row in rows] == [2, 4]
    assert rows[0].keys == {"partnerId": "4711"}
    assert times(rows[0]) == [("approved", "2026-03-01T09:30:00+00:00"), ("funded", "2026-03-02T00:00:00+00:00")]
    assert rows[0].events[-1].values == {"commission": "12.5", "currency": "EUR", "closesOn": "2026-04-01"}
    assert times(rows[1]) == [("approved", "2026-03-01T09:00:00+00:00")]


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        (["=A1", dt.date(2026, 3, 1)], "formula"),
        ([1.5, dt.date(2026, 3, 1)], "id-mangled"),
        ([123456789012345678, dt.date(2026, 3, 1)], "id-mangled"),
        ([True, 46082.5], "time"),
        (["A1", dt.date(2026, 3, 1), "too", "many"], "too-many-columns"),
    ],
)
def test_a_row_of_a_workbook_at_fault(cells: list[Any], code: str) -> None:
    row, after = read_sheet(sheet([["partnerId", "approvedAt"], cells, ["A9", dt.date(2026, 3, 1)]]))
    assert codes(row) == [code]
    assert after.events


def test_a_formula_that_nobody_reads_hurts_nobody() -> None:
    (row,) = read_sheet(sheet([["partnerId", "approvedAt", "sum"], ["A1", dt.date(2026, 3, 1), "=1+1"]]))
    assert (len(row.events), row.faults) == (1, ())


def test_numbers_that_are_none_are_told() -> None:
    """A sheet can hold what no spreadsheet writes."""
    content = sheet([["partnerId", "approvedAt"], [12345, 67890], ["A9", "2026-03-01"]])
    for number in ("1e999", "-1E999", "9" * 400):
        changed = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(changed, "w") as after:
            for part in before.infolist():
                after.writestr(part, before.read(part).replace(b"<v>12345</v>", f"<v>{number}</v>".encode()))
        row, sound = read_sheet(changed.getvalue())
        assert (codes(row), bool(sound.events)) == (["cell-error"], True)


def test_serial_numbers_are_times_where_that_is_agreed() -> None:
    format = by(options(dates="iso|excel", timezone="Europe/Berlin"))
    (row,) = read_sheet(sheet([["partnerId", "approvedAt"], ["A1", 46082.5]]), format)
    assert times(row) == [("approved", "2026-03-01T11:00:00+00:00")]
    assert times(read("partnerId,approvedAt\nA1,46082.5\n", format)[0]) == times(row)


def test_a_workbook_with_several_sheets_needs_a_name() -> None:
    rows: list[list[Any]] = [["partnerId", "approvedAt"], ["A1", dt.date(2026, 3, 1)]]
    content = sheet([], Deals=rows, Notes=[["x"]])
    with pytest.raises(Refused, match="several-sheets"):
        read_sheet(content)
    assert len(read_sheet(content, by(options(sheet="Deals")))) == 1
    with pytest.raises(Refused, match="sheet-missing"):
        read_sheet(content, by(options(sheet="Sums")))
    assert len(read_sheet(sheet([], Deals=rows))) == 1


def _zip(parts: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()


_FRAME = {"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (_zip(_FRAME | {"xl/worksheets/sheet1.xml": b" " * 40_000_000}), "workbook-too-large"),
        (_zip(_FRAME), "workbook-damaged"),
        (_zip({"a.txt": b"x"}), "program"),
        (_zip(_FRAME | {"xl/vbaProject.bin": b"x"}), "macros"),
        (_zip(_FRAME | {f"x/{n}": b"" for n in range(2001)}), "workbook-too-large"),
        (b"PK\x03\x04" + b"x" * 100, "workbook-damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 100, "xls"),
    ],
    ids=["bomb", "frame", "zip", "macros", "parts", "cut", "old"],
)
def test_workbooks_that_are_none(content: bytes, code: str) -> None:
    with pytest.raises(Refused, match=code):
        read_sheet(content)
    assert REFUSALS[code]


def test_a_workbook_that_is_cut_or_altered_is_refused_or_read() -> None:
    content = sheet([["partnerId", "approvedAt"], *([f"A{n}", dt.date(2026, 3, 1)] for n in range(50))])
    for at in range(0, len(content), 97):
        for damaged in (content[:at], content[:at] + b"\xff\x00" + content[at + 2 :]):
            with contextlib.suppress(Refused):
                assert len(read_sheet(damaged)) <= 51
