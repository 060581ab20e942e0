"""`lendrail dlq`: the operators' command of `lendrail.runtime.dlq`, pointed at the local stack where nothing else is
named.
"""

from __future__ import annotations

import os

import typer

from lendrail.local.state import read_json
from lendrail.local.terminal import StateFolder, fail, state_of
from lendrail.runtime import dlq

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def command(context: typer.Context, state: StateFolder = None) -> None:
    """Records that could not be read: `list`, `show ID`, `replay`; each with --help."""
    where = state_of(state)
    known = read_json(where.endpoints)
    told = {
        "KAFKA_BOOTSTRAP_SERVERS": known.get("kafka"),
        "MONGO_URL": known.get("mongo"),
        "LENDRAIL_MASTER_KEY_FILE": str(where.config / "master.key") if known else None,
    }
    for name, value in told.items():
        if os.environ.get(name) is None and value is None:
            raise fail(f"No stack is up and {name} is not set.")
        os.environ.setdefault(name, str(value))
    raise typer.Exit(dlq.main(context.args))
