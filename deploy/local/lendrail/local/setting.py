"""`lendrail desk correct | pin | unpin`: what an operator sets of one opportunity."""

from __future__ import annotations

from typing import Annotated

import typer

from lendrail.local.calls import app as app
from lendrail.local.desk import Said, Why, asked
from lendrail.local.terminal import StateFolder, console

Set = Annotated[str, typer.Argument(help="In our words, such as declined")]


@app.command()
def correct(opportunity: str, status: Set, reason: Why, state: StateFolder = None) -> None:
    """Say what holds, until the partner's next word."""
    _set(state, opportunity, "correct", {"status": status, "reason": reason})


@app.command()
def pin(
    opportunity: str,
    reason: Why,
    status: Annotated[str | None, typer.Option(help="What to hold; otherwise what is shown now")] = None,
    until: Annotated[str | None, typer.Option(help="A time with its zone, such as 2026-03-02T11:00:00Z")] = None,
    until_partner_says: Annotated[list[str] | None, typer.Option(help="One of our statuses; may be repeated")] = None,
    state: StateFolder = None,
) -> None:
    """Hold a status whatever the partner says."""
    ends = {"status": status, "until": until, "untilPartnerSays": until_partner_says}
    _set(state, opportunity, "pin", {"reason": reason} | {name: value for name, value in ends.items() if value})


@app.command()
def unpin(opportunity: str, reason: Why, state: StateFolder = None) -> None:
    """Take a pin off: what was said meanwhile counts."""
    _set(state, opportunity, "unpin", {"reason": reason})


def _set(state: StateFolder, opportunity: str, what: str, body: Said) -> None:
    said = asked(state, lambda api: api.post(f"/v1/opportunities/{opportunity}/{what}", body))
    theirs = f"; by the partner's words alone {said['partnerStatus']}" if "partnerStatus" in said else ""
    held = "pinned, " if "pin" in said else ""
    console.print(f"{held}{said['status']}{theirs}", markup=False)
