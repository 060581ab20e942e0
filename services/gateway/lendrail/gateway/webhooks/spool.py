"""A bounded, sealed, append-only spool on disk: where partners' calls are durable while MongoDB is away.

One process owns a folder (a lock in it says so). Records that come at the same time are written and synced together;
whoever is told that its record is there can rely on it. Files are taken away oldest first, each as a whole, after all
of its records are somewhere else. Disk work happens in threads, one after the other.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import structlog

from lendrail.gateway.webhooks.segments import HEAD, OVERHEAD, Found, Keys, new_head, opened, sealed
from lendrail.runtime.faults import point

log = structlog.get_logger()
SEGMENT_BYTES = 4 * 1024 * 1024
"""A file that is this long is ended; so much is read at once when it is drained."""
LEAST_ROOM = 1024 * 1024
"""With less left the spool no longer counts as a place to be ready with."""
DISTRUST_SECONDS = 5.0
"""For so long after a write failed the spool is not counted on."""
_NAME = re.compile(r"calls-([0-9]{12})\.spool")
_LIKE = re.compile(r"calls-([0-9]{12})\.")
"""Also what was put aside: a number is used once."""
T = TypeVar("T")


class Full(Exception):
    """The spool holds all that it may."""


@dataclass(slots=True)
class _Waiting:
    plain: bytes
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(slots=True)
class _Current:
    """The file that is written to."""

    path: Path
    descriptor: int
    head: bytes
    records: int = 0
    bytes: int = 0


class Spool:
    """Raises OSError wherever the disk does not do what it is told, another process's lock included."""

    def __init__(self, folder: Path, keys: Keys, most_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder, self._keys = folder, keys
        self._most, self._segment = most_bytes, segment_bytes
        self._lock = asyncio.Lock()
        self._waiting: list[_Waiting] = []
        self._runner: asyncio.Task[None] | None = None
        self._owned: int | None = None
        self._current: _Current | None = None
        self._ended: dict[Path, int] = {}
        """By their bytes. Never changed, only replaced: threads write it and the event loop reads it."""
        self._flying = 0
        self._number = 0
        self._failed = float("-inf")

    @property
    def held(self) -> int:
        """Bytes on disk and on the way there."""
        current = self._current.bytes if self._current else 0
        return sum(self._ended.values()) + current + self._flying + sum(_size(each.plain) for each in self._waiting)

    async def append(self, plain: bytes) -> None:
        """Durable when it returns. Raises `Full`, OSError; the record may then be there or not."""
        if self._owned is None:
            await self._alone(self._own)
        if self.held + _size(plain) + HEAD > self._most:
            raise Full
        mine = _Waiting(plain)
        self._waiting.append(mine)
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        await mine.done

    async def _run(self) -> None:
        """While one group is synced the next one gathers."""
        while self._waiting:
            async with self._lock:
                group, self._waiting = self._waiting, []
                self._flying = sum(_size(each.plain) for each in group)
                fault = await asyncio.to_thread(self._written, [each.plain for each in group])
                self._flying = 0
            for each in group:
                if each.done.done():  # its caller went away
                    continue
                if fault is None:
                    each.done.set_result(None)
                else:
                    each.done.set_exception(fault)

    def _written(self, plains: Sequence[bytes]) -> Exception | None:
        try:
            self._write(plains)
        except Exception as error:
            self._failed = time.monotonic()
            self._end_current()  # what was vouched for is in it; its torn end is passed over
            log.error("the spool could not be written", error=type(error).__name__)
            return error if isinstance(error, OSError) else OSError("the spool could not be written")
        return None

    def _write(self, plains: Sequence[bytes]) -> None:
        current = self._current or self._begin()
        first = current.head if not current.bytes else b""
        numbers = range(current.records, current.records + len(plains))
        records = [sealed(self._keys, current.head, n, plain) for n, plain in zip(numbers, plains, strict=True)]
        content = memoryview(first + b"".join(records))
        point("spool.append.before", OSError)
        while content:
            written = os.write(current.descriptor, content)
            current.bytes += written
            content = content[written:]
        point("spool.append.written", OSError)
        os.fdatasync(current.descriptor)
        current.records += len(plains)
        if current.bytes >= self._segment:
            self._end_current()
        point("spool.append.after", OSError)

    def _begin(self) -> _Current:
        self._own()
        self._number += 1
        path = self._folder / f"calls-{self._number:012d}.spool"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._current = _Current(path, descriptor, new_head(self._keys))
        self._sync_folder()
        return self._current

    def _end_current(self) -> None:
        current, self._current = self._current, None
        if current is None:
            return
        self._ended = self._ended | {current.path: current.bytes}
        os.close(current.descriptor)

    async def oldest(self, skip: Sequence[Path] = ()) -> Path | None:
        """The oldest file with records, ended so that nothing more is written to it; none of those to skip."""
        return await self._alone(lambda: self._oldest(frozenset(skip)))

    def _oldest(self, skip: frozenset[Path]) -> Path | None:
        self._own()
        left = sorted(path for path in self._ended if path not in skip)
        if not left and self._current is not None and self._current.records:
            left = [self._current.path]
            self._end_current()
        return left[0] if left else None

    async def read(self, path: Path) -> Found:
        """Raises `NoKey`."""
        return await asyncio.to_thread(lambda: opened(self._keys, path.read_bytes()))

    async def remove(self, path: Path) -> None:
        await self._alone(lambda: self._drop(path, path.unlink))

    async def put_aside(self, path: Path) -> None:
        """Kept for a person to look at, and no longer part of the spool."""
        await self._alone(lambda: self._drop(path, lambda: path.rename(path.with_suffix(".damaged"))))

    def _drop(self, path: Path, how: Callable[[], object]) -> None:
        point("spool.drained", OSError)
        how()
        self._ended = {each: size for each, size in self._ended.items() if each != path}
        self._sync_folder()

    async def usable(self) -> bool:
        """Whether a call would most likely be durable here."""
        try:
            return await self._alone(self._usable)
        except OSError as error:
            log.warning("the spool cannot be used", error=type(error).__name__)
            return False

    def _usable(self) -> bool:
        self._own()
        free = min(self._most - self.held, shutil.disk_usage(self._folder).free)
        failing = time.monotonic() - self._failed < DISTRUST_SECONDS
        return free >= min(LEAST_ROOM, self._most // 2) and not failing and os.access(self._folder, os.W_OK)

    async def _alone(self, work: Callable[[], T]) -> T:
        """Whoever waits may go away; what a thread has begun still ends before the next one begins."""
        task = asyncio.create_task(self._locked(work))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    async def _locked(self, work: Callable[[], T]) -> T:
        async with self._lock:
            return await asyncio.to_thread(work)

    def _own(self) -> None:
        """Make the folder ours, once, and find what an earlier process left."""
        if self._owned is not None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._ended = {path: path.stat().st_size for path in self._folder.iterdir() if _NAME.fullmatch(path.name)}
        except OSError:
            os.close(lock)
            raise
        numbers = [int(found[1]) for path in self._folder.iterdir() if (found := _LIKE.match(path.name))]
        self._number, self._owned = max(numbers, default=0), lock
        if self._ended:
            log.info("calls wait in the spool", files=len(self._ended), bytes=sum(self._ended.values()))

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    async def close(self) -> None:
        """Let go of the folder; what is in it stays."""
        await self._alone(self._let_go)

    def _let_go(self) -> None:
        self._end_current()
        if self._owned is not None:
            os.close(self._owned)
            self._owned = None


def _size(plain: bytes) -> int:
    return len(plain) + OVERHEAD
