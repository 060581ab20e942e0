"""Renders sheets in processes of their own: drawing is pure CPU work and would hold up the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import structlog

from lendrail.documents.process import Rendered, render_all, settle_in
from lendrail.documents.sheet import Sheet

log = structlog.get_logger()
CHUNK = 20
"""Sheets in one order to a process: about 50 ms of work, against 0.3 ms for the order itself."""


class Renderer:
    def __init__(self, processes: int = 1) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None
        self._one_by_one = asyncio.Lock()

    async def run(self) -> None:
        """Start the processes before they are needed, and stay until cancelled."""
        await asyncio.gather(*(self._order([]) for _ in range(self._processes)))
        await asyncio.Event().wait()

    async def close(self, seconds: float = 5) -> None:
        """Let the processes end; orders that wait are dropped."""
        pool, self._pool = self._pool, None
        if pool is not None:
            ended = asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended, seconds)

    async def render(self, sheets: Sequence[Sheet]) -> list[Rendered]:
        """One result for each sheet, in their order. A sheet that kills its process spoils only its own result."""
        chunks = [sheets[at : at + CHUNK] for at in range(0, len(sheets), CHUNK)]
        results = await asyncio.gather(*(self._chunk(chunk) for chunk in chunks))
        return [rendered for chunk in results for rendered in chunk]

    async def _chunk(self, sheets: Sequence[Sheet]) -> list[Rendered]:
        try:
            return await self._order(sheets)
        except BrokenProcessPool:
            log.error("a rendering process died; its sheets are tried one by one", sheets=len(sheets))
            return [await self._alone(sheet) for sheet in sheets]

    async def _alone(self, sheet: Sheet) -> Rendered:
        """Twice, since another order may kill the process too, but never beside another suspect."""
        async with self._one_by_one:
            for _ in range(2):
                with contextlib.suppress(BrokenProcessPool):
                    return (await self._order([sheet]))[0]
        return BrokenProcessPool.__name__

    async def _order(self, sheets: Sequence[Sheet]) -> list[Rendered]:
        pool = self._pool or self._begin()
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, render_all, sheets)
        except BrokenProcessPool:
            if self._pool is pool:
                await self.close()
            raise

    def _begin(self) -> ProcessPoolExecutor:
        # spawn, not fork: a fork would inherit sockets to Kafka and MongoDB and locks of threads that are not there
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(self._processes, context, initializer=settle_in)
        return self._pool
