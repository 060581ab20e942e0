"""`lendrail republish`: Kafka lost its data, and the local stack fills it again from what its services stored.

The steps are those of docs/rebuild.md. Only the gateway stays open meanwhile: what it takes waits in its store. It is
started anew like all others, because a producer that outlived its broker may bear the number of a new one, and Kafka
would take its records for repeats.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from typing import Annotated

import typer

from lendrail.local import control, topics
from lendrail.local.configure import files_of
from lendrail.local.programs import SERVICES, Addresses, command, environment
from lendrail.local.stack import READY_SECONDS, probe
from lendrail.local.state import State, is_up, read_json
from lendrail.local.terminal import StateFolder, console, fail, state_of

GATEWAY = "gateway"


def republish(
    days: Annotated[
        float | None, typer.Option(help="Events of so many days; default: as long as Kafka keeps any")
    ] = None,
    per_second: Annotated[float, typer.Option(help="At most so many events a second; 0: as fast as Kafka takes")] = 0.0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where this same rebuild was interrupted")] = False,
    state: StateFolder = None,
) -> None:
    """Publish all stored events again after Kafka lost its data; services stand still meanwhile, the gateway does not.

    Exit code 1: it did not end; repeat it with --resume. The services stay stopped until it did.
    """
    where = state_of(state)
    if not is_up(where):
        raise fail("The stack is down; `lendrail up` starts it.")
    options = ["--per-second", str(per_second)] + ([] if days is None else ["--days", str(days)])
    options += ["--resume"] if resume else []
    others = [name for name in SERVICES if name != GATEWAY]
    _apply_topics(where)
    for name in others:
        _ask(where, "stop", name)
    _ask(where, "restart", GATEWAY)
    for name in SERVICES:
        if not _published(where, name, options):
            raise fail(f"The events of {name} are not all published; repeat with --resume.")
    for name in others:
        _ask(where, "start", name)
    _wait(where, others)


def _wait(where: State, names: list[str]) -> None:
    """They start side by side."""
    health = {name: read_json(where.processes)[name]["health"] for name in names}
    end = time.monotonic() + READY_SECONDS
    while not all(probe(each)[0] for each in health.values()):
        if time.monotonic() > end:
            raise fail(f"The services were not ready within {READY_SECONDS:.0f} s; `lendrail status` shows which.")
        time.sleep(0.2)
    console.print(f"{', '.join(names)}: ready")


def _apply_topics(where: State) -> None:
    """Missing ones are created; after a loss that is all of them."""
    try:
        named = topics.of_tenants(files_of(where).tenants)
        done = asyncio.run(topics.apply(read_json(where.endpoints)["kafka"], *named))
    except topics.TopicsError as error:
        raise fail(str(error)) from None
    console.print(f"topics: {sum(what == 'created' for what in done.values())} of {len(done)} created", markup=False)


def _ask(where: State, do: str, name: str) -> None:
    done, message = control.ask(where, do, name, {})
    if not done:
        raise fail(message)
    console.print(message, markup=False)


def _published(where: State, name: str, options: list[str]) -> bool:
    """Whether the service's own command came to its end; it says itself how far it is."""
    endpoints, ports = read_json(where.endpoints), read_json(where.folder / "ports.json")
    addresses = Addresses(endpoints["kafka"], endpoints["mongo"], ports)
    program = [*command(name, where, addresses), "republish", *options]
    told = environment(name, where, files_of(where), addresses)
    return subprocess.run(program, env=told, check=False).returncode == 0
