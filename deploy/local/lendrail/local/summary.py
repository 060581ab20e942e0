"""What the demo says at its end."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from lendrail.local.demo import Ending
from lendrail.local.render import COLOURS, short
from lendrail.local.state import State


def summary(endings: Iterable[Ending]) -> Table:
    table = Table(title="Four applications", title_justify="left", show_lines=True)
    for column in ("application", "status", "what was said", "documents sent", "notified"):
        table.add_column(column, overflow="fold")
    for ending in endings:
        view, amount = ending.view, ending.scene.application["requestedFinance"]["amount"]
        status, said = view["status"], list(_said(view))
        documents = [name for each in view["opportunities"] for name in each.get("documentsSent", ())]
        table.add_row(
            f"{short(ending.application)} by {view['door']}\n{amount['amount']} {amount['currency']}",
            f"[{COLOURS.get(status, 'default')}]{status}[/]\nafter {ending.seconds:.1f} s",
            Text("\n".join(said)),
            Text("\n".join(documents) or "-"),
            "\n".join(ending.notified),
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
        yield f"{len(view['problems'])} errors, sent to nobody:"
        yield from (f"{problem['pointer']} ({problem['code']})" for problem in view["problems"])


def where_next(state: State, own: bool) -> str:
    logs, mail = _near(state.logs), _near(state.mail)
    lines = ["", "Where to look next"]
    if own:
        lines += [
            f"  {logs}   logs of this run; its servers were stopped again",
            f"  {mail}   the emails that were sent",
            "  make up, then .venv/bin/lendrail watch   a stack that stays, and its live timeline",
            "  .venv/bin/lendrail publish --sample 20   twenty real loans with invented people",
        ]
    else:
        lines += [
            "  lendrail watch   the live timeline;   lendrail publish --sample 20   twenty real loans",
            f"  {mail}   the emails that were sent",
        ]
    return "\n".join([*lines, "  docs/flow.md   the way of one application, topic by topic"])


def _near(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
