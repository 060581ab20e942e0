"""The tables of the demo's last scene: what each partner was sent and said, and what its own ledger has."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from lendrail.local.proof import Proof
from lendrail.local.render import COLOURS
from lendrail.local.timeline import Line
from lendrail.local.words import said, short_id
from lendrail.partners import PARTNERS

SCHEMES = {
    "api-key": "JSON API, API key",
    "oauth-client": "JSON API, OAuth 2.0",
    "wsse": "SOAP {version}, WS-Security",
    "smtp": "email, SMTP",
}
"""The channel by how we sign in there."""
CLASSES = "  (A) goes again with its key   (B) refuses what it knows   (E) never again without a person"


def outcomes(
    view: dict[str, Any], lines: Sequence[Line], credentials: Iterable[dict[str, Any]], partners: Iterable[str]
) -> Table:
    """`view`: the API's; `lines`: the application's on Kafka."""
    schemes = {each["id"]: each["auth"] for each in credentials}
    table = _table(("partner", 21), ("sent (class)", 17), ("outcome", 19), ("what it said", 31), lines=True)
    table.caption, table.caption_justify = CLASSES, "left"
    found = {each["partner"]: each for each in view["opportunities"]}
    for each in map(found.__getitem__, partners):
        table.add_row(
            Text.assemble(PARTNERS[each["partner"]].title, "\n", (channel(schemes[each["credential"]]), "dim")),
            Text("\n".join(sent(each["partner"], lines))),
            _outcome(each, lines),
            Text("\n".join(said(each))),
        )
    return table


def channel(auth: dict[str, Any]) -> str:
    scheme = str(auth["scheme"])
    return SCHEMES.get(scheme, scheme).format(version=auth.get("version", ""))


def sent(partner: str, lines: Sequence[Line]) -> list[str]:
    """`create (A): unknown, then accepted`: each operation, its class, what came back where that is no plain yes.

    The class says what makes a repeat safe.
    """
    came: dict[str, list[str]] = {}
    for line in lines:
        operation, _, outcome = (line.word or "").partition(": ")
        if line.event == "partner-ack" and line.partner == partner and operation != "gate":
            answers = came.setdefault(operation, [])
            answers += [outcome] if outcome not in answers else []
    return [_classed(partner, operation) + _answered(answers) for operation, answers in came.items()]


def _classed(partner: str, operation: str) -> str:
    if operation == "supplement":
        return "copy by email"
    known = PARTNERS[partner].operations.get(operation)
    return f"{operation} ({known.capability})" if known else operation


def _answered(answers: list[str]) -> str:
    return "" if answers == ["accepted"] else f": {', then '.join(answers)}"


def _outcome(opportunity: dict[str, Any], lines: Sequence[Line]) -> Text:
    """Status, the partner's own id, and when it became known."""
    status, partner = opportunity["status"], opportunity["partner"]
    known = ("status-updated", partner, status)
    after = next((line.milliseconds for line in lines if (line.event, line.partner, line.word) == known), None)
    identity = opportunity.get("partnerId")
    return Text.assemble(
        (status, COLOURS.get(status, "")),
        "\n" + (short_id(identity) if identity else "no id came back"),
        (f"\n+{after} ms" if after is not None else "", "dim"),
    )


def books(proofs: Iterable[Proof]) -> Table:
    """Each partner's own ledger on our reference."""
    table = _table(("by its own ledger", 25), ("has the application", 24), ("calls that it saw", 41))
    for each in proofs:
        table.add_row(PARTNERS[each.partner].title, each.has_it, Text(", ".join(each.calls)))
    return table


def _table(*columns: tuple[str, int], lines: bool = False) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_lines=lines)
    for name, width in columns:
        table.add_column(name, width=width, overflow="fold")
    return table
