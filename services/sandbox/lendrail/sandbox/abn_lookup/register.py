"""What the simulated register holds: obviously invented businesses whose numbers pass the check of the digits."""

from dataclasses import dataclass
from typing import Literal

WEIGHTS = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
NO_DATE = "0001-01-01"
"""How the register writes a date that is not there."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """The legal name of a sole trader."""

    given: str
    family: str
    other: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One business. Each list of names holds (name, when its use ended)."""

    abn: str
    name: str | Person | None
    """None: the register keeps it to itself."""
    status: str = "Active"
    since: str = "2015-07-01"
    until: str = NO_DATE
    kind: tuple[str, str] = ("PRV", "Australian Private Company")
    acn: str = ""
    trading_names: tuple[tuple[str, str], ...] = ()
    business_names: tuple[tuple[str, str], ...] = ()
    replaces: str = ""
    """A number that this one stands in for."""
    replaced_value: Literal["nil", "missing"] = "nil"
    """How the element of the replaced number looks where there is none; the WSDL wants it nil, not every reply does."""


@dataclass(frozen=True)
class Refusal:
    """An `exception` inside a 200."""

    code: str
    description: str


NOT_FOUND = Refusal("SEARCH", "No records found")
UNKNOWN_GUID = Refusal("WEBSERVICES", "The GUID entered is not recognised as a Registered Party")
BAD_FLAG = Refusal("WEBSERVICES", "The history flag must be Y or N")
BAD_SEARCH = Refusal("WEBSERVICES", "Search text is not a valid ABN or ACN")
SYSTEM_PROBLEM = Refusal("WEBSERVICES", "A system problem has occurred. Try again later.")
PUZZLE = Refusal("GENERAL", "Condition 17 was met")

_BAKERY = Entry(
    abn="89000000019",
    acn="000000019",
    name="FAKE BAKERY PTY LTD",
    trading_names=(("FAKE BUNS", NO_DATE), ("OLD FAKE BUNS", "2019-06-30")),
    business_names=(("Fake Bread & Cakes", NO_DATE),),
)
_CLOSED = Entry(abn="80000000001", name="FAKE CLOSED PTY LTD", status="Cancelled", since="2021-02-03")
_TRADER = Entry(
    abn="61000000002",
    name=Person(given="Testa", other="Quill", family="FAKELY"),
    kind=("IND", "Individual/Sole Trader"),
    since=NO_DATE,
    replaced_value="missing",
)
_MOVED = Entry(abn="23000000004", name="FAKE MOVED PTY LTD", replaces="42000000003")
_WITHHELD = Entry(abn="55000000007", name=None, kind=("IND", "Individual/Sole Trader"))
_ODD = Entry(abn="36000000008", name="FAKE ODD PTY LTD", status="Dormant")
ENTRIES = {each.abn: each for each in (_BAKERY, _CLOSED, _TRADER, _MOVED, _WITHHELD, _ODD)} | {_MOVED.replaces: _MOVED}
REFUSALS = {"93000000005": SYSTEM_PROBLEM, "74000000006": PUZZLE}


def passes_the_check(digits: str) -> bool:
    """Eleven digits; one is taken from the first, and the weighted sum is a multiple of 89."""
    if len(digits) != 11 or not (digits.isascii() and digits.isdigit()):
        return False
    return (sum(int(digit) * weight for digit, weight in zip(digits, WEIGHTS, strict=True)) - WEIGHTS[0]) % 89 == 0


def search(text: str) -> Entry | Refusal:
    digits = text.replace(" ", "")
    if not passes_the_check(digits):
        return BAD_SEARCH
    return REFUSALS.get(digits) or ENTRIES.get(digits) or NOT_FOUND
