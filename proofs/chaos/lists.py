"""The lists that lenders send as files: which are planned, what stands in them by the lender's own ledger, in its own
words and times, and how it is written. Pure.

A list must not hide what another way has lost. Lenders that can be asked list every second application: a look would
have said the same, and the other half shows that calls and looks do without lists. One that can only call lists what
no call of its has brought, by its own ledger; so that comes by the list alone. One that decides nothing sends none.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from proofs.chaos.books import SEATS, SOAP, Item, Ledger, opportunity, reference
from proofs.chaos.cast import DECLARED
from proofs.chaos.shapes import Accepted, Row, Word

MUTE = "finpace"
"""It cannot be asked."""
LENDERS = (MUTE, "forward-financing", SOAP, "reference-partner", DECLARED)
"""The last list is that of the first one: what its calls have not brought by then comes by no other way."""
LAST_SECONDS = 12.0
"""From the end of the faults to the last list."""
EVERY, FEWEST, MOST = 5.0, 12, 60
"""Seconds between two lists; and how many a run has, however long it is."""
HELD = (0.1, 0.25)
"""Parts of the run for which an old list lies about before it is sent."""
LINES = 1200
"""Of a long list, so that it is read in several pieces: its rows come again and again, as in a careless export."""
STRANGERS = 2
SEPARATORS = (",", ";", "\t", "|")
HEADER = ("partnerId", "ourReference", "submittedAt", "status", "statusAt")
KINDS = ("leads", "decisions", "withdrawals", "acceptances")
"""Entries of a ledger that say how an application stands."""
Ids = Literal["theirs", "ours", "both"]
Said = Callable[[str, Item], Word]
"""(kind of the entry, entry) → what it says, in the lender's own words."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One list before it is written."""

    name: str
    lender: str
    at: float
    """When it is written, in seconds after the run began."""
    sent_at: float
    """When it is sent: one that was written long before is old by then."""
    twice: bool
    lines: int
    """It has so many at least."""
    ids: Ids
    separator: str
    strangers: tuple[str, ...]
    """Ids that nobody has."""


def plan(seconds: float, seed: int) -> tuple[Planned, ...]:
    """The same for the same numbers. Each third one is sent late, each seventh one twice, each fourth one is long."""
    chance = random.Random(f"lists {seed}")
    count = max(FEWEST, min(MOST, round(seconds / EVERY)))
    times = [seconds * (0.1 + 0.9 * (number + chance.random()) / count) for number in range(count - 1)]
    times.append(seconds + LAST_SECONDS)
    return tuple(_planned(number, count, at, seconds, chance) for number, at in enumerate(times))


def _planned(number: int, count: int, at: float, seconds: float, chance: random.Random) -> Planned:
    lender = LENDERS[(count - 1 - number) % len(LENDERS)]
    held = seconds * chance.uniform(*HELD) if number % 3 == 1 and number < count - 1 else 0.0
    return Planned(
        name=f"list {number} of {lender}",
        lender=lender,
        at=at,
        sent_at=at + held,
        twice=number % 7 == 2,
        lines=LINES if number % 4 == 3 else 0,
        ids=chance.choice(("theirs", "ours", "both")),
        separator=chance.choice(SEPARATORS),
        strangers=tuple(f"nobodys-{number}-{each}" for each in range(STRANGERS)),
    )


def rows(planned: Planned, ledger: Ledger, accepted: Iterable[Accepted]) -> tuple[Row, ...]:
    """A row for each application that it lists by now: since when the lender has it, and its newest word."""
    seat, lender = SEATS[planned.lender], planned.lender
    ours = {reference(each.application, lender, each.mark): each for each in accepted if lender in each.wanted}
    leads = [each for each in ledger["leads"] if each["user"] == seat.credential and each["reference"] in ours]
    untold = _untold(ledger) if lender == MUTE else frozenset()
    leads = [
        each for each in leads if (_id(each) in untold if lender == MUTE else is_listed(ours[each["reference"]].mark))
    ]
    words = _words(ledger, SAID[seat.ledger])
    return tuple(_row(planned, ours[each["reference"]], each, words[_id(each)]) for each in leads)


def is_listed(mark: str) -> bool:
    """Whether a lender that can be asked lists it."""
    return int(mark.removeprefix("ZZ")) % 2 == 0


def _untold(ledger: Ledger) -> frozenset[str]:
    """What the lender has decided and given up to tell: none of its calls came to a good end."""
    good = {each["id"]: 200 <= (each["status"] or 0) < 300 for each in ledger["webhooks"]}
    said = ledger["decisions"]
    return frozenset(_id(each) for each in said if all(good.get(call["id"]) is False for call in each["planned"]))


def _row(planned: Planned, accepted: Accepted, lead: Item, words: Sequence[Word]) -> Row:
    names = {"theirs": (_id(lead),), "ours": (lead["reference"],), "both": (_id(lead), lead["reference"])}
    taken, newest = words[0], words[-1]
    return Row(
        mark=accepted.mark,
        partner=planned.lender,
        opportunity=opportunity(accepted.application, planned.lender),
        names=names[planned.ids],
        said=((HEADER[2], taken[1]), newest) if newest != taken else (newest,),
    )


def content(planned: Planned, found: Sequence[Row]) -> bytes:
    """As the lender writes it."""
    lines = [_line(planned, row) for row in found]
    lines += [[*_names(planned, (each,)), "", lines[0][3], lines[0][4]] for each in planned.strangers]
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=planned.separator)
    writer.writerow(HEADER)
    writer.writerows(lines)
    for number in range(planned.lines - len(lines)):
        writer.writerow(lines[number % len(lines)])
    return written.getvalue().encode()


def _line(planned: Planned, row: Row) -> list[str]:
    word, at = row.said[-1]
    taken = _text(row.said[0][1]) if len(row.said) > 1 else ""
    return [*_names(planned, row.names), taken, word, _text(at)]


def _names(planned: Planned, names: Sequence[str]) -> list[str]:
    """In the two columns for ids."""
    return ["", names[0]] if planned.ids == "ours" else [names[0], names[1] if len(names) > 1 else ""]


def _text(at: dt.datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _time(text: str) -> dt.datetime:
    """Cut to milliseconds, as we keep times."""
    at = dt.datetime.fromisoformat(text)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _id(item: Item) -> str:
    """The lender's own."""
    return str(item.get("leadId") or item.get("applicationId") or item["id"])


def _words(ledger: Ledger, said: Said) -> Mapping[str, list[Word]]:
    """By the lender's id, what it said of each, in the order in which it was so."""
    found: dict[str, list[tuple[str, Word]]] = defaultdict(list)
    for kind in KINDS:
        for each in ledger.get(kind, ()):
            found[_id(each)].append((each["at"], said(kind, each)))
    return {id: [word for _, word in sorted(words)] for id, words in found.items()}


def _forward_financing(kind: str, item: Item) -> Word:
    return item["status"]["stage"] if kind == "decisions" else "Working", _time(item["at"])


def _finpace(kind: str, item: Item) -> Word:
    if kind == "decisions":
        return item["decision"]["outcome"], _time(item["decision"]["decidedAt"])
    return "submitted", _time(item["at"])


def _soap_lender(kind: str, item: Item) -> Word:
    return SOAP_WORDS.get(kind) or item["status"], _time(item["at"])


def _reference_partner(_: str, item: Item) -> Word:
    """It tells all times in whole seconds."""
    return item["said"]["status"], _time(item["said"]["statusAt"])


SOAP_WORDS = {"leads": "Received", "withdrawals": "Withdrawn"}
SAID: Mapping[str, Said] = {
    MUTE: _finpace,
    "forward-financing": _forward_financing,
    SOAP: _soap_lender,
    "reference-partner": _reference_partner,
}
