"""`lendrail import`: a partner's file of statuses, through the door that every operator has, and its report."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.table import Table

from lendrail.local.publish import Api
from lendrail.local.state import read_json
from lendrail.local.terminal import StateFolder, console, fail, state_of

PIECE = 256 * 1024
POLL_SECONDS = 0.5
SEND_SECONDS = 600.0
AWAY_SECONDS = 120.0
"""So long a file is followed while nobody can say how far it is."""
MOST_SHOWN = 50
ENDED = ("done", "refused", "failed")
Said = dict[str, Any]


def import_(
    file: Annotated[Path, typer.Argument(help="CSV or XLSX", exists=True, dir_okay=False, readable=True)],
    partner: Annotated[str, typer.Option(help="Whose file it is")],
    credential: Annotated[str | None, typer.Option(help="The account there, where there are several")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be, and change nothing")] = False,
    again: Annotated[bool, typer.Option("--again", help="Although this file was here before")] = False,
    as_of: Annotated[
        dt.datetime | None, typer.Option(help="UTC time since when statuses hold that state no time of their own")
    ] = None,
    rows: Annotated[int, typer.Option(help="How many rows of the report to show")] = MOST_SHOWN,
    all_rows: Annotated[bool, typer.Option("--all", help="Rows without problems too")] = False,
    state: StateFolder = None,
) -> None:
    """Send a partner's file of statuses and show what became of its rows. Exit code 1: it was refused, or rows have
    problems.
    """
    endpoints = read_json(state_of(state).endpoints)
    if not endpoints:
        raise fail("The stack is down; `lendrail up` starts it.")
    asked: dict[str, str] = {"partner": partner}
    asked |= {"credential": credential} if credential else {}
    asked |= {"dryRun": "true"} if dry_run else {}
    asked |= {"again": "true"} if again else {}
    asked |= {"asOf": as_of.replace(tzinfo=dt.UTC).isoformat()} if as_of else {}
    try:
        size = file.stat().st_size
        only = "all" if all_rows or dry_run else "problems"
        told, shown = asyncio.run(_bring(endpoints, file, size, asked, only, rows))
    except httpx.HTTPError as error:
        raise fail(f"The gateway gave no answer ({type(error).__name__}); say it again, a file is read once.") from None
    for line in summary(told):
        console.print(line, markup=False)
    if shown:
        console.print(table_of(shown))
        left = told["done"] - len(shown) if all_rows or dry_run else problems(told) - len(shown)
        if left > 0:
            console.print(f"… and {left} more; --rows shows more of them", markup=False)
    if told["state"] != "done" or problems(told):
        raise typer.Exit(1)


async def _bring(
    endpoints: Said, file: Path, size: int, asked: dict[str, str], only: str, most: int
) -> tuple[Said, list[Said]]:
    api = Api(endpoints)
    async with api.client:
        headers = await api.headers() | {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size),
            "Idempotency-Key": str(uuid.uuid4()),
        }
        answer = await api.client.post(
            "/v1/imports", params=asked, headers=headers, content=_content(file), timeout=SEND_SECONDS
        )
        said = _read(answer)
        if said.get("repeated"):
            console.print("This file was here before; this is what became of it then (--again reads it anew).")
        told = await _follow(api, said["id"])
        found: list[Said] = []
        token = ""
        while len(found) < most:
            page = _read(await api.get(f"/v1/imports/{said['id']}?only={only}&pageSize={min(most, 1000)}{token}"))
            found += page["rows"]
            if "nextPageToken" not in page:
                break
            token = f"&pageToken={page['nextPageToken']}"
        return told, found[:most]


async def _content(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while piece := await asyncio.to_thread(source.read, PIECE):
            yield piece


async def _follow(api: Api, id: str) -> Said:
    """Until it has ended; on a terminal, with its progress. A service that starts again loses nothing of it."""
    away = 0.0
    with console.status("waiting") as shown:
        while True:
            answer = await api.get(f"/v1/imports/{id}?pageSize=1")
            if answer.status_code in (502, 503) and away < AWAY_SECONDS:
                away += POLL_SECONDS
            else:
                told, away = _read(answer), 0.0
                if told["state"] in ENDED:
                    return told
                shown.update(f"{told['state']}: {told['done']} rows")
            await asyncio.sleep(POLL_SECONDS)


def _read(answer: httpx.Response) -> Said:
    try:
        said: Said = answer.json()
    except ValueError:
        raise fail("The gateway gave no readable answer.") from None
    if not answer.is_success:
        raise fail(f"{said.get('code')}: {said.get('detail')}")
    return said


def summary(told: Said) -> list[str]:
    """What to say of an import that has ended."""
    kind = "dry run" if told["dryRun"] else "import"
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(told["counts"].items()))
    lines = [f"{kind} {told['id']}: {told['state']}, {told['done']} rows{': ' + counts if counts else ''}"]
    if tally := told.get("tally"):
        lines.append(f"{tally['lines']} lines, {tally['blank']} of them blank, one header, {tally['rows']} rows")
    if problem := told.get("problem"):
        columns = f" ({', '.join(problem['columns'])})" if problem.get("columns") else ""
        lines.append(f"{problem['code']}{columns}: {problem['message']}")
    return lines


def table_of(rows: list[Said]) -> Table:
    table = Table("line", "outcome", "opportunity", "status", "what to change", box=None)
    for row in rows:
        said = [
            f"{each.get('column', '')} {each['code']}: {each['message']}".strip() for each in row.get("problems", ())
        ]
        if not said and row["outcome"] in ("unmapped", "unknown-id"):
            said = [row["message"]]
        cells = (row["outcome"], row.get("opportunityId", ""), row.get("status", ""), "\n".join(said))
        table.add_row(str(row["row"]), *cells)
    return table


def problems(told: Said) -> int:
    """Rows that need somebody's eye."""
    return sum(told["counts"].get(outcome, 0) for outcome in ("fault", "unmapped", "unknown-id"))
