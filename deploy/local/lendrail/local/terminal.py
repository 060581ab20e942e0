"""What all commands share: the terminal, the folder of the stack, how a failure is said."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lendrail.local.state import State, project

WIDTH_OF_A_FILE = 120
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)
StateFolder = Annotated[
    Path | None, typer.Option("--state", envvar="LENDRAIL_STATE", help="Folder of the stack; default .lendrail")
]
UP_SECONDS = 240.0
"""Longest wait for a whole stack; the first run downloads."""


def state_of(folder: Path | None) -> State:
    return State(folder or project() / ".lendrail")


def fail(message: str) -> typer.Exit:
    console.print(message, style="red", markup=False)
    return typer.Exit(1)


def show_more(log: Path, shown: str) -> str:
    """Print what a log has gained since it read `shown`; returns what it reads now."""
    text = log.read_text() if log.exists() else ""
    console.print(text[len(shown) :], end="", markup=False)
    return text
