"""What the desk says, as tables for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from lendrail.local.render import COLOURS

Said = dict[str, Any]
LISTS = {
    "words": "words that nobody knows",
    "orphans": "calls that no opportunity claims",
    "disagreements": "opportunities of which two channels tell different things",
    "duplicates": "open opportunities that may be the same deal",
}
HEARD = {
    "report": "Heard: the partner is taken at its word",
    "look": "Heard: the partner is asked now",
    "noted": "Noted: the call proves nothing and the partner cannot be asked; correct the opportunity if you know more",
}
FOLLOW = {
    True: "later calls with the same id follow",
    False: "later calls with this id do not follow, since it is another opportunity's",
}
_WHOLE = ("opportunity", "opportunities", "id", "for example", "command")
"""Columns of ids, which are there to be copied."""
_ALIKE = {
    "same-wish": "same applicant, same wish",
    "same-reference": "same reference of yours",
    "same-partner-id": "same id at the partner",
}


def overview(said: Said) -> Table:
    table = _table("waits", "what", "oldest", "command")
    for name, words in LISTS.items():
        told = said[name]
        count = f"{told['count']}{'+' if told.get('more') else ''}"
        style = "yellow" if told["count"] else "dim"
        table.add_row(Text(count, style), words, _age(told.get("ageSeconds")), Text(f"lendrail desk {name}", "dim"))
    return table


def words(found: Iterable[Said]) -> Table:
    table = _table("partner", "word", "held by", "waits", "for example")
    for each in found:
        count = str(each["opportunities"])
        table.add_row(
            each["partner"], Text(each["word"]), count, _age(each["ageSeconds"]), each.get("opportunityId", "")
        )
    return table


def mapped(found: Iterable[Said]) -> Table:
    table = _table("partner", "word", "means", "by", "folding", "id")
    for each in found:
        by = f"{each['by']}{' for all tenants' if each['allTenants'] else ''}"
        word = Text(each.get("word", "***"))
        table.add_row(each["partner"], word, _status(each["status"]), by, each["folding"], each["id"])
    return table


def changes(found: Iterable[Said]) -> Table:
    table = _table("opportunity", "before", "after")
    for each in found:
        table.add_row(each["opportunityId"], _status(each["before"]), _status(each["after"]))
    return table


def orphans(found: Iterable[Said]) -> Table:
    table = _table("partner", "its id", "says", "came by", "proven", "waits", "id")
    for each in found:
        names = each.get("partnerId") or each.get("reference") or " ".join(each.get("keys", {}).values()) or "-"
        proven = "yes" if each["proven"] else "no"
        said = Text(each.get("words", "-"))
        table.add_row(each["partner"], Text(names), said, each["source"], proven, _age(each["ageSeconds"]), each["id"])
    return table


def disagreements(found: Iterable[Said]) -> Table:
    table = _table("opportunity", "partner", "we show", "they say", "since")
    for each in found:
        sides = Text("\n").join(_side(side) for side in each["sides"])
        about = (each["opportunityId"], each["partner"], _status(each["status"]))
        table.add_row(*about, sides, _age(each["ageSeconds"]))
    return table


def duplicates(found: Iterable[Said]) -> Table:
    table = _table("alike by", "partner", "opportunities", "status", "since")
    for each in found:
        pair: Sequence[Said] = each["opportunities"]
        ids = "\n".join(side["opportunityId"] for side in pair)
        status = Text("\n").join(_status(side["status"]) for side in pair)
        table.add_row(_ALIKE[each["by"]], pair[0]["partner"], ids, status, _age(each["ageSeconds"]))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name in _WHOLE)
    return table


def _status(status: str) -> Text:
    return Text(status, COLOURS.get(status, ""))


def _side(side: Said) -> Text:
    words = f" “{side['words']}”" if side.get("words") and side["words"] != side["status"] else ""
    return Text.assemble(f"{side['channel']}: ", _status(side["status"]), words, (f"\n{side['at'][:19]}Z", "dim"))


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
