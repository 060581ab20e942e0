"""`python -m proofs.matrix list | run | trace`."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from tests.flow.stack import Stack

from proofs.matrix import table
from proofs.matrix.bench import Result, bench, run_all
from proofs.matrix.cells import HANG_SECONDS, PASSES, START, Cell, cells, chosen, sample, windows
from proofs.matrix.ways import WAYS

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console(highlight=False, soft_wrap=True)
Only = Annotated[list[str] | None, typer.Option("--only", help="Cells whose text holds this; again: and this")]


@app.command("list")
def show(only: Only = None) -> None:
    """Every cell and what must hold of it."""
    found = chosen(cells(), only or [])
    for line in table.listed(found):
        typer.echo(line)
    passed = sum(cell.passed for cell in found)
    typer.echo(f"{len(found)} cells, of which {passed} are passed by an application in calm", err=True)


@app.command()
def run(
    only: Only = None,
    count: Annotated[int, typer.Option("--sample", help="So many of them, drawn by the seed; 0: all")] = 0,
    seed: Annotated[int, typer.Option(help="Of the draw")] = 1,
    write: Annotated[bool, typer.Option(help=f"Write {table.PAGE.name}")] = False,
    always: Annotated[bool, typer.Option("--windows", help="Those that are tried in any case")] = False,
) -> None:
    """Run cells on a stack of their own. Exit code 1 when one is broken."""
    if write and always:
        raise typer.BadParameter("the page is about cells of the matrix, and these have a class of their own")
    wanted = chosen(windows() if always else cells(), only or [])
    wanted = sample(wanted, count, seed) if count else wanted
    results = asyncio.run(_run(wanted))
    if write:
        of = f"a sample of {count} with seed {seed}" if count else "all cells" if not only else f"only {' '.join(only)}"
        table.write(results, of, HANG_SECONDS)
    raise typer.Exit(any(each.outcome == "broken" for each in results))


async def _run(wanted: list[Cell]) -> list[Result]:
    results = []
    with _stack() as stack:
        async with bench(stack) as made:
            async for result in run_all(made, wanted):
                results.append(result)
                if result.outcome != "not passed":
                    why = f": {'; '.join(result.why)}" if result.why else ""
                    console.print(f"{result.outcome:11} {result.seconds:5.1f} s  {result.cell}{why}")
    console.print(dict(Counter(each.outcome for each in results)))
    return results


@app.command()
def trace() -> None:
    """Count anew how often an application of each class passes each point, and keep it."""
    asyncio.run(_trace())


async def _trace() -> None:
    found = {}
    with _stack() as stack:
        async with bench(stack) as made:
            found[START] = await made.tell()
            for name, way in WAYS.items():
                found[name] = await made.trace(way)
                console.print(f"{name}: {sum(sum(each.values()) for each in found[name].values())} passes")
    PASSES.write_text(json.dumps(found, indent=1) + "\n")


@contextmanager
def _stack() -> Iterator[Stack]:
    """A stack of its own in a folder of its own, both gone afterwards."""
    stack = Stack(Path(tempfile.mkdtemp(prefix="lendrail-matrix-")))
    try:
        yield stack.up("--no-rate-limit")
    finally:
        stack.down()
        shutil.rmtree(stack.folder, ignore_errors=True)


if __name__ == "__main__":
    app()
