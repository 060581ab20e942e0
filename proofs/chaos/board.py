"""The live board of a run; where nobody can watch it, a line for each step."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from proofs.chaos.shapes import Carried, Fault
from proofs.chaos.state import State

LAST = 6
"""Faults that are shown."""
EVERY = 0.5


@asynccontextmanager
async def shown(state: State, console: Console) -> AsyncIterator[None]:
    """While the run goes on."""
    showing = asyncio.create_task(_live(state, console) if console.is_terminal else _lines(state, console))
    try:
        yield
    finally:
        showing.cancel()
        with suppress(asyncio.CancelledError):
            await showing


async def _live(state: State, console: Console) -> None:
    with Live(board(state), console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(await asyncio.to_thread(board, state), refresh=True)
            await asyncio.sleep(EVERY)


async def _lines(state: State, console: Console) -> None:
    said = ""
    while True:
        if state.step != said:
            said = state.step
            console.print(f"{time.monotonic() - state.begin:6.0f} s  {said}", highlight=False)
        await asyncio.sleep(EVERY)


def board(state: State) -> Group:
    made = state.made
    carried = list(made.carried) if made else []
    kinds = Counter[str](each.fault.kind for each in carried)
    total = sum(len(each.wanted) for each in state.upstream.ledger.accepted) if state.upstream else 0
    left = len(state.open())
    seconds = time.monotonic() - state.begin
    head = Text(f"chaos, seed {state.options.seed}: {state.step}, {seconds:.0f} s of {state.options.seconds:.0f} s")
    head.stylize("bold")
    numbers = Table.grid(padding=(0, 2))
    numbers.add_row("accepted", f"{state.accepted} of {len(state.planned)} applications")
    numbers.add_row("at partners", f"{total - left} settled, {left} open, {state.parked} wait for a person")
    numbers.add_row("files", f"{len(state.clerk.files) if state.clerk else 0} of {len(state.lists)} lists of lenders")
    numbers.add_row("faults", f"{len(carried)} of {len(state.faults)}: {told(kinds)}")
    if made and made.under_way:
        numbers.add_row("now", ", ".join(map(_named, made.under_way)))
    newest = sorted(carried, key=lambda each: each.ended)[-LAST:]
    return Group(head, numbers, *(Text(f"  {_line(each)}", style="dim") for each in newest))


def told(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none yet"


def _named(fault: Fault) -> str:
    said = fault.detail.get("label") or fault.detail.get("kind") or ""
    return f"{fault.kind} {fault.target} {said}".strip()


def _line(carried: Carried) -> str:
    after = "nothing to do" if carried.progress is None else f"goes on after {carried.progress:.1f} s"
    return f"{carried.began:5.0f} s  {_named(carried.fault)}, {carried.ended - carried.began:.1f} s; {after}"
