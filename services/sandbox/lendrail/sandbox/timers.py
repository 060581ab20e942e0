"""Alarm clocks by name, for decisions that fall later."""

import asyncio
import time
from collections.abc import Awaitable, Callable


class Timers:
    """Each name rings once, at the latest time that was set for it."""

    def __init__(self, ring: Callable[[str], Awaitable[object]]) -> None:
        self._ring = ring
        self._set: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def set(self, name: str, due: float) -> None:
        """`due` in seconds since 1970; at once where that is over."""
        self.cancel(name)
        self._set[name] = asyncio.get_running_loop().call_later(max(0.0, due - time.time()), self._begin, name)

    def cancel(self, name: str) -> None:
        if (handle := self._set.pop(name, None)) is not None:
            handle.cancel()

    def stop(self) -> None:
        for name in list(self._set):
            self.cancel(name)

    def _begin(self, name: str) -> None:
        self._set.pop(name, None)
        task = asyncio.create_task(self._rung(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _rung(self, name: str) -> None:
        await self._ring(name)
