"""The commands that send applications, show what becomes of them, and tell beforehand who would take them."""

import asyncio
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from aiokafka.errors import KafkaError
from rich.table import Table
from rich.text import Text

from lendrail.local import publish as publishing
from lendrail.local import supervisor, timeline
from lendrail.local.demo import play
from lendrail.local.fit import fits, why
from lendrail.local.render import rendered
from lendrail.local.sample import applications
from lendrail.local.servers import ServerError
from lendrail.local.servers.process import Process
from lendrail.local.stage import Missed, Stage
from lendrail.local.state import State, is_up, project, read_json
from lendrail.local.summary import summary, where_next
from lendrail.local.terminal import UP_SECONDS, StateFolder, console, fail, show_more, state_of

MANY = 20  # more results than this are only counted
HURRIED = {"LENDRAIL_LONGEST_WAIT_SECONDS": "4", "LENDRAIL_PARTNER_PROCESSING_SECONDS": "2"}
"""For the demo's own stack: its partners are simulated and done with a call at once, nobody wants to watch minutes."""


def demo(state: StateFolder = None) -> None:
    """Six applications from end to end, live: one up to its money, one withdrawn, one at five partners at once.

    Starts a stack of its own when none is up, and takes it down again. Exit code 1: something ended otherwise.
    """
    where, own = state_of(state), False
    if not is_up(where):
        where, own = State(where.folder / "demo"), True
    command = [sys.executable, "-m", "lendrail.local", "up", "--state", str(where.folder)]
    stack = Process("stack", command, where.log("up"), os.environ | HURRIED)
    try:
        if own:
            shutil.rmtree(where.folder, ignore_errors=True)
            begin_own(stack, where)
        endings = asyncio.run(play(Stage(where, console, hurried=own), project() / "examples" / "sba-7a-sample.csv"))
    except (Missed, ServerError, httpx.HTTPError, KafkaError) as error:
        raise fail(f"The demo stopped. {error or type(error).__name__}") from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    finally:
        stack.stop(supervisor.DOWN_SECONDS)
    console.print(summary(endings))
    console.print(where_next(where, own), markup=False)


def begin_own(stack: Process, where: State) -> None:
    """Start a stack that ends with us, and show how it comes up. Raises ServerError."""
    stack.start()
    shown, end = "", time.monotonic() + UP_SECONDS
    while not where.endpoints.exists():
        shown = show_more(where.log("up"), shown)
        stack.must_live()
        if time.monotonic() > end:
            raise ServerError(f"The stack was not ready within {UP_SECONDS:.0f} s.")
        time.sleep(0.1)
    show_more(where.log("up"), shown)


def publish(
    file: Annotated[Path | None, typer.Argument(help="JSON: one application or a list of them")] = None,
    sample: Annotated[int, typer.Option(help="Instead of FILE: so many real loans with invented people")] = 0,
    skip: Annotated[int, typer.Option(help="Loans to leave out before the sample begins")] = 0,
    rest: Annotated[bool, typer.Option("--rest", help="Through the REST door instead of the Kafka intake")] = False,
    state: StateFolder = None,
) -> None:
    """Send applications as an upstream system would; personal values are sealed on Kafka."""
    where = state_of(state)
    endpoints = read_json(where.endpoints)
    if not endpoints:
        raise fail("The stack is down; `lendrail up` starts it.")
    found = _read(file, sample, skip)
    try:
        if rest:
            sent = asyncio.run(publishing.to_rest(endpoints, found))
        else:
            key = publishing.public_key(where.config / "intake.jwk")
            sent = asyncio.run(publishing.to_kafka(endpoints["kafka"], key, found))
    except (httpx.HTTPError, KafkaError) as error:
        raise fail(f"Not everything was sent: {type(error).__name__}; `lendrail status` shows what runs.") from None
    if len(sent) <= MANY:
        for each in sent:
            problems = ", ".join(sorted({f"{p.get('pointer')} {p.get('code')}" for p in each.problems}))
            console.print(each.application_id or f"{each.status}: {problems}", markup=False)
    refused = sum(each.application_id is None for each in sent)
    console.print(f"{len(sent) - refused} sent, {refused} refused at the door")


def _read(file: Path | None, sample: int, skip: int) -> list[dict[str, Any]]:
    if (file is None) == (sample == 0):
        raise fail("Name a FILE or a number of loans with --sample.")
    if file is None:
        return list(applications(project() / "examples" / "sba-7a-sample.csv", sample, skip))
    try:
        return publishing.read_applications(file)
    except (OSError, ValueError):
        raise fail(f"{file} cannot be read as JSON of one application or a list of them.") from None


def fit(
    file: Annotated[Path | None, typer.Argument(help="JSON: one application or a list of them")] = None,
    sample: Annotated[int, typer.Option(help="Instead of FILE: so many real loans with invented people")] = 0,
    skip: Annotated[int, typer.Option(help="Loans to leave out before the sample begins")] = 0,
) -> None:
    """Which partners would take applications, and what keeps them from the others. Sends nothing, needs no stack."""
    found = fits(_read(file, sample, skip))
    table = Table("partner", "takes", "speaks against the others", box=None)
    for name, each in found.partners.items():
        table.add_row(name, f"{each.takes} of {found.asked}", Text(why(each.reasons)))
    if found.unsound:
        console.print(f"{found.unsound} of {found.asked} are no applications: {why(found.reasons)}", markup=False)
    console.print(table)
    if broken := {name: dict(each.broken) for name, each in found.partners.items() if each.broken}:
        raise fail(f"Passed a check and could not be put into calls, which is a defect of Lendrail: {broken}")


def watch(
    application: Annotated[str | None, typer.Argument(help="Only this application: its id or how it begins")] = None,
    state: StateFolder = None,
) -> None:
    """The live timeline, read from Kafka; with an APPLICATION from its beginning. Ctrl-C ends it."""
    kafka = read_json(state_of(state).endpoints).get("kafka") or os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if not kafka:
        raise fail("The stack is down; `lendrail up` starts it.")

    async def show() -> None:
        async for line in timeline.lines(kafka, from_start=application is not None):
            if application is None or (line.application or "").startswith(application):
                console.print(rendered(line))

    with suppress(KeyboardInterrupt):
        asyncio.run(show())
