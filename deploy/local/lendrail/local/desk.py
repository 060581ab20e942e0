"""`lendrail desk`: what waits for people, and what they do about it, through the door that every operator has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import httpx
import typer
from rich.table import Table

from lendrail.local import desk_tables as tables
from lendrail.local.configure import OPERATOR
from lendrail.local.publish import Api
from lendrail.local.state import State, read_json
from lendrail.local.terminal import StateFolder, console, fail, state_of

FOLDING_SECONDS = 600.0
POLL_SECONDS = 0.3
Said = dict[str, Any]
Why = Annotated[str, typer.Option("--reason", help="Kept, sealed, with who you are and when")]
Everybody = Annotated[bool, typer.Option("--all-tenants", help="For every tenant; needs the scope platform")]
app = typer.Typer(help="What waits for people: words, calls, channels, twins.", invoke_without_command=True)


@app.callback()
def overview(context: typer.Context, state: StateFolder = None) -> None:
    """What waits for people, and since when."""
    if context.invoked_subcommand is None:
        console.print(tables.overview(read(state, "")))


@app.command()
def words(all_tenants: Everybody = False, state: StateFolder = None) -> None:
    """Words of partners that nobody knows, and those that people gave a meaning."""
    said = read(state, f"/words?allTenants={'true' if all_tenants else 'false'}")
    show(tables.words(said["words"]), said, "words", "No word waits.")
    if said["mapped"]:
        console.print(tables.mapped(said["mapped"]))


@app.command("map")
def map_word(
    partner: str,
    word: Annotated[str, typer.Argument(help="To the letter, as the list shows it")],
    status: Annotated[str, typer.Argument(help="What it means, in our words, such as declined")],
    reason: Annotated[str | None, typer.Option(help="Kept, sealed, with who you are and when")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would change")] = False,
    all_tenants: Everybody = False,
    state: StateFolder = None,
) -> None:
    """Say once what a word means; what was said with it is folded again. Shows each opportunity before and after."""
    if not reason and not dry_run:
        raise fail("Say why, with --reason; or look first, with --dry-run.")
    body: Said = {"partner": partner, "word": word, "status": status, "allTenants": all_tenants, "dryRun": dry_run}
    said = change(state, "/words", body | ({"reason": reason} if reason else {}))
    if dry_run:
        console.print(f"{said['opportunities']} opportunities hold this word; {len(said['changes'])} would change:")
        console.print(tables.changes(said["changes"]))
        if said["changesElsewhere"]:
            console.print(f"and {said['changesElsewhere']} of other tenants")
        return
    _folded(state, said["id"])


@app.command()
def mapping(identity: Annotated[str, typer.Argument(metavar="ID")], state: StateFolder = None) -> None:
    """What a word that was given a meaning changed."""
    _tell(read(state, f"/words/{identity}"))


@app.command("take-back")
def take_back(identity: Annotated[str, typer.Argument(metavar="ID")], reason: Why, state: StateFolder = None) -> None:
    """A word's meaning is no more; what it decided is folded again."""
    _folded(state, change(state, f"/words/{identity}/take-back", {"reason": reason})["id"])


@app.command()
def disagreements(state: StateFolder = None) -> None:
    """Opportunities of which two channels tell different things."""
    said = read(state, "/disagreements")
    show(tables.disagreements(said["disagreements"]), said, "disagreements", "No channels disagree.")


@app.command()
def duplicates(state: StateFolder = None) -> None:
    """Open opportunities at one account that may be the same deal."""
    said = read(state, "/duplicates")
    show(tables.duplicates(said["duplicates"]), said, "duplicates", "No deals look alike.")


def show(table: Table, said: Said, name: str, otherwise: str) -> None:
    console.print(table if said[name] else otherwise)
    if said["more"]:
        console.print(
            f"{len(said[name])} shown, and there are more: these come first, since they wait for the longest."
        )


def _folded(state: StateFolder, identity: str) -> None:
    """Wait until all that holds the word was folded again, and tell what changed."""
    end = time.monotonic() + FOLDING_SECONDS
    while (said := read(state, f"/words/{identity}"))["folding"] != "done":
        if time.monotonic() > end:
            raise fail(f"Still under way; `lendrail desk mapping {identity}` tells how far it is.")
        time.sleep(POLL_SECONDS)
    _tell(said)


def _tell(said: Said) -> None:
    means = f"means {said['status']}" if "status" in said else "means nothing of ours any more"
    so_far = "in" if said["folding"] == "done" else "so far, since"
    console.print(f"{said['partner']}: “{said.get('word', '***')}” {means}   ({said['id']})", markup=False)
    console.print(f"{said['looked']} opportunities folded again {so_far} {said['seconds']:.1f} s, by {said['by']}")
    console.print(tables.changes(said["changes"]))


def read(state: StateFolder, path: str) -> Said:
    return asked(state, lambda api: api.get(f"/v1/desk{path}"))


def change(state: StateFolder, path: str, body: Said) -> Said:
    return asked(state, lambda api: api.post(f"/v1/desk{path}", body))


def asked(folder: StateFolder, ask: Callable[[Api], Awaitable[httpx.Response]]) -> Said:
    """The answer; what is no good answer is told and ends the command."""
    endpoints = _as_operator(state_of(folder))

    async def asking() -> httpx.Response:
        api = Api(endpoints)
        async with api.client:
            return await ask(api)

    try:
        answer = asyncio.run(asking())
        said: Said = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise fail(f"The gateway gave no answer that can be read ({type(error).__name__}).") from None
    if not answer.is_success:
        named = "".join(f"\n  {each.get('pointer')}: {each.get('message')}" for each in said.get("errors", ()))
        raise fail(f"{said.get('code')}: {said.get('detail')}{named}")
    return said


def _as_operator(where: State) -> Said:
    """Where the gateway is, and the operator's own client where this stack has one."""
    endpoints = read_json(where.endpoints)
    if not endpoints:
        raise fail("The stack is down; `lendrail up` starts it.")
    secret = read_json(where.config / "secrets.json").get("operator")
    own = {"client_id": OPERATOR, "client_secret": secret} if secret else {}
    return endpoints | {"oauth": endpoints["oauth"] | own}
