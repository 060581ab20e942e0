"""Imports under way: one file at a time in each process, batch by batch under a lease.

A batch is heard, then reported, then counted; while that is stored, the next one is heard, and no more than that one.
Whoever dies in between, the next one reads the file again and goes on behind the last batch that was counted; a batch
that was reported is not heard again, and one that was only heard brings nothing new.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from lendrail.runtime.due import Lease, Worker
from lendrail.runtime.mongo import Document
from lendrail.runtime.tasks import end
from lendrail.status.imports.batch import Batch, Line
from lendrail.status.imports.expected import Expected
from lendrail.status.imports.parser import FileRefused, Parser, ReaderDied, reading
from lendrail.status.imports.rows import Row
from lendrail.status.imports.store import FileGone, Imports, Pieces

log = structlog.get_logger()
BATCH = 500
"""Rows that are reported and counted together."""
MOST_TRIES = 5
"""Without a step forward."""
RETRY_SECONDS = 5.0


class Runner:
    def __init__(
        self, imports: Imports, pieces: Pieces, batch: Batch, expected: Expected, lease_seconds: float, at_most: float
    ) -> None:
        """`at_most`: seconds that one file may take."""
        self._imports, self._pieces, self._batch, self._expected = imports, pieces, batch, expected
        self._lease_seconds, self._at_most = lease_seconds, at_most
        self._stopping = False
        self.worker = Worker(
            imports.collection, self.turn, where=self._where, lanes=1, lease_seconds=lease_seconds, poll_seconds=0.5
        )

    async def _where(self) -> Document | None:
        return None if self._stopping else {}

    async def drain(self, seconds: float) -> None:
        """Stop behind the batch that is under way; another process goes on from there."""
        self._stopping = True
        await self.worker.drain(seconds)

    async def turn(self, document: Document, lease: Lease, _: int) -> None:
        """Read a file on from its stored row."""
        if document.get("tries", 0) >= MOST_TRIES:
            await self._end(document, lease, "failed", {"code": "our-fault"})
            return
        begun = {"state": {"$literal": "running"}, "tries": {"$add": [{"$ifNull": ["$tries", 0]}, 1]}}
        begun |= {"started_at": {"$ifNull": ["$started_at", "$$NOW"]}}
        held = await self._imports.move(document, lease, begun, self._lease_seconds)
        if held is None:
            return
        bound = asyncio.timeout(self._at_most)
        try:
            async with bound:
                await self._read(document, held)
        except FileRefused as refused:
            await self._end(document, held, "refused", {"code": refused.code, "columns": refused.columns})
        except TimeoutError:
            if not bound.expired():
                raise
            await self._end(document, held, "failed", {"code": "too-slow"})
        except FileGone:
            await self._end(document, held, "failed", {"code": "file-gone"})
        except ReaderDied:
            await self._died(document, held)

    async def _read(self, document: Document, lease: Lease) -> None:
        """Raises `FileRefused`, `FileGone`, `ReaderDied`."""
        as_of = document.get("as_of")
        asked = {
            "format": document["format"],
            "received": document["received_at"].isoformat(),
            "asOf": as_of.isoformat() if as_of else None,
            "skip": document["row"],
            "batch": BATCH,
        }
        counts: Counter[str] = Counter(document["counts"])
        counting: list[asyncio.Task[bool]] = []
        try:
            async with reading(asked, self._pieces.read(document["upload"], document["pieces"])) as parser:
                while (rows := await self._next(parser, document, lease)) is not None:
                    told = None if counting else await self._reported(document, rows)
                    lines = told or await self._batch.hear(document, rows, counts)
                    counts.update(line.outcome for line in lines)
                    if not all(await asyncio.gather(*counting)):
                        return
                    counting = [asyncio.create_task(self._count(document, lease, lines, dict(counts), told is None))]
                    if self._stopping:
                        break
            if not all(await asyncio.gather(*counting)):
                return
        except Exception:
            await asyncio.gather(*counting, return_exceptions=True)  # it was heard, whatever became of the rows behind
            raise
        finally:
            await end(counting)
        if rows is not None:
            await self._imports.put_back(document, lease, 0, {})
            return
        if not document["dry"]:
            await self._expected.came(document)
        await self._end(document, lease, "done", None, {"tally": parser.tally or {}})

    async def _next(self, parser: Parser, document: Document, lease: Lease) -> list[Row] | None:
        """A long way over rows that are done already must not cost the lease."""
        waiting = asyncio.ensure_future(parser.batch())
        try:
            while True:
                done, _ = await asyncio.wait([waiting], timeout=self._lease_seconds / 3)
                if done:
                    return waiting.result()
                if await self._imports.move(document, lease, {}, self._lease_seconds) is None:
                    raise ReaderDied
        finally:
            waiting.cancel()

    async def _reported(self, document: Document, rows: Sequence[Row]) -> list[Line] | None:
        """What was told of this batch already; that can be so of the first one behind those that were counted."""
        before = await self._imports.reported(document, rows[0].line)
        return [Line.of(each) for each in before] if before is not None else None

    async def _count(
        self, document: Document, lease: Lease, lines: Sequence[Line], counts: Mapping[str, int], fresh: bool
    ) -> bool:
        """Whether the lease was still ours."""
        if fresh:
            problems = sum(line.is_problem for line in lines)
            await self._imports.report(document, [line.stored() for line in lines], problems)
        moved = {"row": lines[-1].row, "counts": {"$literal": counts}, "tries": 0}
        return await self._imports.move(document, lease, moved, self._lease_seconds) is not None

    async def _died(self, document: Document, lease: Lease) -> None:
        """It ends like that over a file that needs too much, or because the machine has no more."""
        tries = document.get("tries", 0) + 1
        log.error("the reader of a file ended", id=document["_id"], tries=tries)
        if tries >= MOST_TRIES:
            await self._end(document, lease, "failed", {"code": "reader-died"})
        else:
            await self._imports.put_back(document, lease, RETRY_SECONDS, {})

    async def _end(
        self,
        document: Document,
        lease: Lease,
        state: str,
        why: Mapping[str, Any] | None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        fields: Document = {"state": state, **({"refusal": dict(why)} if why else {}), **(more or {})}
        if await self._imports.end(document, lease, fields):
            level = log.info if state == "done" else log.warning
            level("an import ended", id=document["_id"], state=state, code=(why or {}).get("code"))
            await self._pieces.drop(document["upload"])
