"""`lendrail desk orphans | merge | dismiss | dismiss-many`: calls that no opportunity claims."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from urllib.parse import urlencode

import typer

from lendrail.local import desk_tables as tables
from lendrail.local.desk import Said, Why, change, read, show
from lendrail.local.desk import app as app
from lendrail.local.terminal import StateFolder, console, fail

Partner = Annotated[str | None, typer.Option(help="Of this partner")]
Account = Annotated[str | None, typer.Option("--credential", help="Through this credential of yours")]
Source = Annotated[str | None, typer.Option(help="webhook, feed or csv")]
From = Annotated[str | None, typer.Option("--from", help="Received then or later, such as 2026-03-02T11:00:00Z")]
To = Annotated[str | None, typer.Option("--to", help="Received before")]
Proven = Annotated[bool | None, typer.Option("--proven/--unproven", help="Whether the call proved who sent it")]
AlsoProven = Annotated[bool, typer.Option("--proven", help="Those that proved who sent them, and no others")]


@app.command()
def orphans(
    partner: Partner = None,
    credential: Account = None,
    source: Source = None,
    proven: Proven = None,
    received_from: From = None,
    received_to: To = None,
    state: StateFolder = None,
) -> None:
    """Calls that no opportunity claims, the oldest first."""
    wanted = _wanted(partner, credential, source, received_from, received_to)
    wanted |= {} if proven is None else {"proven": str(proven).lower()}
    said = read(state, f"/orphans{'?' if wanted else ''}{urlencode(wanted)}")
    show(tables.orphans(said["orphans"]), said, "orphans", "No call waits.")


@app.command()
def merge(orphan: str, opportunity: str, reason: Why, state: StateFolder = None) -> None:
    """Give a call to its opportunity."""
    said = change(state, f"/orphans/{orphan}/merge", {"opportunityId": opportunity, "reason": reason})
    console.print(f"{tables.HEARD[said['heard']]}; {tables.FOLLOW[said['laterCallsFollow']]}", markup=False)


@app.command()
def dismiss(orphan: str, reason: Why, state: StateFolder = None) -> None:
    """Say that a call is nobody's."""
    change(state, f"/orphans/{orphan}/dismiss", {"reason": reason})
    console.print("It left the list; should its opportunity become known, it is heard all the same.")


@app.command("dismiss-many")
def dismiss_many(
    partner: Partner = None,
    credential: Account = None,
    source: Source = None,
    proven: AlsoProven = False,
    received_from: From = None,
    received_to: To = None,
    reason: Annotated[str | None, typer.Option(help="Kept, sealed, with who you are and when")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell how many there are")] = False,
    state: StateFolder = None,
) -> None:
    """Say of all calls that fit, and have come until now, that they are nobody's. Calls that prove who sent them stay,
    unless you ask for them.
    """
    if not reason and not dry_run:
        raise fail("Say why, with --reason; or look first, with --dry-run.")
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    body: Said = {"proven": proven, **_wanted(partner, credential, source, received_from, received_to or now)}
    if dry_run:
        said = change(state, "/orphans/dismiss", body | {"dryRun": True})
        console.print(f"{said['count']}{'+' if said['more'] else ''} calls would leave the list.")
        return
    left, more = 0, True
    while more:
        said = change(state, "/orphans/dismiss", body | {"reason": reason})
        left, more = left + said["count"], said["more"]
        console.print(f"{left} calls left the list{', and there are more' if more else ''}.")


def _wanted(
    partner: str | None, credential: str | None, source: str | None, received_from: str | None, received_to: str | None
) -> Said:
    told = {"partner": partner, "credential": credential, "source": source}
    told |= {"receivedFrom": received_from, "receivedTo": received_to}
    return {name: value for name, value in told.items() if value}
