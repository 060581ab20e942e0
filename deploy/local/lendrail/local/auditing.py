"""`lendrail audit verify`: whether the record of who did what is whole, in every service that keeps one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from lendrail.local.state import read_json
from lendrail.local.terminal import StateFolder, console, fail, state_of
from lendrail.runtime.audit_verify import Verdict, verify
from lendrail.runtime.mongo import Document

SERVICES = ("gateway", "validation", "documents", "submission", "status", "notifications", "operations")
"""And what people did with dead letters, which no service owns."""
Noted = Mapping[str, Mapping[int, str]]
app = typer.Typer(help="Who did what, and why: the chained record.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Makes `verify` a command of its own name, although there is no other yet."""


@app.command("verify")
def verify_command(
    mongo: Annotated[
        str | None, typer.Option(envvar="MONGO_URL", help="Default: that of the running local stack")
    ] = None,
    prefix: Annotated[
        str, typer.Option(envvar="LENDRAIL_DATABASE_PREFIX", help="What stands before every database name")
    ] = "",
    noted: Annotated[
        list[str] | None, typer.Option(help="SERVICE:NUMBER:HASH of a link as an earlier look told it")
    ] = None,
    state: StateFolder = None,
) -> None:
    """Follow every chain from its first link. Exit code 1 names the first one that is broken."""
    url = mongo or read_json(state_of(state).endpoints).get("mongo")
    if not url:
        raise fail("No stack is up and MONGO_URL names no MongoDB.")
    try:
        verdicts = asyncio.run(verdicts_of(url, prefix, _read(noted or ())))
    except ValueError as error:
        raise fail(str(error)) from None
    except PyMongoError as error:
        raise fail(f"MongoDB does not answer: {type(error).__name__}.") from None
    if not verdicts:
        raise fail("No service has an audit there.")
    for service, verdict in verdicts.items():
        console.print(said(service, verdict), markup=False)
    if any(verdict.broken for verdict in verdicts.values()):
        raise typer.Exit(1)


async def verdicts_of(url: str, prefix: str, noted: Noted) -> dict[str, Verdict]:
    """By service; those without an audit are left out, unless a link of theirs was noted."""
    client: AsyncMongoClient[Document] = AsyncMongoClient(url, tz_aware=True, serverSelectionTimeoutMS=5_000)
    verdicts: dict[str, Verdict] = {}
    async with client:
        for service in SERVICES:
            database = client[prefix + service]
            if service in noted or await database["audit_chain"].find_one({}) is not None:
                verdicts[service] = await verify(service, database, noted.get(service))
    return verdicts


def said(service: str, verdict: Verdict) -> str:
    """One line. What is sound is told so that it can be noted."""
    if (broken := verdict.broken) is not None:
        where = f"link {broken.sequence} " if broken.sequence is not None else ""
        return (
            f"{service}: BROKEN: {where}{broken.why}; sound up to {service}:{verdict.tip.sequence}:{verdict.tip.hash}"
        )
    waiting = f", {verdict.waiting} documents with entries to be linked" if verdict.waiting else ""
    return f"{service}: whole, {verdict.links} links{waiting}; note {service}:{verdict.tip.sequence}:{verdict.tip.hash}"


def _read(noted: Sequence[str]) -> Noted:
    """Raises ValueError."""
    found: dict[str, dict[int, str]] = {}
    for each in noted:
        parts = re.fullmatch(r"([a-z]+):([1-9][0-9]{0,17}):([0-9a-f]{64})", each)
        if parts is None or parts[1] not in SERVICES:
            raise ValueError("A noted link is SERVICE:NUMBER:HASH, as this command prints it.")
        found.setdefault(parts[1], {})[int(parts[2])] = parts[3]
    return found
