"""`make bench ARGS="--imports 1000000"`: one large file, end to end, and the memory of those who read it.

A lender's whole book: most deals are of other brokers, so nobody here knows them; one in `EVERY` is ours, spread over
the file. Half of these stand as they stood in a file before, the other half have changed. The service keeps 100 000
rows that nobody knows and tells of the others that they are too many, so both ways are gone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from rich.console import Console

from benchmarks.files import Moment, file_of, stack, strangers

console = Console(highlight=False, width=160)
EVERY = 50
EVERY_SECONDS = 5.0
SLACK = 1.1
"""So much more the second half of a file may take than the first."""


def run(count: int) -> None:
    moments: list[Moment] = []

    def seen(now: Moment) -> None:
        if not moments or now.seconds - moments[-1].seconds >= EVERY_SECONDS:
            console.print(
                f"{now.seconds:6.0f} s  {now.rows:9} rows  {now.rows / now.seconds:6.0f} a second  "
                f"service {now.service_mb:4.0f} MB  reader {now.reader_mb:3.0f} MB"
            )
            moments.append(now)

    ours = count // EVERY
    with stack(ours) as found:
        known = found.ids[: ours // 2]
        found.ours("the file before", file_of(known, "in-review", 1))
        content = _book(count, known, found.ids[ours // 2 : 2 * len(known)])
        told = found.ours("a lender's whole book", content, seen=seen)
        bare = found.bare("a lender's whole book", content)
    console.print(f"{told.rows} rows, {len(content) / 1e6:.0f} MB: {told.counts}")
    console.print(
        f"{told.seconds:.0f} s, {told.rate:.0f} rows a second, {told.share(bare)} "
        f"({bare.rate:.0f}); CPU {told.cpu / told.rows * 1e6:.0f} µs a row against {bare.cpu / bare.rows * 1e6:.0f}"
    )
    console.print(f"peak memory: service {told.service_mb:.0f} MB, reader {told.reader_mb:.0f} MB; {_growth(moments)}")


def _book(count: int, known: list[str], others: list[str]) -> bytes:
    """Rows of deals that are ours at every so many rows, and nobody's in between."""
    header, *same = file_of(known, "in-review", 1).splitlines()
    changed = file_of(others, "in-review", 2).splitlines()[1:]
    mine = [row for pair in zip(same, changed, strict=True) for row in pair]
    step, nobody = count // len(mine), iter(file_of(strangers(count - len(mine)), "approved", 3).splitlines()[1:])
    spread: Iterable[bytes] = itertools.chain.from_iterable([row, *itertools.islice(nobody, step - 1)] for row in mine)
    return b"\n".join([header, *spread, *nobody, b""])


def _growth(moments: list[Moment]) -> str:
    """What the second half of the way took beside the first."""
    half = len(moments) // 2
    first, second = moments[:half], moments[half:]
    if not first:
        return "too short to tell whether it grows"
    before, after = (max(each.service_mb + each.reader_mb for each in some) for some in (first, second))
    verdict = "constant" if after <= SLACK * before else "IT GROWS"
    return f"the second half of the file took {after / before:.2f} of what the first half took: {verdict}"
