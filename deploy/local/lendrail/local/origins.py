"""The end of the demo's last scene: the lender that nobody can ask sends its file, and each status says how it came."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from lendrail.local.follow import View, reached, reference, statuses
from lendrail.local.render import COLOURS
from lendrail.local.scenes import FAN_SECONDS, Ending, FanOut
from lendrail.local.stage import Missed, Stage
from lendrail.partners import PARTNERS

BY_FILE = "email-lender"
"""It takes mails, calls nobody and cannot be asked; what it decides comes in a list."""
WAYS = {
    "webhook": "push: it called, signed",
    "fetch": "push: it called, then was asked",
    "poll": "poll: it was asked",
    "feed": "poll: its mailbox was read",
    "csv": "file: a row of its list",
    "ack": "answer: to our own call",
}
"""By the source of a status. Whom nobody calls for is asked because its mailbox, which we read, had news."""
WANTED = ("push", "poll", "file")


async def play_file(stage: Stage, fan: FanOut, ending: Ending) -> Ending:
    """The ending as it is after the file. Raises Missed."""
    title = "the lender by mail sends its list"
    stage.console.rule(f"[bold]{title}: where each status came from", align="left")
    (deal,) = (each for each in ending.view["opportunities"] if each["partner"] == BY_FILE)
    await _bring(stage, title, deal["credential"], listed(deal, dt.datetime.now(dt.UTC)))

    def missing(view: View) -> list[str]:
        status = statuses(view)[BY_FILE]
        return [] if status == "approved" else [f"{BY_FILE} is {status} and not approved"]

    view = await reached(stage, title, ending.application, missing, FAN_SECONDS)
    names = [part.partner for part in fan.parts]
    told = [await _told(stage, title, each) for each in view["opportunities"] if each["partner"] in names]
    told.sort(key=lambda each: names.index(each["partner"]))
    stage.console.print(origins(told))
    judge(title, told)
    return replace(ending, view=view)


async def _bring(stage: Stage, title: str, credential: str, content: bytes) -> None:
    for line in content.decode().splitlines():
        stage.console.print(f"   {line}", markup=False, style="dim")
    whose = {"partner": BY_FILE, "credential": credential}
    answer = await stage.api.send("/v1/imports", str(uuid.uuid4()), params=whose, content=content)
    if answer.status_code != 202:
        raise Missed(f"{title}: POST /v1/imports answered {answer.status_code}")


def listed(opportunity: dict[str, Any], now: dt.datetime) -> bytes:
    """A list with one row, by the reference that stood in our mail."""
    return f"ourReference,approvedAt\n{reference(opportunity)},{now.isoformat(timespec='seconds')}\n".encode()


async def _told(stage: Stage, title: str, opportunity: dict[str, Any]) -> dict[str, Any]:
    answer = await stage.api.get(f"/v1/opportunities/{opportunity['opportunityId']}")
    if answer.status_code != 200:
        raise Missed(f"{title}: GET /v1/opportunities answered {answer.status_code}")
    found: dict[str, Any] = answer.json()
    return found


def origins(told: Iterable[dict[str, Any]]) -> Table:
    """Of each opportunity what holds, by which way it came, and how old it is."""
    table = Table(box=box.SIMPLE_HEAD)
    for name, width in (("partner", 25), ("status", 14), ("how it came", 32), ("its own time", 12), ("age", 6)):
        table.add_column(name, width=width, overflow="fold")
    for each in told:
        status, time = each["status"], each.get("partnerTime")
        table.add_row(
            PARTNERS[each["partner"]].title,
            Text(status, COLOURS.get(status, "")),
            way(each),
            dt.datetime.fromisoformat(time).strftime("%H:%M:%S") if time else "none given",
            f"{each['ageSeconds']:.0f} s",
        )
    return table


def way(told: dict[str, Any]) -> str:
    """How the status came, in words; their first one is push, poll, file or answer."""
    source: str = told["source"]
    if source == "fetch" and PARTNERS[told["partner"]].webhook is None:
        return WAYS["feed"]
    return WAYS.get(source, source)


def judge(title: str, told: Iterable[dict[str, Any]]) -> None:
    """Raises Missed: of push, poll and file one brought nothing."""
    came = {way(each).partition(":")[0] for each in told}
    if lacking := [each for each in WANTED if each not in came]:
        raise Missed(f"{title}: no status came by {', '.join(lacking)}; they came by {', '.join(sorted(came))}")
