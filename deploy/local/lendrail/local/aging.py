"""`lendrail staleness`: how old what is shown is, partner by partner, and what the budget of looks can do about it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from lendrail.local.publish import Api
from lendrail.local.state import read_json
from lendrail.local.terminal import StateFolder, console, fail, state_of

STALE = {"wanted": "in time", "planned": "planned", "inTurn": "in turn"}
MEANING = (
    "age: since the partner last said what we show. staleness: how long that is wrong in the mean, if each\n"
    "look came in its time; with the looks that are allowed, spent as planned; and with the same in turn."
)
COLUMNS = ("partner", "deals", "looks/h", "age", "staleness", "webhooks")


def staleness(state: StateFolder = None) -> None:
    """How old what is shown is. Exit code 1 where the webhooks of a partner have fallen silent."""
    endpoints = read_json(state_of(state).endpoints)
    if not endpoints:
        raise fail("The stack is down; `lendrail up` starts it.")
    try:
        answer = asyncio.run(_ask(endpoints))
        said = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise fail(f"The gateway gave no answer ({type(error).__name__}).") from None
    if answer.status_code != 200:
        raise fail(f"{said.get('code')}: {said.get('detail')}")
    table = Table(*COLUMNS, box=SIMPLE_HEAD, show_lines=True)
    for row in said["credentials"]:
        table.add_row(*cells(row))
    console.print(table)
    console.print(MEANING, style="dim")
    for each in said["ended"]:
        console.print(f"{each['opportunityId']} at {each['partner']} is looked at no more ({each['status']})")
    if any((row["webhooks"] or {}).get("silentSince") for row in said["credentials"]):
        raise typer.Exit(1)


def cells(row: Mapping[str, Any]) -> list[str]:
    """One row of the table, each cell of up to three lines."""
    looks, ages, stale = row["looksPerHour"], row["ageSeconds"] or {}, row["stalenessSeconds"] or {}
    allowed = "no limit" if looks["budget"] is None else f"{looks['budget']:g} allowed"
    return [
        f"{row['partner']}\n{row['credential']}\n{row['mode']}",
        f"{row['open']} open\n{row['followed']} looked at\n{row['overdue']} overdue",
        f"{looks['needed']:g} needed\n{allowed}",
        "\n".join(f"{name} {span(ages.get(name))}" for name in ("p50", "p95", "max")),
        "\n".join(f"{said} {span(stale.get(name))}" for name, said in STALE.items()),
        _webhooks(row["webhooks"]),
    ]


def span(seconds: float | None) -> str:
    """In the largest unit of which there is at least one."""
    if seconds is None:
        return "-"
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _webhooks(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return "-"
    silent = told.get("silentSince")
    return f"SILENT since\n{_minute(silent)}" if silent else f"last call\n{_minute(told['lastHeardAt'])}"


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


async def _ask(endpoints: dict[str, Any]) -> httpx.Response:
    api = Api(endpoints)
    async with api.client:
        return await api.get("/v1/staleness")
