"""The process that reads a file, from the service's side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tests.status.tables import HEADER, NOW, by

from lendrail.status.imports.parser import reading


async def _long_file() -> AsyncIterator[bytes]:
    yield HEADER.encode()
    for piece in range(60):
        yield b"".join(b"%d-%d,Approved,2026-11-01\n" % (piece, line) for line in range(1_000))


async def test_a_reader_that_was_ahead_of_us_can_be_left_at_any_time() -> None:
    """What it wrote and nobody took fills the pipe; its end must be heard all the same."""
    asked = {
        "format": by({}).model_dump(mode="json"),
        "received": NOW.isoformat(),
        "asOf": None,
        "skip": 0,
        "batch": 100,
    }
    async with asyncio.timeout(20), reading(asked | {"skip": 0, "batch": 100}, _long_file()) as parser:
        assert len(await parser.batch() or ()) == 100
        await asyncio.sleep(3)
