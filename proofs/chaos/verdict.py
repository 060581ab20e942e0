"""What is left of the promises: four ledgers that nobody killed, and what we show, held against one another. Pure.

I1 nothing lost, I2 nothing twice, I3 nothing invented, I4 what we show is what the partner holds, I5 every version told
under one id and in order, I6 what is parked has a reason. Each violation has one name:

| found | named |
|---|---|
| acknowledged, the partner does not have it, and nothing says why | `lost` |
| one application more than once at a partner, or under two ids at our door | `doubled`, `frozen_window` |
| at a partner that nobody sent it to, or that must not have it | `invented` |
| shown otherwise than the partner holds it, under another id than the partner's, or not at all | `wrong` |
| waits for a person, and no call of it met a fault | `parked_without_reason` |
| a version under two ids, an id with two contents or of two versions | `renumbered` |
| a version that the subscriber never got | `untold` |
| a version whose first notice came after a later one's | `disordered` |
| a lender's file that was taken, and not read to its end | `files_lost` |
| a file that came again, and was taken for another one | `files_doubled` |
| a row of a file that was read, neither heard nor kept | `rows_lost` |
| a row that is stored as more than one observation | `rows_doubled` |
| what is stored as a file's word, and no file says | `rows_invented` |
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from proofs.chaos import filed as filing
from proofs.chaos.found import Found, Named
from proofs.chaos.shapes import Accepted, Filed, Notice, Shown, Taken, Verdict

ZERO = (
    *("lost", "doubled", "invented", "wrong", "parked_without_reason", "renumbered", "untold", "disordered"),
    *filing.ZERO,
)
"""The names of which there must be none."""
AFTER_FREEZE = dt.timedelta(seconds=3)
"""A process that was frozen between its last look at its lease and the first byte sends so soon after it wakes."""
LIVE = ("submitted", "in-review")
"""What is true of an application for as long as the partner told nobody what it decided."""
NOTHING_FILED = Filed()
Freeze = tuple[dt.datetime, dt.datetime]
Where = tuple[str, str]
"""The mark of an application, and a partner."""


def judge(
    accepted: Sequence[Accepted],
    taken: Sequence[Taken],
    notices: Sequence[Notice],
    shown: Sequence[Shown],
    *,
    sent: Collection[str] = (),
    freezes: Sequence[Freeze] = (),
    filed: Filed = NOTHING_FILED,
) -> Verdict:
    """`sent`: marks of all that the upstream began to send, also what nobody acknowledged in the end. `freezes`: when
    the process that sends was frozen. `filed`: the lenders' files. `notices` stand in the order in which they came.
    """
    found, books, by_file = Found(), defaultdict[Where, list[Taken]](list), filing.told(filed)
    for each in taken:
        where = each.mark, each.partner
        books[where].append(replace(each, told=each.told or where in by_file))
    views = {(each.application, each.partner): each for each in shown}
    _doors(accepted, found)
    _doubles(books, freezes, found)
    _inventions(accepted, taken, sent, found)
    for application in accepted:
        for partner in application.wanted:
            _end(application, partner, books[application.mark, partner], views, found)
    _parked(shown, {each.application: each.mark for each in accepted}, found)
    _told(notices, shown, found)
    filing.follow(filed, shown, found)
    counted: dict[str, Any] = {name: tuple(dict.fromkeys(all_of)) for name, all_of in found.names.items()}
    return Verdict(accepted=len({each.application for each in accepted}), **counted | found.counts)


def _doors(accepted: Iterable[Accepted], found: Found) -> None:
    """One application was acknowledged under one id, however often it was sent."""
    ids: dict[str, str] = {}
    for each in accepted:
        if ids.setdefault(each.mark, each.application) != each.application:
            found.name("doubled", f"{each.mark} at our door")


def _doubles(books: Mapping[Where, Sequence[Taken]], freezes: Sequence[Freeze], found: Found) -> None:
    for (mark, partner), records in books.items():
        if len(records) > 1:
            times = [each.at for each in records[1:] if each.at is not None]
            stated = len(times) == len(records) - 1 and all(_woken(each, freezes) for each in times)
            found.name("frozen_window" if stated else "doubled", f"{mark} at {partner}")


def _woken(at: dt.datetime, freezes: Sequence[Freeze]) -> bool:
    return any(end <= at <= end + AFTER_FREEZE for _, end in freezes)


def _inventions(accepted: Iterable[Accepted], taken: Iterable[Taken], sent: Collection[str], found: Found) -> None:
    meant = {(each.mark, partner) for each in accepted for partner in each.wanted if partner not in each.withheld}
    known = {each.mark for each in accepted}
    for each in taken:
        unanswered = each.mark in sent and each.mark not in known
        if (each.mark, each.partner) not in meant and not unanswered:
            found.name("invented", f"{each.mark or each.reference} at {each.partner}")


def _end(
    application: Accepted, partner: str, records: Sequence[Taken], views: Mapping[Where, Shown], found: Found
) -> None:
    """Each acknowledged application is, at each of its partners, settled, parked, or was stopped as it had to be."""
    what, view = f"{application.mark} at {partner}", views.get((application.application, partner))
    found.count("opportunities")
    if view is None:
        found.name("wrong" if records else "lost", what)
    elif view.parked:
        return  # counted where all that is parked is
    elif partner in application.withheld:
        right = view.status in application.wanted[partner].split("|")
        found.count("withheld", right)
        if not right:
            found.name("wrong", f"{what}: {view.status}")
    elif not records:
        found.name("lost", f"{what}: {view.status}")
    elif (why := _untrue(view, records[0], application.wanted[partner].split("|"))) is not None:
        found.name("wrong", f"{what}: {why}")
    else:
        found.count("settled" if records[0].told else "never_told")


def _untrue(view: Shown, record: Taken, wanted: Sequence[str]) -> str | None:
    """How what we show differs from what the partner holds."""
    if view.partner_id and record.partner_id and view.partner_id != record.partner_id:
        return "under another id than the partner's"
    if not record.told:
        return None if view.status in (*LIVE, record.status) else f"{view.status}, which nobody told us"
    if view.status not in wanted:
        return f"{view.status} and not {' or '.join(wanted)}"
    if record.status is not None and view.status != record.status:
        return f"{view.status}, and the partner holds {record.status}"
    return None


def _parked(shown: Iterable[Shown], marks: Mapping[str, str], found: Found) -> None:
    for each in shown:
        if each.parked and each.induced:
            found.count("parked_with_reason")
        elif each.parked:
            found.name("parked_without_reason", f"{marks.get(each.application)} at {each.partner}: {each.status}")


def _told(notices: Sequence[Notice], shown: Iterable[Shown], found: Found) -> None:
    found.count("repeated", len(notices) - len({each.id for each in notices}))
    for what in (*_two_ids(notices), *_two_contents(notices), *_late(notices)):
        found.name(*what)
    told = {_place(each) for each in notices}
    for view in shown:
        for version in view.versions:
            if (view.application, view.opportunity, version) not in told:
                found.name("untold", f"{view.application}/{view.opportunity} version {version}")


def _place(notice: Notice) -> tuple[str, str | None, int]:
    return notice.application, notice.opportunity, notice.version


def _two_ids(notices: Iterable[Notice]) -> Iterator[Named]:
    ids: dict[tuple[str, str | None, int], str] = {}
    for each in notices:
        if ids.setdefault(_place(each), each.id) != each.id:
            yield "renumbered", _version(each)


def _two_contents(notices: Iterable[Notice]) -> Iterator[Named]:
    contents: dict[str, Notice] = {}
    for each in notices:
        known = contents.setdefault(each.id, each)
        if known != each:
            yield "renumbered", _version(known)


def _late(notices: Iterable[Notice]) -> Iterator[Named]:
    """Repeats may come at any time; the first of each version is what counts."""
    newest: dict[tuple[str, str | None], int] = {}
    known: set[tuple[str, str | None, int]] = set()
    for each in notices:
        entity = each.application, each.opportunity
        if _place(each) not in known and each.version < newest.get(entity, -1):
            yield "disordered", _version(each)
        known.add(_place(each))
        newest[entity] = max(each.version, newest.get(entity, -1))


def _version(notice: Notice) -> str:
    return f"{notice.application}/{notice.opportunity} version {notice.version}"
