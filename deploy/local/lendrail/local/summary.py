"""What the demo says at its end."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.table import Table
from rich.text import Text

from lendrail.local.render import COLOURS, short
from lendrail.local.scenes import Ending
from lendrail.local.state import State
from lendrail.local.words import of_all


def summary(endings: Iterable[Ending]) -> Table:
    table = Table(title="Six applications", title_justify="left", show_lines=True)
    for column in ("application", "status", "what was said", "documents sent, notices"):
        table.add_column(column, overflow="fold", no_wrap=column.startswith("documents"))
    for ending in endings:
        view, amount = ending.view, ending.applied["requestedFinance"]["amount"]
        status, said = view["status"], list(of_all(view))
        documents = Counter(name for each in view["opportunities"] for name in each.get("documentsSent", ()))
        sent = [name if times == 1 else f"{times} {name}" for name, times in documents.items()]
        table.add_row(
            f"{short(ending.application)} by {view['door']}\n{amount['amount']} {amount['currency']}",
            f"[{COLOURS.get(status, 'default')}]{status}[/]\nafter {ending.seconds:.1f} s",
            Text("\n".join(said)),
            Text("\n".join([*sent, *ending.notified])),
        )
    return table


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
