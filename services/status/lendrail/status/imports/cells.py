"""What one cell says: an id, a text, a time. Pure; what does not fit is told by a code and never quoted."""

from __future__ import annotations

import datetime as dt
import re
import uuid

from lendrail.contracts.files import KeyKind
from lendrail.contracts.terms import FOREIGN_ID

Cell = str | dt.datetime | float | None
"""Of a CSV file always text; a workbook has times and numbers too."""
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,6})?)?( ?(Z|[+-][0-9]{2}:?[0-9]{2}))?)?"
)
_SERIAL = re.compile(r"[0-9]{5}(\.[0-9]{1,12})?")
_EXCEL_BEGINS = dt.datetime(1899, 12, 30)
_MANGLED = re.compile(r"[0-9]([.,][0-9]+)?E\+[0-9]+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Unfit(Exception):
    """A cell that does not say what its column should; `code` is one of `says.FAULTS`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def identity(kind: KeyKind, cell: Cell) -> str:
    """An id as text. Raises `Unfit`."""
    if isinstance(cell, float):
        if cell != int(cell) or not 0 <= cell < 10**15:
            raise Unfit("id-mangled")
        cell = str(int(cell))
    if not isinstance(cell, str):
        raise Unfit("id-unreadable")
    if _MANGLED.fullmatch(cell):
        raise Unfit("id-mangled")
    if kind in ("opportunityId", "applicationId"):
        if not _UUID.fullmatch(cell):
            raise Unfit("id-unreadable")
        return str(uuid.UUID(cell))
    if kind == "externalReference":
        return text_of(cell, 200, "id-unreadable")
    if not FOREIGN_ID.fullmatch(cell):
        raise Unfit("id-unreadable")
    return cell


def text_of(cell: Cell, longest: int, code: str) -> str:
    """One line of text. Raises `Unfit` with `code`."""
    if isinstance(cell, float):
        cell = str(int(cell)) if cell == int(cell) and abs(cell) < 10**15 else repr(cell)
    if not isinstance(cell, str):
        raise Unfit(code)
    tidy = " ".join(cell.split())
    if len(tidy) > longest or _CONTROL.search(tidy) or not tidy.isprintable():
        raise Unfit(code)
    return tidy


def serial(number: float) -> dt.datetime | None:
    """A time as spreadsheets count it: days since the end of 1899; of this century only."""
    if not 36_526 <= number < 73_051:
        return None
    return _EXCEL_BEGINS + dt.timedelta(seconds=round(number * 86_400, 3))


def read_time(cell: str, way: str) -> dt.datetime | None:
    try:
        if way == "iso":
            return (
                dt.datetime.fromisoformat(cell.replace(",", ".").replace(" ", "T", 1).replace(" ", ""))
                if (_ISO.fullmatch(cell))
                else None
            )
        if way == "excel":
            return serial(float(cell)) if _SERIAL.fullmatch(cell) else None
        return dt.datetime.strptime(cell, way)
    except ValueError:
        return None
