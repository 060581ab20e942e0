"""Files of statuses that a partner sends daily, weekly or monthly: what their columns mean, as declared facts.

A partner's profile states its format where one is published; every other partner gets `REFERENCE`, which
`docs/imports.md` explains. An account's options replace single facts of it, such as `import.delimiter` and
`import.event.approved`. Nothing here reads a file.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from lendrail.contracts.terms import Model, Status

KeyKind = Literal["opportunityId", "applicationId", "ourReference", "partnerId", "externalReference"]
"""Ids by which a row may name its opportunity: three of ours, the partner's own, and one of a tenant's other system."""
ValueKind = Literal["commission", "currency", "closeChance", "closesOn", "declineReason", "notes"]
Every = Literal["daily", "weekly", "monthly"]
Encoding = Literal["utf-8", "cp1252", "cp1250", "iso-8859-1", "iso-8859-15", "utf-16"]
Delimiter = Literal["auto", ",", ";", "\t", "|"]
OPTION = "import."
"""What the names of an account's options begin with that are about its files."""
LIFE = (
    Status.SUBMITTED,
    Status.IN_REVIEW,
    Status.INFO_REQUIRED,
    Status.REFERRED,
    Status.APPROVED,
    Status.DUPLICATE,
    Status.DECLINED,
    Status.EXPIRED,
    Status.ACCEPTED,
    Status.WITHDRAWN,
    Status.FUNDED,
)
"""What a partner may say of a deal, in the order in which it happens when one row states it for one moment."""
SOME_TIME = dt.datetime(2026, 3, 1, 14, 30, 15, tzinfo=dt.UTC)
TABS = {"tab": "\t", "\\t": "\t"}


class BadFormat(ValueError):
    """An account's options about its files cannot be used; the text names the option and no value."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError("must be a time zone of the IANA database, such as Europe/London") from None
    return name


def _date_format(text: str) -> str:
    if text not in ("iso", "excel") and not {"%d", "%Y"} <= {text[i : i + 2] for i in range(len(text))}:
        raise ValueError("must be iso, excel, or a pattern with %d and %Y such as %d/%m/%Y %H:%M")
    if text not in ("iso", "excel"):
        dt.datetime.strptime(SOME_TIME.strftime(text), text)  # raises ValueError for what nobody can read
    return text


def _said_by_partners(status: Status) -> Status:
    if status not in LIFE:
        raise ValueError("must be a status that a partner can state")
    return status


Said = Annotated[Status, AfterValidator(_said_by_partners)]
Header = Annotated[str, Field(min_length=1, max_length=200)]


class FileFormat(Model):
    """What a partner's file looks like. Headers are compared without regard to case and blanks around them."""

    model_config = ConfigDict(extra="forbid")

    keys: dict[KeyKind, Header]
    """By what a row names its opportunity; several may be filled, and then they must agree."""
    events: dict[Said, Header] = Field(default_factory=dict)
    """Columns of times: each filled cell says that the status was so from then on."""
    status: Header | None = None
    """The column of the partner's status word."""
    at: Header | None = None
    """Since when the word holds."""
    values: dict[ValueKind, Header] = Field(default_factory=dict)
    """What the newest event of a row tells beside its status."""
    words: dict[str, Said] = Field(default_factory=dict)
    """The partner's words and ours; any other word is held and shown."""
    needed: frozenset[Header] = frozenset()
    """Columns without which a file is refused; of the others there must be one key and one event or status."""
    delimiter: Delimiter = "auto"
    encoding: Encoding = "utf-8"
    """Of a CSV file without a byte order mark."""
    dates: Annotated[tuple[Annotated[str, AfterValidator(_date_format)], ...], Field(min_length=1)] = ("iso",)
    """How times are written: `iso`, `excel` (a serial number), or a pattern of strptime."""
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """Of times that state none; a date without a time is its first moment there."""
    decimal: Literal[".", ","] = "."
    reference_system: str | None = None
    """Whose external references they are, where a tenant has several systems."""
    sheet: str | None = None
    """Name of the sheet, for workbooks with several."""
    every: Every | None = None
    """How often a file is expected."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.keys or not (self.events or self.status):
            raise ValueError("names no column for an id, or none for a status")
        headers = [plain(each) for each in self.headers]
        if len(set(headers)) != len(headers):
            raise ValueError("gives one column two meanings")
        return self

    @property
    def headers(self) -> tuple[str, ...]:
        """All columns that are read."""
        single = [each for each in (self.status, self.at) if each is not None]
        return (*self.keys.values(), *self.events.values(), *single, *self.values.values())

    @property
    def digest(self) -> str:
        """The same for the same facts: a file that is read by other ones is another import."""
        told = self.model_dump_json(exclude={"every", "needed"}) + "|".join(sorted(self.needed))
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def plain(header: str) -> str:
    """A header as it is compared."""
    return " ".join(header.split()).casefold()


REFERENCE = FileFormat(
    keys={kind: kind for kind in get_args(KeyKind)},
    events={status: f"{to_camel(status.value.replace('-', '_'))}At" for status in LIFE},
    status="status",
    at="statusAt",
    values={kind: kind for kind in get_args(ValueKind)},
)
"""For partners that publish none. Only the columns that a file has are read."""


def format_of(own: FileFormat | None, statuses: Mapping[str, Status], options: Mapping[str, str]) -> FileFormat:
    """The format of one account: the partner's `own` or the reference one, with what the account's options replace.

    `statuses` are the partner's words. Raises `BadFormat`.
    """
    base = own or REFERENCE
    told: dict[str, Any] = base.model_dump()
    told["words"] = _words(statuses) | {plain(word): status for word, status in base.words.items()}
    told["needed"] = set(base.headers) if own is not None and not own.needed else set(base.needed)
    _replace(told, {name[len(OPTION) :]: text for name, text in options.items() if name.startswith(OPTION)})
    try:
        return FileFormat.model_validate(told)
    except ValidationError as error:
        where = ", ".join(dict.fromkeys(".".join(map(str, each["loc"][:2])) for each in error.errors()))
        says = error.errors()[0]["msg"]
        raise BadFormat(f"the options {OPTION}* cannot be used ({where or 'together'}): {says}") from None


def _words(statuses: Mapping[str, Status]) -> dict[str, Status]:
    """Ours, and over them the partner's; a word that is two words but for their case is none."""
    found: dict[str, Status] = {status.value: status for status in LIFE}
    theirs: dict[str, set[Status]] = {}
    for word, status in statuses.items():
        theirs.setdefault(plain(word), set()).add(status)
    for word, meant in theirs.items():
        found.pop(word, None)
        if len(meant) == 1 and meant <= set(LIFE):
            found[word] = next(iter(meant))
    return found


_GROUPS = {"key": "keys", "event": "events", "value": "values"}
_COLUMNS = ("status", "at")
_PLAIN = {"delimiter", "encoding", "timezone", "decimal", "every", "sheet", "referenceSystem"}


def _replace(told: dict[str, Any], options: Mapping[str, str]) -> None:
    """An account that names columns of one kind names all of that kind, and a file must have them.

    Raises `BadFormat`.
    """
    groups: dict[str, dict[str, str]] = {}
    for name, text in options.items():
        group, _, member = name.partition(".")
        if group in _GROUPS and member:
            groups.setdefault(_GROUPS[group], {})[member] = text
        elif group == "word" and member:
            told["words"][plain(member)] = text
        elif name in _COLUMNS:
            told[name] = text or None
            told["needed"] |= {text} if text else set()
        elif name == "dates":
            told["dates"] = tuple(each.strip() for each in text.split("|"))
        elif name in _PLAIN:
            told["reference_system" if name == "referenceSystem" else name] = TABS.get(text, text)
        else:
            raise BadFormat(f"there is no option {OPTION}{group}")
    for into, members in groups.items():
        told[into] = members
        told["needed"] |= set(members.values())
    if "events" in groups and not {"status", "at"} & options.keys():
        told["status"] = told["at"] = None
    told["needed"] &= {*told["keys"].values(), *told["events"].values(), told["status"], told["at"]} | set(
        told["values"].values()
    )
