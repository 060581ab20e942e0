"""Field types of the canonical application: strict where a loose reader would guess, bounded everywhere.

A type named after what it holds (`Name`, `AccountNumber`) is `Sensitive`: it is sealed at rest and masked when shown.
Closed words, countries, amounts, percentages and counts stay readable, because rules and reports need them and none of
them names a person by itself.
"""

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field, PlainSerializer, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

from lendrail.contracts.sensitive import Sensitive
from lendrail.contracts.terms import DecimalString, Model, Money, PartnerName, Term

ALL: tuple[str, ...] = ("all",)
"""The scope of "every partner that fits"; the word `all` on the wire."""


class Name(Sensitive):
    """A name of a person, business, bank or place."""


class AddressLine(Sensitive):
    """One line of a postal address, its city or its region."""


class PostalCode(Sensitive):
    max_length = 12


class AccountNumber(Sensitive):
    """A bank account, routing, sort or IBAN number, as its owner writes it."""

    max_length = 40


class IdentityNumber(Sensitive):
    """A registration, tax or identity document number, as its issuer prints it."""

    max_length = 50


class SerialNumber(Sensitive):
    """A VIN, chassis, serial or document number: it leads to its owner through a register."""

    max_length = 60


class WebAddress(Sensitive):
    max_length = 300


class FileName(Sensitive):
    max_length = 255


class ShortText(Sensitive):
    """A sentence or two of free text."""

    max_length = 2_000


def _day(value: Any) -> Any:
    if type(value) is dt.date or (isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)):
        return value
    raise PydanticCustomError("date_format", "must be a date written YYYY-MM-DD")


def _moment(value: Any) -> Any:
    pattern = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
    if isinstance(value, dt.datetime) or (isinstance(value, str) and re.fullmatch(pattern, value)):
        return value
    raise PydanticCustomError("time_format", "must be a time with zone, written YYYY-MM-DDTHH:MM:SSZ")


def _all_or_list(value: Any) -> Any:
    if value == "all":
        return ALL
    if isinstance(value, list | tuple):
        return value
    raise PydanticCustomError("partner_scope", 'must be "all" or a list of partner names')


Day = Annotated[dt.date, BeforeValidator(_day)]
"""A calendar date; the number of seconds that a lax reader also takes for a date is refused."""
Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Field(strict=True, ge=0, le=10_000_000)]
Percent = Annotated[DecimalString, Field(ge=0, le=100)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2."""
Label = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A short word of no person: a make, a colour, a version."""
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,79}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

PartnerScope = Annotated[
    tuple[PartnerName, ...],
    Field(max_length=50),
    BeforeValidator(_all_or_list),
    PlainSerializer(lambda scope: "all" if tuple(scope) == ALL else list(scope), when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "all"},
                {"type": "array", "maxItems": 50, "items": {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"}},
            ]
        }
    ),
]
"""Names of partners, or `ALL`."""


def covers(scope: tuple[str, ...], partner: str) -> bool:
    """Whether `partner` is meant by `scope`."""
    return scope == ALL or partner in scope


class NonNegativeMoney(Money):
    amount: Annotated[DecimalString, Field(ge=0)]


class PositiveMoney(Money):
    amount: Annotated[DecimalString, Field(gt=0)]


class RequestedTerm(Term):
    """A wished duration; a whole number of at least one."""

    value: Annotated[int, Field(strict=True, ge=1, le=10_000)]


class Address(Model):
    """A postal address. `region` is the state or province code where the country has one (US: two letters)."""

    line1: AddressLine
    line2: AddressLine | None = None
    city: AddressLine | None = None
    region: AddressLine | None = None
    postal_code: PostalCode | None = None
    country: Country
