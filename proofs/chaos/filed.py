"""What became of the files that lenders sent: each is read to its end once, and each of its rows is heard once. Pure.

Whether an old row changed a newer truth is not asked here: the status that is shown is held against what the partner
holds, whichever way it came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from proofs.chaos.found import Found
from proofs.chaos.shapes import File, Filed, Row, Shown

ZERO = ("files_lost", "files_doubled", "rows_lost", "rows_doubled", "rows_invented")
"""The names of which there must be none."""
DONE = "done"


def follow(filed: Filed, shown: Iterable[Shown], found: Found) -> None:
    """Count what is right, and name what is not."""
    known = {each.opportunity for each in shown if each.partner_id is not None}
    rows: dict[Row, None] = {}
    for each in filed.files:
        if each.ids and _ended(each, filed, found):
            rows |= dict.fromkeys(each.rows)
            _strangers(each, filed.kept, found)
    for row in rows:
        if (lost := _lost(row, filed, row.opportunity in known)) is not None:
            found.name("rows_lost", f"{row.mark} at {row.partner}: {lost}")
    found.count("rows", len(rows))
    found.count("rows_changed", filed.changed)
    _heard(filed, found)


def told(filed: Filed) -> frozenset[tuple[str, str]]:
    """Of which application, and at which partner, a file tells that was read."""
    read = [each for each in filed.files if {filed.states.get(id) for id in each.ids} == {DONE}]
    return frozenset((row.mark, row.partner) for each in read for row in each.rows)


def _ended(each: File, filed: Filed, found: Found) -> bool:
    """Whether it was read, under one name."""
    found.count("files")
    found.count("files_again", each.again)
    if len(set(each.ids)) > 1:
        found.name("files_doubled", each.name)
    states = {filed.states.get(id, "unknown") for id in each.ids}
    if states != {DONE}:
        found.name("files_lost", f"{each.name}: {' and '.join(sorted(states))}")
    return states == {DONE}


def _strangers(each: File, kept: Collection[str], found: Found) -> None:
    for name in each.strangers:
        if name in kept:
            found.count("strangers")
        else:
            found.name("rows_lost", f"{name}, whom nobody knows, in {each.name}")


def _lost(row: Row, filed: Filed, known: bool) -> str | None:
    """The first word of a row that is not stored. One that names a partner's id which we never learnt is kept."""
    heard = filed.heard.get(row.opportunity, ())
    if not known and any(name in filed.kept for name in row.names):
        return None
    return next((word for word, at in row.said if (word, at) not in heard), None)


def _heard(filed: Filed, found: Found) -> None:
    """Everything that is stored as a file's word, against the files; also those that nobody acknowledged."""
    marks = {row.opportunity: f"{row.mark} at {row.partner}" for each in filed.files for row in each.rows}
    said = {(row.opportunity, *word) for each in filed.files for row in each.rows for word in row.said}
    for opportunity, words in filed.heard.items():
        for (word, at), times in Counter(words).items():
            what = f"{marks.get(opportunity, opportunity)}: {word}"
            if times > 1:
                found.name("rows_doubled", what)
            if (opportunity, word, at) not in said:
                found.name("rows_invented", what)
