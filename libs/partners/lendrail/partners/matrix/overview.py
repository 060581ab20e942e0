"""Partner by capability, at a glance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from lendrail.partners.matrix.markdown import code, table
from lendrail.partners.matrix.words import CLASSES
from lendrail.partners.partner import Partner

Cell = Callable[[Partner], str]


def overview(partners: Iterable[Partner]) -> Iterator[str]:
    rows = [
        [_linked(each), each.kind, each.facts.country, *(cell(each) for cell in CELLS.values())] for each in partners
    ]
    yield from table(["partner", "kind", "country", *CELLS], rows)
    yield from table(
        ["class", "the partner", "after an unknown outcome"],
        ([f"{code(each.value)} {name}", does, then] for each, (name, does, then) in CLASSES.items()),
    )


def _linked(partner: Partner) -> str:
    return f"[{partner.title}](#{anchor(partner.title)})"


def anchor(title: str) -> str:
    """As GitHub makes it of a heading."""
    return "".join(each for each in title.lower().replace(" ", "-") if each.isalnum() or each in "-_")


def _class(operation: str) -> Cell:
    """The class of an operation that there is."""
    return lambda it: it.operations[operation].capability.value if operation in it.operations else ""


def _documents(partner: Partner) -> str:
    if partner.document:
        return _class("document")(partner)
    if partner.thread:
        return f"with create; later {_class('follow-up')(partner)}"
    return "with create" if partner.delivery else ""


def _webhook(partner: Partner) -> str:
    if partner.webhook is None:
        return ""
    return "proven" if partner.webhook.proof else "hint"


CELLS: Mapping[str, Cell] = {
    **{name: _class(name) for name in ("create", "read", "search", "index", "update", "accept", "withdraw", "finance")},
    "documents": _documents,
    "webhook": _webhook,
    "feed": lambda it: "yes" if it.feed else "",
}
