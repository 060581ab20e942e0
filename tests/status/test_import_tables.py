"""Files into rows, without a server: what is read, what is told of each line that cannot be, and what is refused."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
import itertools
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from lendrail.contracts.terms import Status
from lendrail.partners.files import REFERENCE, BadFormat, FileFormat, format_of
from lendrail.status.imports.reading import CsvReading, Refused
from lendrail.status.imports.rows import Row, heard, told
from lendrail.status.imports.says import FAULTS, REFUSALS
from lendrail.status.imports.table import MOST_BYTES, MOST_LINES, Record, Table
from lendrail.status.imports.workbook import WorkbookReading

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
HEADER = "partnerId,status,statusAt\n"
CANARY = "Testa Fakely 900-12-3456"


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


def codes(row: Row) -> list[str]:
    return [code for code, _ in row.faults]


def times(row: Row) -> list[tuple[str | None, str]]:
    return [(event.status and event.status.value, event.time.isoformat()) for event in row.events]


# what is read


def test_one_row_with_several_times_is_several_events_in_the_order_of_life() -> None:
    (row,) = read("partnerId,fundedAt,approvedAt,submittedAt\nFAKE.1,2026-03-02,2026-03-02,2026-03-01T08:00:00Z\n")
    assert times(row) == [
        ("submitted", "2026-03-01T08:00:00+00:00"),
        ("approved", "2026-03-02T00:00:00+00:00"),
        ("funded", "2026-03-02T00:00:00+00:00"),
    ]
    assert row.keys == {"partnerId": "FAKE.1"}
    assert row.faults == ()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")],
)
@pytest.mark.parametrize("piece", [1, 3, 4096])
def test_separators_line_ends_and_byte_order_marks(
    end: str, separator: str, encoding: str, mark: bytes, piece: int
) -> None:
    lines = [["partnerId", "status", "statusAt", "notes"], ["FAKE.1", "Approved", "2026-03-01", "größer – žluť"]]
    text = end.join(separator.join(line) for line in lines) + end
    (row,) = read(mark + text.encode(encoding), piece=piece)
    (event,) = row.events
    assert (event.status, event.values["notes"]) == (Status.APPROVED, "größer – žluť")


def test_mixed_line_ends_and_blank_lines_keep_their_numbers() -> None:
    rows = read("\r\n" + HEADER + "A1,approved,2026-03-01\r\n\nA2,declined,2026-03-01\r,,\nA3,funded,2026-03-01")
    assert [(row.line, row.keys["partnerId"]) for row in rows] == [(3, "A1"), (5, "A2"), (7, "A3")]


def test_a_quoted_cell_may_hold_separators_quotes_and_line_ends() -> None:
    rows = read(
        'partnerId,status,statusAt,notes\nA1,approved,2026-03-01,"one, ""two""\nthree"\nA2,approved,2026-03-01,\n'
    )
    assert [row.line for row in rows] == [2, 4]
    assert rows[0].events[0].values["notes"] == 'one, "two" three'


def test_another_account_calls_its_columns_otherwise() -> None:
    told = options(
        **{
            "key.partnerId": "Vorgang Nr.",
            "event.approved": "Genehmigt am",
            "event.funded": "Ausgezahlt am",
            "value.commission": "Provision",
            "value.currency": "Währung",
            "encoding": "cp1252",
            "delimiter": ";",
            "dates": "%d.%m.%Y %H:%M|%d.%m.%Y",
            "timezone": "Europe/Berlin",
            "decimal": ",",
        }
    )
    text = "Kunde;VORGANG  NR.;Genehmigt am;Ausgezahlt am;Provision;Währung\n"
    text += "A;7;01.07.2026 09:30;02.12.2025;1.234,50;EUR\n"
    (row,) = read(text.encode("cp1252"), by(told))
    assert times(row) == [("funded", "2025-12-01T23:00:00+00:00"), ("approved", "2026-07-01T07:30:00+00:00")]
    assert row.events[-1].values == {"commission": "1234.50", "currency": "EUR"}
    assert (row.keys, row.faults) == ({"partnerId": "7"}, ())


def test_words_of_the_partner_and_of_the_account() -> None:
    format = by(options(**{"word.paid out": "funded"}), {"Settled": Status.FUNDED})
    rows = read(HEADER + "A1,Paid Out,2026-03-01\nA2,SETTLED,2026-03-01\nA3,pondering,2026-03-01\n", format)
    assert [(row.events[0].status, row.events[0].words) for row in rows] == [
        (Status.FUNDED, "Paid Out"),
        (Status.FUNDED, "SETTLED"),
        (None, "pondering"),
    ]


def test_a_list_of_statuses_needs_a_time_or_the_day_of_the_file() -> None:
    text = "partnerId,status\nA1,approved\n"
    assert codes(read(text)[0]) == ["time-missing"]
    (row,) = read(text, as_of=dt.datetime(2026, 3, 1, tzinfo=dt.UTC))
    assert times(row) == [("approved", "2026-03-01T00:00:00+00:00")]


def test_a_row_goes_from_one_process_to_the_other() -> None:
    (row,) = read("partnerId,approvedAt,notes\nA1,2026-03-01,x\n")
    assert heard(told(row)) == row


# what is told of a line


FAULTY: dict[str, str | bytes] = {
    "line-too-long": "A1,approved," + "x" * MOST_BYTES,
    "nul": "A1,app\0roved,2026-03-01",
    "encoding": b"A1,approv\xe9,2026-03-01",
    "unbalanced-quote": 'A1,"approved,2026-03-01',
    "too-few-columns": "A1,approved",
    "too-many-columns": "A1,approved,2026-03-01,",
    "formula": "=cmd|' /C calc'!A0,approved,2026-03-01",
    "id-missing": ",approved,2026-03-01",
    "id-unreadable": "not an id,approved,2026-03-01",
    "id-mangled": "1.23457E+17,approved,2026-03-01",
    "nothing-said": "A1,,",
    "time": "A1,approved,01/02/2026",
    "time-missing": "A1,approved,",
    "time-too-old": "A1,approved,1926-03-01",
    "time-in-future": "A1,approved,2226-03-01",
    "status-missing": "A1,,2026-03-01",
    "word-unreadable": f"A1,{'x' * 81},2026-03-01",
}


@pytest.mark.parametrize("code", FAULTY)
def test_a_line_at_fault_is_told_and_stops_no_other(code: str) -> None:
    line = FAULTY[code]
    data = b"\n".join(
        [HEADER.strip().encode(), b"A0,approved,2026-03-01", line if isinstance(line, bytes) else line.encode(),
         b"A9,funded,2026-03-01", b""]
    )  # fmt: skip
    before, row, after = read(data, piece=4096)
    assert (codes(row), row.events, row.line) == ([code], (), 3)
    assert [each.keys["partnerId"] for each in (before, after)] == ["A0", "A9"]
    assert FAULTS[code]


@pytest.mark.parametrize(
    ("cells", "faults"),
    [
        ("12.50,EUR,50,", []),
        ("12.50,,,", [("currency", "commission")]),
        ("12.50,euro,,", [("currency", "currency"), ("currency", "commission")]),
        ('"12,50",EUR,,', [("number", "commission")]),
        ('"1,234.50",EUR,,', []),
        ("-1,EUR,,", [("number", "commission")]),
        (",,101,", [("number", "closeChance")]),
        (",,,soon", [("time", "closesOn")]),
        (",,,=1+1", [("formula", "closesOn")]),
    ],
)
def test_what_else_a_row_tells_is_at_fault_for_itself(cells: str, faults: list[tuple[str, str]]) -> None:
    (row,) = read(f"partnerId,approvedAt,commission,currency,closeChance,closesOn\nA1,2026-03-01,{cells}\n")
    assert (list(row.faults), len(row.events)) == (faults, 1)


def test_of_several_times_the_readable_ones_are_told() -> None:
    (row,) = read("partnerId,approvedAt,fundedAt\nA1,2026-03-01,later\n")
    assert (times(row)[0][0], row.faults) == ("approved", (("time", "fundedAt"),))


def test_an_id_at_fault_is_not_made_up_for_by_another() -> None:
    (row,) = read("partnerId,opportunityId,approvedAt\nA1,=A2,2026-03-01\n")
    assert (row.events, row.faults) == ((), (("formula", "opportunityId"),))


def test_a_quote_that_is_never_closed_swallows_no_rows() -> None:
    """Also where a second one far behind it would close it."""
    lines = [f"A{n},approved,2026-03-01" for n in range(400)]
    lines[10], lines[11], lines[200], lines[399] = 'A10,"x,y', 'B"11,x', 'A200,approved,"2026-03-01', 'A"399'
    rows = read(HEADER + "\n".join(lines) + "\n")
    assert [row.line for row in rows] == list(range(2, 402)), "each line once"
    assert {row.line - 2 for row in rows if row.faults} == {10, 11, 200, 399}


def test_a_long_record_is_given_up_in_bounds() -> None:
    body = 'A1,"x\n' + "y\n" * (MOST_LINES * 3) + "A2,approved,2026-03-01\n"
    rows = read(HEADER + body)
    assert [codes(row) for row in rows[:1]] == [["unbalanced-quote"]]
    assert rows[-1].keys == {"partnerId": "A2"}
    assert len(rows) == MOST_LINES * 3 + 2


def test_a_line_without_end_takes_no_memory() -> None:
    reading = CsvReading(by({}), NOW, None)
    list(reading.feed(HEADER.encode()))
    held = []
    for _ in range(4 * 64):  # 64 MB
        assert list(reading.feed(b"x" * MOST_BYTES)) == []
        held.append(len(reading._table._lines._rest))
    rows = [*reading.feed(b"\nA1,approved,2026-03-01\n"), *reading.end()]
    assert max(held) <= MOST_BYTES
    assert [codes(row) for row in rows] == [["line-too-long"], []]


# what is refused


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"\n\n,,\n", "empty"),
        (HEADER.encode(), "empty"),
        (b"\xff\xff\x00\n", "header-unreadable"),
        ("größe,status\n".encode("cp1252") + b"1,2\n", "header-unreadable"),
        (b"x" * (MOST_BYTES + 9), "header-unreadable"),
        (b"name,amount\nA,1\n", "columns-missing"),
        (b"partnerId,name\nA,1\n", "columns-missing"),
        (b"status,statusAt\nA,1\n", "columns-missing"),
        (b"partnerId,status,statusAt,PartnerID \nA1,approved,2026-03-01,A2\n", "column-twice"),
        (b"partnerId,status," + b"x," * 500 + b"\n", "too-many-columns"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(content: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        read(content, piece=4096)
    assert refused.value.code == code
    assert REFUSALS[code]


def test_columns_that_an_account_names_are_needed_and_named() -> None:
    format = by(options(**{"key.partnerId": "Deal", "event.approved": "Approved on", "event.funded": "Paid on"}))
    with pytest.raises(Refused) as refused:
        read("Deal,Approved on\nA1,2026-03-01\n", format)
    assert (refused.value.code, refused.value.columns) == ("columns-missing", ("Paid on",))


def test_another_separator_than_agreed_is_told() -> None:
    with pytest.raises(Refused, match="delimiter"):
        read(HEADER.replace(",", ";") + "A1;approved;2026-03-01\n", by(options(delimiter=",")))


def test_columns_that_nobody_reads_may_be_twice() -> None:
    (row,) = read("partnerId,approvedAt,x,x,\nA1,2026-03-01,1,2,3\n")
    assert row.faults == ()


@pytest.mark.parametrize(
    "told",
    [
        {"timezone": "Mars/Base"},
        {"event.erased": "x"},
        {"delimiter": "%"},
        {"dates": "%m"},
        {"dates": "%d.%Q.%Y"},
        {"key.partnerId": "a", "at": "A"},
        {"key.something": "a"},
        {"encoding": "rot13"},
        {"every": "hourly"},
        {"what": "a"},
        {"word.paid": "erased"},
    ],
)
def test_options_that_say_nothing_are_refused(told: dict[str, str]) -> None:
    with pytest.raises(BadFormat, match="import"):
        by(options(**told))


# workbooks


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


# any file


def _records(data: bytes, piece: int) -> tuple[list[Record], Table]:
    table, found = Table("utf-8"), []

    def take(records: Iterator[Record]) -> None:
        for record in records:
            found.append(record)
            if not table.delimiter:
                table.delimiter, table.width = ",", record.text.count(",") + 1

    for at in range(0, len(data), piece):
        take(table.feed(data[at : at + piece]))
    take(table.end())
    return found, table


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=400) | st.text('ab,";\n\r\té', max_size=400).map(str.encode), st.integers(1, 50))
def test_every_line_is_in_exactly_one_record(data: bytes, piece: int) -> None:
    records, table = _records(data, piece)
    covered = [line for each in records for line in range(each.line, each.line + each.lines)]
    assert covered == list(range(1, table.count + 1))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=400), st.integers(1, 50))
def test_how_the_bytes_come_changes_nothing(data: bytes, piece: int) -> None:
    assert _records(data, piece)[0] == _records(data, len(data) + 1)[0]


_CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(_CELL, min_size=6, max_size=6).filter(lambda row: any(map(str.strip, row))), max_size=12))
def test_what_the_csv_module_writes_is_read_or_told(rows: list[list[str]]) -> None:
    """A cell with line ends may look like rows of its own; then it is told, not swallowed."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow("abcdef")
    writer.writerows(rows)
    records, _ = _records(target.getvalue().encode(), 11)
    good = [list(each.cells) for each in records[1:] if each.cells]
    if not any("\n" in cell for row in rows for cell in row):
        assert good == rows
    else:
        assert all(row in good or any(each.fault for each in records) for row in rows)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text('A1,"approved-26:T=+@;€ \n', max_size=40), max_size=8))
def test_no_cell_is_ever_quoted_in_a_fault(lines: list[str]) -> None:
    data = HEADER + "\n".join(f"{line}{CANARY}" for line in lines) + "\n"
    for row in read(data) if lines else ():
        assert CANARY not in repr(row.faults)
        assert all(code in FAULTS for code in codes(row))
