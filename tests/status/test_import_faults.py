"""A line at fault is told, stops no other, swallows none and takes no memory; whatever the bytes, no line is lost."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.status.tables import CANARY, HEADER, NOW, by, codes, read, times

from lendrail.status.imports.reading import CsvReading
from lendrail.status.imports.says import FAULTS
from lendrail.status.imports.table import MOST_BYTES, MOST_LINES, Record, Table

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


@pytest.mark.parametrize("id", ["-xrh.PeClWfN", "+1-A", "@deal-7", "-"])
def test_an_id_is_the_partners_own_and_may_begin_with_any_sign_but_that_of_a_formula(id: str) -> None:
    (row,) = read(f"{HEADER}{id},approved,2026-03-01\n")
    assert (row.keys, row.faults) == (({"partnerId": id}, ()) if id != "-" else ({}, (("id-unreadable", "partnerId"),)))


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
