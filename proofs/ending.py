"""A run that is told to end takes down what it started: otherwise SIGTERM ends Python at once, and leaves a stack."""

from __future__ import annotations

import signal
import sys
from types import FrameType


def orderly() -> None:
    """From now on SIGTERM ends this process as Ctrl-C does, through every `finally`."""
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # once: taking down takes a while
    sys.exit(128 + number)
