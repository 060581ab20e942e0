"""The process that reads a file, as the service sees it: bytes are handed over, batches of rows come back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from lendrail.runtime.tasks import end
from lendrail.status.imports.rows import Row, heard

LARGEST_FRAME = 64 * 1024 * 1024
_KEPT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "PYTHONTZPATH")
"""Of our environment; the rest names keys and servers."""


class ReaderDied(Exception):
    """The process ended before it had told all; the same file may be read once more."""


class FileRefused(Exception):
    def __init__(self, code: str, columns: list[str]) -> None:
        super().__init__(code)
        self.code, self.columns = code, columns


class Parser:
    """One file under way. `tally` is there when all rows were told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self._out = process.stdout
        self.tally: dict[str, int] | None = None

    async def batch(self) -> list[Row] | None:
        """The next rows; None after the last ones. Raises `FileRefused`, `ReaderDied`."""
        said = await self._frame()
        if "rows" in said:
            return [heard(each) for each in said["rows"]]
        if "refused" in said:
            raise FileRefused(said["refused"], list(said["columns"]))
        self.tally = said["end"]
        return None

    async def _frame(self) -> Any:
        try:
            (length,) = struct.unpack(">I", await self._out.readexactly(4))
            if length > LARGEST_FRAME:
                raise ReaderDied
            return json.loads(await self._out.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            raise ReaderDied from None


@asynccontextmanager
async def reading(asked: dict[str, Any], content: AsyncIterator[bytes]) -> AsyncIterator[Parser]:
    """A parser that is fed with `content`, and ended when this ends, however it does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lendrail.status.imports.program",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={name: os.environ[name] for name in _KEPT if name in os.environ}, limit=1024 * 1024,
    )  # fmt: skip
    feeding = asyncio.create_task(_feed(process, asked, content))
    try:
        yield Parser(process)
    except ReaderDied:
        if feeding.done() and (error := feeding.exception()) is not None:
            raise error from None  # it starved, and this is why
        raise
    finally:
        await end([feeding])
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()  # its end is heard only when all that it wrote is taken


async def _feed(process: asyncio.subprocess.Process, asked: dict[str, Any], content: AsyncIterator[bytes]) -> None:
    """A reader that refuses the file goes before it has taken all; one that gets no more must not take this for the
    end of the file.
    """
    assert process.stdin is not None
    data = json.dumps(asked).encode()
    try:
        with contextlib.suppress(ConnectionError):
            process.stdin.write(struct.pack(">I", len(data)) + data)
            async for piece in content:
                process.stdin.write(piece)
                await process.stdin.drain()
            process.stdin.close()
            await process.stdin.wait_closed()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
