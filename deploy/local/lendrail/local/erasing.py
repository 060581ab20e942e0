"""`lendrail erase`: an application of the running stack, through the door that every client has."""

from __future__ import annotations

import asyncio
import re
from enum import StrEnum
from typing import Annotated, Any

import httpx
import typer

from lendrail.local.publish import Api
from lendrail.local.state import read_json
from lendrail.local.terminal import StateFolder, console, fail, state_of


class Reason(StrEnum):
    REQUESTED = "requested-by-person"
    OBLIGATION = "legal-obligation"
    MISTAKE = "entered-by-mistake"
    TEST = "test-data"


def erase(
    application: Annotated[str, typer.Argument(help="Its whole id")],
    reason: Annotated[Reason, typer.Option(help="Why; kept in the audit")],
    even_if_open: Annotated[
        bool, typer.Option("--even-if-open", help="Although a partner works on it, which keeps what it was sent")
    ] = False,
    state: StateFolder = None,
) -> None:
    """Erase an application for good: nobody can read the person any more. Exit code 1: it was not erased."""
    endpoints = read_json(state_of(state).endpoints)
    if not endpoints:
        raise fail("The stack is down; `lendrail up` starts it.")
    if not re.fullmatch(r"[0-9a-f-]{36}", application):
        raise fail("Name the application by its whole id.")
    try:
        answer = asyncio.run(_ask(endpoints, application, {"reason": reason.value, "evenIfOpen": even_if_open}))
        said = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise fail(f"The gateway gave no answer ({type(error).__name__}); say it again, it is done once.") from None
    if answer.status_code != 200:
        named = "".join(f"\n  {each.get('partner')}: {each.get('message')}" for each in said.get("errors", ()))
        raise fail(f"{said.get('code')}: {said.get('detail')}{named}")
    console.print(f"{said['applicationId']} {said['status']}", markup=False)


async def _ask(endpoints: dict[str, Any], application: str, said: dict[str, Any]) -> httpx.Response:
    api = Api(endpoints)
    async with api.client:
        return await api.post(f"/v1/applications/{application}/erase", said)
