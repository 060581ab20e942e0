"""What the demo says at its end."""

from collections.abc import Iterable
from typing import Any

from rich.table import Table

from lendrail.local.demo import Ending
from lendrail.local.render import COLOURS, short
from lendrail.local.state import State


def summary(endings: Iterable[Ending]) -> Table:
    table = Table(title="Four applications", title_justify="left", show_lines=True)
    for column in ("application", "asked for", "door", "status", "what the partner said", "documents sent", "notified"):
        table.add_column(column)
    table.add_column("took", justify="right")
    for ending in endings:
        view, amount = ending.view, ending.scene.application["requestedFinance"]["amount"]
        status = view["status"]
        documents = [name for each in view["opportunities"] for name in each.get("documentsSent", ())]
        table.add_row(
            short(ending.application),
            f"{amount['amount']} {amount['currency']}",
            view["door"],
            f"[{COLOURS.get(status, 'default')}]{status}[/]",
            "\n".join(_said(view)),
            "\n".join(documents) or "-",
            "\n".join(ending.notified),
            f"{ending.seconds:.1f} s",
        )
    return table


def _said(view: dict[str, Any]) -> Iterable[str]:
    """Offers, reasons, what is missing, or our own problems where no partner was asked."""
    for each in view["opportunities"]:
        for offer in each.get("offers", ()):
            amount, term = offer.get("amount"), offer.get("term")
            yield " ".join(
                [f"{amount['amount']} {amount['currency']}" if amount else "offer"]
                + ([f"over {term['value']} {term['unit']}"] if term else [])
            )
        yield from (f"{reason['code']}: {reason['words']}" for reason in each.get("declineReasons", ()))
        if each.get("missingInfo"):
            yield each["missingInfo"]
    if view.get("problems"):
        yield f"{len(view['problems'])} errors, never sent: " + ", ".join(p["pointer"] for p in view["problems"])


def where_next(state: State, own: bool) -> str:
    lines = ["", "Where to look next"]
    if own:
        lines += [
            f"  {state.logs}   logs of this run; its servers were stopped again",
            f"  {state.mail}   the emails that were sent",
            "  make up; .venv/bin/lendrail watch   a stack that stays, and its live timeline",
            "  .venv/bin/lendrail publish --sample 20   twenty real loans with invented people",
        ]
    else:
        lines += [
            "  lendrail watch   the live timeline;   lendrail publish --sample 20   twenty real loans",
            f"  {state.mail}   the emails that were sent",
        ]
    return "\n".join([*lines, "  docs/flow.md   the way of one application, topic by topic"])
