"""The summary as a partner opens it: everything that it may see, nothing else, and no text that acts."""

import copy
import io
import zipfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from tests import make

from lendrail.contracts.application import Application
from lendrail.contracts.sensitive import Ssn
from lendrail.documents import cells
from lendrail.documents.sheet import LONGEST_CELL, Facts, Sheet, clean
from lendrail.documents.summary import summary
from lendrail.documents.workbook import render

ID = make.new_id()
HOSTILE = ("=1+1", "+1+1", "-1+1", "@SUM(A1)", '=HYPERLINK("http://x.example.test","y")', "=1+1\n=2", "{=1}", "_x0041_")


def drawn(application: Application) -> bytes:
    return render(summary(application, ID, make.NOW))


def opened(content: bytes) -> list[Any]:
    """All cells that hold something."""
    page = load_workbook(io.BytesIO(content)).active
    assert page is not None
    return [cell for row in page.iter_rows() for cell in row if cell.value is not None]


def texts(content: bytes) -> list[str]:
    return [str(cell.value) for cell in opened(content)]


def hostile(value: Any, text: str) -> Any:
    """Every free text of the example replaced."""
    if isinstance(value, dict):
        return {name: _text(name, text) or hostile(inner, text) for name, inner in value.items()}
    return [hostile(inner, text) for inner in value] if isinstance(value, list) else value


def _text(name: str, text: str) -> str | None:
    label = text.replace("\n", " ")  # labels are one line
    return (label if name in LABELS else text) if name in FREE else None


LABELS = ("make", "model", "provider", "textVersion")
_FREE = """
legalName tradingName description website line1 city title firstName lastName bank holder lender purposeDescription
number serialNumber name givenBy details notes make model provider textVersion
"""
FREE = frozenset(_FREE.split())


def test_it_says_what_a_partner_needs() -> None:
    shown = texts(drawn(make.application()))
    for wanted in (
        "Fake Bakery LLC",
        "Ms Testa Q Fakely",
        "50000",
        "99-0000001",
        "NAICS 722515, ANZSIC H4511, SIC 5461",
        "***0001",
        "1980",
        "Fake Lender",
        "15000.23",
        "DEAL-0001",
        "Share with partners",
        "Call after 2 pm.",
        "2 Nowhere Rd, Second Floor, Faketown, MA, 00000, US",
    ):
        assert wanted in shown


def test_it_says_no_more() -> None:
    application = make.application(targetPartners=["forward-financing", "secret-rival"], metadata={"k": "Sally Sales"})
    everything = "\n".join(texts(drawn(application)))
    for kept in ("900000001", "900-00-0001", "1980-01-01", "000000000000", "S00000000", "rival", "Sally", "forward"):
        assert kept not in everything


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    content = drawn(Application.model_validate(hostile(make.application_json(), text)))
    found = opened(content)
    assert [cell.coordinate for cell in found if cell.data_type == "f" or cell.hyperlink is not None] == []
    assert sum(text.strip() in str(cell.value) for cell in found) > 15
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")
        assert not [name for name in archive.namelist() if "externalLink" in name or "/worksheets/_rels" in name]


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=())), st.text())
def test_any_text_makes_a_file_that_opens(text: str, label: str) -> None:
    sheet = Sheet("t", "s", make.NOW.replace(tzinfo=None), (Facts("h", ((clean(label), clean(text)), ("end", "x"))),))
    found = opened(render(sheet))
    assert found[-1].value == "x"
    assert not any(cell.data_type == "f" for cell in found)
    shown = [cell.value for cell in found if cell.column == 2]
    if text.strip() and "\r" not in text:
        assert shown[0] == clean(text)


def test_cells_are_bounded() -> None:
    assert len(clean("x" * 40_000)) == LONGEST_CELL
    assert clean("a\x00b\x1fc\ufffed\ud800e\tf\n") == "a\ufffdb\ufffdc\ufffdd\ufffde\tf\n"


def test_the_same_application_gives_the_same_bytes() -> None:
    data = make.application_json()
    first = drawn(Application.model_validate(data))
    assert drawn(Application.model_validate(copy.deepcopy(data))) == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert b"2026-03-02T10:30:00Z" in archive.read("docProps/core.xml")
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_smallest_application_makes_a_sheet() -> None:
    data = {
        "business": {"legalName": "Fake Bakery LLC", "country": "US"},
        "requestedFinance": {"amount": {"amount": "5000", "currency": "USD"}},
        "mode": "live",
    }
    shown = texts(drawn(Application.model_validate(data)))
    assert shown[2:] == [
        "Finance requested",
        "Amount",
        "5000",
        "Business",
        "Legal name",
        "Fake Bakery LLC",
        "Country",
        "US",
    ]
    assert "TEST" not in shown[1]


def test_amounts_are_numbers_in_their_currency() -> None:
    found = [cell for cell in opened(drawn(make.application())) if cell.value == 50000]
    assert found[0].number_format == '#,##0.00 "USD"'
    huge = make.application_json()
    huge["requestedFinance"]["amount"]["amount"] = "123456789012345.67"
    assert "123456789012345.67 USD" in texts(drawn(Application.model_validate(huge)))


@given(st.from_regex(r"[0-9]{9}", fullmatch=True))
def test_of_a_number_only_four_digits_show(number: str) -> None:
    assert cells.masked(Ssn(number)) == "***" + number[-4:]
