"""`make bench ARGS="--imports 20000"`: a file of statuses, beside `csv` and a bulk insert of the same rows.

The bare side reads the file with Python's `csv` and inserts each row as a document, a thousand at a time, into the same
MongoDB with the same write concern, in turns with ours; once its four cells alone, and once together with as much as we
keep of such a row, under as many indexes. It decides nothing, seals nothing and tells nobody.

Ours is a real gateway and a real status service: the file is sealed, stored and read by a process of its own; each row
is matched to its opportunity, folded with all that was heard of it, sealed, written as an observation, a state and a
version, told on Kafka and marked as told, and reported. Five files: a lender's monthly one (of ten deals nine stand as
they stood in the file before; one has changed; of each hundred rows two are about nobody we know); every row changes
its deal; nothing is new; rows that nobody knows; and a dry run of ten times as many of those.

From `LARGE` rows on it is one large file instead (see `large_file.py`).
"""

from __future__ import annotations

from typing import NamedTuple

from proofs.page import Ran
from rich.console import Console
from rich.table import Table

from benchmarks import large_file
from benchmarks.files import Measured, Stack, file_of, stack, strangers
from lendrail.runtime.mongo import Document

console = Console(highlight=False, width=160)
LARGE = 200_000
AIM = 0.5
OBSERVED = ("opportunities", {"observations.source": "csv"})
KEPT = ("orphans", {"source": "csv"})


class Told(NamedTuple):
    """What became of one file, on our side and on the bare one."""

    ours: Measured
    cells: Measured
    alike: Measured | None
    """None where nothing is kept of a row but its line of the report."""


def run(count: int) -> None:
    ran = Ran()
    if count >= LARGE:
        large_file.run(count)
    else:
        with stack(count) as found:
            show(list(_measured(found)))
    console.print(ran.told())


def _measured(found: Stack) -> list[Told]:
    ids, count = found.ids, len(found.ids)
    changing = file_of(ids, "in-review", 1)
    lines = file_of(ids, "in-review", 1).splitlines()
    newer = file_of(ids, "approved", 2).splitlines()
    unknown = file_of(strangers(count), "approved", 2).splitlines()
    monthly = [unknown[n] if n % 50 == 0 else newer[n] if n % 10 == 1 else lines[n] for n in range(1, count + 1)]
    nobody = file_of(strangers(count), "approved", 3)
    return [
        _side_by_side(found, "every row changes its deal", changing, OBSERVED),
        _side_by_side(found, "a lender's monthly file", b"\n".join([lines[0], *monthly, b""])),
        _side_by_side(found, "nothing is new", changing + b"\n"),
        _side_by_side(found, "nobody knows the deals", nobody, KEPT),
        _side_by_side(found, "dry run of ten times as many", file_of(strangers(10 * count), "approved", 4), dry=True),
    ]


def _side_by_side(
    found: Stack, name: str, content: bytes, like: tuple[str, Document] | None = None, dry: bool = False
) -> Told:
    cells, ours = found.bare(name, content), found.ours(name, content, dry)
    return Told(ours, cells, found.bare(name, content, like) if like else None)


def show(results: list[Told]) -> None:
    table = Table(title="files of statuses", box=None, title_justify="left")
    texts = ("file", "side", "what became of them")
    for name in ("file", "side", "rows", "seconds", "a second", "CPU µs a row", texts[-1], "service MB", "reader MB"):
        table.add_column(name, justify="left" if name in texts else "right")
    for each in (side for told in results for side in (told.cells, told.alike, told.ours) if side is not None):
        cells = (str(each.rows), f"{each.seconds:.2f}", f"{each.rate:.0f}", f"{each.cpu / each.rows * 1e6:.0f}")
        memory = [f"{mb:.0f}" if mb else "" for mb in (each.service_mb, each.reader_mb)]
        table.add_row(each.file, each.side, *cells, each.counts, *memory)
    console.print(table)
    for told in results:
        sides = [each for each in (told.cells, told.alike) if each is not None]
        shares = [told.ours.share(each) for each in sides]
        reached = "reached" if told.ours.rate >= AIM * (told.alike or told.cells).rate else "missed"
        console.print(f"{told.ours.file}: {', '.join(shares)} (aim {AIM} of what is comparable: {reached})")
