"""One application followed closely: which lines are shown of it, what the API says, what was told, and to whom."""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

from lendrail.contracts.terms import attempt_id
from lendrail.local.render import rendered
from lendrail.local.stage import Check, Missed, Stage, nothing
from lendrail.local.timeline import Line

View = dict[str, Any]


class Changes:
    """Of the many lines of one application only those where a status becomes another one, or it changes itself."""

    def __init__(self, application: str) -> None:
        self._application = application
        self._last: dict[str, str | None] = {}

    def __call__(self, line: Line) -> bool:
        if line.application != self._application or line.event != "status-updated":
            return line.application == self._application and line.event.startswith("application-")
        before = self._last.get(line.partner or "", "submitting")
        self._last[line.partner or ""] = line.word
        return line.word != before


async def send(stage: Stage, title: str, application: dict[str, Any]) -> str:
    """Its id. From now on only its changes are shown, with those that came while it was being sent."""
    stage.shown = nothing
    application_id = await stage.send(title, "REST", application)
    stage.shown = Changes(application_id)
    for line in filter(stage.shown, list(stage.lines)):
        stage.console.print(rendered(line))
    return application_id


def reference(opportunity: View) -> str:
    """What we call it at this partner."""
    return str(attempt_id(uuid.UUID(opportunity["opportunityId"]), "create", "", 1))


def statuses(view: View) -> dict[str, str]:
    return {each["partner"]: each["status"] for each in view["opportunities"]}


async def reached(
    stage: Stage, title: str, application: str, missing: Callable[[View], list[str]], seconds: float
) -> View:
    """What the API says once nothing is missing. Raises Missed."""
    end = time.monotonic() + seconds
    while lacks := missing(view := await stage.view(title, application)):
        if time.monotonic() > end:
            raise Missed(f"{title}: after {seconds:.0f} s the API says: {'; '.join(lacks)}")
        await asyncio.sleep(0.1)
    return view


def lines_of(stage: Stage, application: str) -> list[Line]:
    return [line for line in stage.lines if line.application == application]


def after(stage: Stage, application: str, partner: str, status: str) -> int | None:
    """Milliseconds from arrival to this status, as Kafka tells it; None while it does not."""
    for line in lines_of(stage, application):
        if (line.event, line.partner, line.word) == ("status-updated", partner, status):
            return line.milliseconds
    return None


def on_kafka(stage: Stage, application: str, partner: str, status: str) -> Check:
    return f"{partner} {status} on Kafka", lambda: after(stage, application, partner, status) is not None


def told(stage: Stage, application: str, partner: str, status: str) -> list[Check]:
    """What was learned is on Kafka, and was told by webhook and mail."""
    return [
        on_kafka(stage, application, partner, status),
        (f"the signed webhook notice of {status}", lambda: stage.receiver.told(application, status)),
        (f"the email about {status}", lambda: stage.mailed(application, status) > 0),
    ]
