"""The command `lendrail`: starting, stopping and looking at a stack. `traffic.py` has what one does with it."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.table import Table

from lendrail.local import (
    aging,
    auditing,
    control,
    dead,
    erasing,
    importing,
    rebuilding,
    setting,
    supervisor,
    topics,
    traffic,
)
from lendrail.local.accounts import Where
from lendrail.local.configure import UPSTREAM, write_files
from lendrail.local.servers import ServerError
from lendrail.local.servers.process import started_at, tail
from lendrail.local.stack import Options, probe
from lendrail.local.state import State, is_up, read_json
from lendrail.local.terminal import UP_SECONDS, StateFolder, console, fail, show_more, state_of

app = typer.Typer(
    help="Lendrail on this machine: real Kafka, real MongoDB, every service a process of its own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
topics_app = typer.Typer(help="Kafka topics.", no_args_is_help=True)
app.add_typer(topics_app, name="topics")
app.add_typer(auditing.app, name="audit")
app.add_typer(setting.app, name="desk")
for command in (traffic.demo, traffic.publish, traffic.fit, traffic.watch, erasing.erase, rebuilding.republish):
    app.command()(command)
app.command("import")(importing.import_)
app.command()(aging.staleness)
app.command("dlq", context_settings=dead.PASSED_ON, add_help_option=False)(dead.command)


@app.command()
def up(
    state: StateFolder = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when everything is ready")] = False,
    rate_limit: Annotated[bool, typer.Option(help="Keep partners' rate limits, here and in the sandbox")] = True,
    compression: Annotated[bool, typer.Option(help="Let Kafka and MongoDB compress what they store")] = True,
    email: Annotated[bool, typer.Option(help="The demo tenant is told by e-mail too")] = True,
    outcomes: Annotated[bool, typer.Option(help="The demo tenant is told on its own topic too")] = True,
    partners_at: Annotated[
        str, typer.Option(help="URL at which services reach the sandbox, when a proxy stands between")
    ] = "",
    partners_mail_at: Annotated[str, typer.Option(help="The same for its mail server: host and port")] = "",
) -> None:
    """Start the whole stack; Ctrl-C or `lendrail down` ends it."""
    where = state_of(state)
    if is_up(where):
        return already_up(where)
    options = Options(rate_limit, compression, email, outcomes, partners_at, partners_mail_at)
    if detach:
        return up_detached(where, options)
    begin = time.monotonic()

    def ready() -> None:
        console.print(f"up after {time.monotonic() - begin:.1f} s; {where.endpoints} says where everything is")

    try:
        supervisor.supervise(where, options, lambda text: console.print(text), ready)
    except supervisor.AlreadyUp:
        already_up(where)
    except ServerError as error:
        raise fail(str(error)) from None


def already_up(where: State) -> None:
    console.print(f"The stack is already up; `lendrail status` shows it, {where.endpoints} says where everything is.")


def up_detached(where: State, options: Options) -> None:
    """Start `up` as a process of its own and show what it says until it is ready or has failed."""
    where.prepare()
    log = where.log("up")
    chosen = ["--rate-limit" if options.rate_limit else "--no-rate-limit"]
    chosen += ["--compression" if options.compression else "--no-compression"]
    chosen += ["--email" if options.email else "--no-email"]
    chosen += ["--outcomes" if options.outcomes else "--no-outcomes"]
    chosen += ["--partners-at", options.partners_at, "--partners-mail-at", options.partners_mail_at]
    with log.open("wb") as out:
        command = [sys.executable, "-m", "lendrail.local", "up", "--state", str(where.folder), *chosen]
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd=Path.cwd()
        )
    text, end = "", time.monotonic() + UP_SECONDS
    while True:
        finished = child.poll()
        text = show_more(log, text)
        if finished is not None:
            raise typer.Exit(finished)
        if where.endpoints.exists() and "up after" in text:
            return
        if time.monotonic() > end:
            child.terminate()
            child.wait()
            raise fail(f"The stack was not ready within {UP_SECONDS:.0f} s; {log} tells what happened.")
        time.sleep(0.1)


@app.command()
def down(state: StateFolder = None) -> None:
    """Stop everything; data and logs stay."""
    where = state_of(state)
    ran = supervisor.end_supervisor(where)
    ran = bool(supervisor.end_left_overs(where)) or ran
    if not is_up(where):
        supervisor.tidy(where)
    console.print("Stopped." if ran else "Nothing was running.")


@app.command()
def reset(state: StateFolder = None) -> None:
    """Stop everything and delete its data, logs, mail and keys."""
    where = state_of(state)
    down(state)
    shutil.rmtree(where.folder, ignore_errors=True)
    console.print(f"Deleted {where.folder}.")


@app.command()
def status(state: StateFolder = None) -> None:
    """What runs, and how it feels. Exit code 1 when something is dead or not ready."""
    where = state_of(state)
    if not is_up(where):
        console.print("The stack is down; `lendrail up` starts it.")
        raise typer.Exit(1)
    table = Table("program", "pid", "state", "health", "log", box=None)
    well = True
    for name, known in read_json(where.processes).items():
        alive = started_at(known["pid"]) == known["started"]
        ready, said = probe(known["health"]) if alive and known["health"] else (alive, "")
        well = well and ready
        word = "[green]running[/]" if alive else "[red]dead[/]"
        health = ("[green]ready[/]" if ready else f"[yellow]{said[:60]}[/]") if alive and known["health"] else "-"
        table.add_row(name, str(known["pid"]), word, health, known["log"])
    console.print(table)
    if not well:
        raise typer.Exit(1)


@app.command()
def restart(
    service: str,
    state: StateFolder = None,
    env: Annotated[list[str] | None, typer.Option("--env", help="NAME=VALUE for this start only")] = None,
    wait: Annotated[bool, typer.Option(help="Return when it is ready, not when it has started")] = True,
) -> None:
    """Stop one program if it lives, and start it with the same port and data."""
    where = state_of(state)
    if not is_up(where):
        raise fail("The stack is down; `lendrail up` starts it.")
    extra = dict(pair.split("=", 1) for pair in env or [] if "=" in pair)
    done, message = control.ask(where, "restart" if wait else "start", service, extra)
    if not done:
        raise fail(message)
    console.print(message, markup=False)


@app.command()
def logs(
    service: str,
    state: StateFolder = None,
    follow: Annotated[bool, typer.Option("--follow", "-f")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n")] = 50,
) -> None:
    """The end of a program's log."""
    log = state_of(state).log(service)
    if not log.exists():
        raise fail(f"There is no log of {service}.")
    console.print(tail(log, lines), markup=False)
    if not follow:
        return
    with log.open() as text:
        text.seek(0, os.SEEK_END)
        try:
            while True:
                console.print(text.read(), end="", markup=False)
                time.sleep(0.2)
        except KeyboardInterrupt:
            return


@topics_app.command("apply")
def topics_apply(
    bootstrap: Annotated[
        str | None, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS", help="Default: the running local stack")
    ] = None,
    tenants: Annotated[
        Path | None,
        typer.Option(
            envvar="LENDRAIL_TENANTS_FILE",
            help="Names the upstream systems, tenants and credentials with own topics; default: the local stack's",
        ),
    ] = None,
    upstream: Annotated[list[str] | None, typer.Option(help="Further upstream systems with an intake topic")] = None,
    replication: Annotated[int, typer.Option(help="Replication factor of new topics")] = 1,
    state: StateFolder = None,
) -> None:
    """Create missing topics and bring the others to the registry's partitions and retention."""
    local = state_of(state)
    where = bootstrap or read_json(local.endpoints).get("kafka")
    if not where:
        raise fail("No stack is up and KAFKA_BOOTSTRAP_SERVERS names no Kafka.")
    file = tenants or local.config / "tenants.json"
    try:
        named = topics.of_tenants(file) if tenants or file.exists() else topics.Members([UPSTREAM], [], [])
        upstreams = dict.fromkeys([*named.upstreams, *(upstream or ())])
        done = asyncio.run(topics.apply(where, upstreams, *named[1:], replication=replication))
    except topics.TopicsError as error:
        raise fail(str(error)) from None
    for name, what in done.items():
        console.print(f"{name}: {what}", markup=False)


@app.command()
def configure(
    sandbox_url: Annotated[str, typer.Option(help="Where the services find the sandbox")],
    state: StateFolder = None,
    rate_limit: Annotated[bool, typer.Option(help="Keep partners' rate limits, here and in the sandbox")] = True,
    sandbox_smtp_port: Annotated[int, typer.Option(help="Port of the sandbox's mail server")] = 2525,
    sandbox_certificate: Annotated[Path | None, typer.Option(help="Where services find its certificate")] = None,
) -> None:
    """Write keys, tenants and credentials without starting anything, for a stack that somebody else runs."""
    where = state_of(state)
    where.config.mkdir(parents=True, exist_ok=True)
    host = urlsplit(sandbox_url).hostname or "127.0.0.1"
    certificate = sandbox_certificate or where.config / "tls-cert.pem"
    at = Where(sandbox_url.rstrip("/"), f"{host}:{sandbox_smtp_port}", certificate)
    write_files(where, at, rate_limit=rate_limit)
    console.print(f"{where.config} is ready.")
