"""An append-only file of records that are on the disk before anyone is told about them.

Each line is `<crc32 in hex> <JSON>`. Concurrent appends share one write and one fdatasync (group commit), so the disk's
latency is paid per batch. After a kill -9 the file can end in half a line that nobody was told about: it is cut off at
the next start. A broken line with sound ones behind it is no crash but damage, and the start is refused.
"""

import asyncio
import fcntl
import os
from binascii import crc32
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson

Record = dict[str, Any]


class LedgerDamaged(RuntimeError):
    """A record in the middle of the file does not match its checksum; not retriable, a person must look."""


class LedgerInUse(RuntimeError):
    """Another process holds this ledger; not retriable until it ends."""


def frame(record: Record) -> bytes:
    """One line; JSON text holds no raw line feed."""
    payload = orjson.dumps(record)
    return b"%08x %b\n" % (crc32(payload), payload)


def unframe(line: bytes) -> Record | None:
    """The record of a line, or None when the line is torn or altered."""
    payload = line[9:-1]
    if not line.endswith(b"\n") or line[:9] != b"%08x " % crc32(payload):
        return None
    record: Record = orjson.loads(payload)
    return record


class Journal:
    """One partner's file. Use from one event loop; `records` may run in a thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise LedgerInUse(f"the ledger {path.name} is held by another process") from error
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self._end = 0
        self._lines: list[bytes] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self.failure: Exception | None = None

    def replay(self) -> Iterator[tuple[int, Record]]:
        """All records with their offsets, the torn end cut off. Raises LedgerDamaged."""
        with self.path.open("rb") as file:
            for line in file:
                record = unframe(line)
                if record is None:
                    if any(unframe(later) is not None for later in file):
                        raise LedgerDamaged(f"{self.path.name}: the record at byte {self._end} is damaged")
                    os.ftruncate(self._file, self._end)
                    os.fsync(self._file)
                    return
                yield self._end, record
                self._end += len(line)

    def append(self, record: Record) -> tuple[int, asyncio.Future[None]]:
        """The record's offset, and a future that is done once it is on the disk. Raises OSError after a failure."""
        if self.failure is not None:
            raise OSError("the ledger cannot be written") from self.failure
        line = frame(record)
        offset, self._end = self._end, self._end + len(line)
        written = asyncio.get_running_loop().create_future()
        self._lines.append(line)
        self._waiters.append(written)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return offset, written

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._lines:
            lines, self._lines = self._lines, []
            waiters, self._waiters = self._waiters, []
            try:
                await loop.run_in_executor(self._thread, self._write, b"".join(lines))
            except OSError as error:
                self.failure = error
                _fail(waiters + self._waiters, error)
                self._lines, self._waiters = [], []
                break
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        self._flushing = None

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        os.fdatasync(self._file)

    def records(self, offsets: Iterable[int] | None = None) -> Iterator[Record]:
        """Durable records, all or those at the given offsets, read from the file so that memory stays small."""
        with self.path.open("rb") as file:
            if offsets is None:
                yield from (record for line in file if (record := unframe(line)) is not None)
                return
            for offset in offsets:
                file.seek(offset)
                if (record := unframe(file.readline())) is not None:
                    yield record

    async def close(self) -> None:
        """Waits for what is being written, then lets go of the file and its lock."""
        if self._flushing is not None:
            await self._flushing
        self._thread.shutdown()
        os.close(self._file)


def _fail(waiters: list[asyncio.Future[None]], error: OSError) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_exception(OSError(error.errno, "the ledger cannot be written"))
