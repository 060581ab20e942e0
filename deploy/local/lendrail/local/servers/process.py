"""One program as an operating-system process: its log, its end, and the end of whatever it started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil

from lendrail.local.servers.errors import ServerError

LAUNCHER = Path(__file__).with_name("launch.py")
STOP_SECONDS = 10.0
# The kernel counts the starting *thread* as the parent, so all programs start from one thread that lives as long as we.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="starter")


class Process:
    """A program in a session of its own, so that a Ctrl-C in the terminal reaches only us and we stop it in order."""

    def __init__(self, name: str, command: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self.name, self.command, self.log = name, command, log
        self.environment = environment
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._running.pid if self._running else None

    def alive(self) -> bool:
        return self._running is not None and self._running.poll() is None

    def start(self) -> None:
        """Start it (again); its output is appended to the log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._end_group()
        self._running = _STARTER.submit(self._spawn).result()

    def _spawn(self) -> subprocess.Popen[bytes]:
        launched = [sys.executable, "-S", str(LAUNCHER), str(os.getpid()), *self.command]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                launched, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, start_new_session=True
            )

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """SIGTERM, then SIGKILL after `seconds`; nothing of its process group is left."""
        self.ask_to_stop()
        if self._running:
            with suppress(subprocess.TimeoutExpired):
                self._running.wait(seconds)
        self.kill()

    def ask_to_stop(self) -> None:
        if self._running and self.alive():
            self._running.terminate()

    def kill(self) -> None:
        """SIGKILL, as a crash would be."""
        self._end_group()
        if self._running:
            self._running.wait()

    def _end_group(self) -> None:
        if self._running:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._running.pid, signal.SIGKILL)

    def tail(self, lines: int = 12) -> str:
        return tail(self.log, lines)

    def must_live(self) -> None:
        """Raises ServerError: the program has ended; the message holds the end of its log."""
        if not self.alive():
            raise ServerError(f"{self.name} ended while it was starting; the end of its log:\n{self.tail()}")


def tail(log: Path, lines: int) -> str:
    with suppress(FileNotFoundError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""


def started_at(pid: int) -> float | None:
    """When the living process `pid` began (seconds since the epoch): with the pid it names a process for ever."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            return process.create_time()
    return None


def wait_until(seconds: float, what: str, ready: Callable[[], bool], process: Process) -> None:
    """Poll `ready` every 20 ms. Raises ServerError: the process ended, or `seconds` passed."""
    end = time.monotonic() + seconds
    while not ready():
        process.must_live()
        if time.monotonic() > end:
            raise ServerError(f"{what} within {seconds:.0f} s; the end of its log:\n{process.tail()}")
        time.sleep(0.02)
