"""Labelled points around every side effect, where a test can kill the process.

`LENDRAIL_KILL_AT=label#n` ends this process with SIGKILL the n-th time it passes the point of that label (n is 1 when
absent). Without the variable a point is one comparison with None.
"""

from __future__ import annotations

import os
import signal


def _target() -> tuple[str, int] | None:
    text = os.environ.get("LENDRAIL_KILL_AT", "")
    label, _, count = text.partition("#")
    return (label, int(count or 1)) if label else None


_armed = _target()
_passed = 0


def point(label: str) -> None:
    """Say that the process stands right before or right after a side effect."""
    if _armed is not None and label == _armed[0]:
        _strike(_armed[1])


def _strike(count: int) -> None:
    global _passed
    _passed += 1
    if _passed == count:
        os.kill(os.getpid(), signal.SIGKILL)
