"""Labelled points around every side effect, where a test can strike the process.

`LENDRAIL_FAULT_AT=label#n:kind` strikes once, the n-th time the process passes the point of that label (n is 1 when
absent). The kinds:

- `kill`, also when no kind is named: SIGKILL to ourselves.
- `error`: the point raises what its port raises when its own server is away. Right before the effect nothing happened;
  right after it the effect is there and its answer is lost.
- `hang=seconds`: at a partner and at a mail server the call stands still while its process goes on, so that its lease
  runs out and another lane takes the work: what a frozen replica is to a living one. Everywhere else the whole process
  stands still, as under SIGSTOP: its heartbeats, its leases and its answers too. A server that is slow is not a matter
  of our points; whoever wants one puts it between us and the server.

`LENDRAIL_FAULT_AT=*:tell` strikes nowhere and writes every point that is passed into the log. Without the variable a
point is one comparison with None.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, cast

import structlog

log = structlog.get_logger()
Kind = Literal["kill", "error", "hang"]
KINDS: tuple[Kind, ...] = ("kill", "error", "hang")
VARIABLE = "LENDRAIL_FAULT_AT"
TELL = "*:tell"
STRUCK, PASSED = "a fault was asked for", "a point was passed"
"""What the log of a process says just before it is struck; and at each point, where it only tells."""
_FORM = re.compile(r"([a-z0-9_.-]+)(?:#([1-9][0-9]*))?(?::(?:(kill)|(error)|(hang)=([0-9]+(?:\.[0-9]+)?)))?", re.ASCII)


class Induced(Exception):
    """The error at a point between two effects, where no server can fail: as if our own code did."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What shall happen, and where."""

    label: str
    nth: int = 1
    kind: Kind = "kill"
    seconds: float = 0.0

    @classmethod
    def read(cls, text: str) -> Fault:
        """Raises ValueError: a fault that never comes because of a slip of the pen would prove nothing."""
        form = _FORM.fullmatch(text)
        if form is None:
            raise ValueError(f"{VARIABLE} must have the form label#n:kill, label#n:error or label#n:hang=seconds")
        label, nth, *kinds, seconds = form.groups()
        kind = next((each for each in kinds if each), "kill")
        return cls(label, int(nth or 1), cast(Kind, kind), float(seconds or 0))

    def __str__(self) -> str:
        return f"{self.label}#{self.nth}:{self.kind}" + (f"={self.seconds:g}" if self.kind == "hang" else "")


class _Armed:
    """A fault of this process, and how often its point was passed."""

    def __init__(self, fault: Fault) -> None:
        self.fault, self._passed = fault, 0

    def now(self, label: str) -> bool:
        """Whether this is the time; of a kill nobody comes back to tell."""
        if label != self.fault.label:
            return False
        self._passed += 1
        if self._passed != self.fault.nth:
            return False
        log.critical(STRUCK, fault=str(self.fault))
        if self.fault.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return True


class _Telling(_Armed):
    """No fault at all: the log tells of every point."""

    def __init__(self) -> None:
        super().__init__(Fault("*"))

    def now(self, label: str) -> bool:
        log.warning(PASSED, label=label)
        return False


def _asked_for() -> _Armed | None:
    text = os.environ.get(VARIABLE, "")
    if text == TELL:
        return _Telling()
    return _Armed(Fault.read(text)) if text else None


_armed = _asked_for()
_named: set[str] = set()


def named(label: str) -> str:
    """Note that something which was just made has a point of this label, and give the label back."""
    _named.add(label)
    return label


@contextmanager
def naming() -> Iterator[set[str]]:
    """Collects the labels of what is made meanwhile."""
    global _named
    outer, _named = _named, set()
    try:
        yield _named
    finally:
        _named = outer | _named


def point(label: str, error: Callable[[], Exception] = Induced) -> None:
    """Say that the process stands right before or right after a side effect. `error` makes what a fault raises."""
    if _armed is not None and _armed.now(label):
        if _armed.fault.kind == "error":
            raise error()
        time.sleep(_armed.fault.seconds)


async def call_point(label: str, error: Callable[[], Exception] = Induced) -> None:
    """As `point`, where a call is leased work of its own: a hang is the call's and not the process's."""
    if _armed is not None and _armed.now(label):
        if _armed.fault.kind == "error":
            raise error()
        await asyncio.sleep(_armed.fault.seconds)
