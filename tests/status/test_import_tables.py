"""Files into rows, without a server: what is read of each line, and which files and agreements are refused."""

from __future__ import annotations

import datetime as dt

import pytest
from tests.status.tables import HEADER, by, codes, options, read, times

from lendrail.contracts.files import BadFormat
from lendrail.contracts.terms import Status
from lendrail.status.imports.reading import Refused
from lendrail.status.imports.rows import heard, told
from lendrail.status.imports.says import REFUSALS
from lendrail.status.imports.table import MOST_BYTES


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
