"""The folder `.lendrail/`: what one stack keeps between commands and between runs.

lock              held by the running supervisor; its content names it
endpoints.json    for other programs: where everything is and how to get in (mode 0600; only while the stack is up)
processes.json    pid and start time of every program, so that a reused pid is never mistaken for ours
control.json      where the supervisor listens and the secret that it asks for
ports.json        ports, kept between runs while they are free
config/ data/ logs/ mail/
"""

import fcntl
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from lendrail.local.servers.ports import free_port, is_free


def project() -> Path:
    """The checkout that this package is installed from, else the current folder."""
    checkout = Path(__file__).resolve().parents[4]
    return checkout if (checkout / "requirements.lock").exists() else Path.cwd()


def write_private(file: Path, text: str) -> None:
    """Replace `file` whole; only its owner can read it, at no moment anybody else."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 0600
    with os.fdopen(handle, "w") as out:
        out.write(text)
    Path(draft).replace(file)


def read_json(file: Path) -> dict[str, Any]:
    """The object in `file`, empty when there is none or it is unreadable."""
    with suppress(OSError, ValueError):
        found = json.loads(file.read_text())
        return found if isinstance(found, dict) else {}
    return {}


class State:
    """Paths and small files of one stack."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.lock = self.folder / "lock"
        self.endpoints = self.folder / "endpoints.json"
        self.processes = self.folder / "processes.json"
        self.control = self.folder / "control.json"
        self.config = self.folder / "config"
        self.data = self.folder / "data"
        self.logs = self.folder / "logs"
        self.mail = self.folder / "mail"

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for part in (self.config, self.data, self.logs, self.mail):
            part.mkdir(exist_ok=True)

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def ports(self, names: list[str]) -> dict[str, int]:
        """A port for each name: the one of the last run while it is free, else a new one."""
        file = self.folder / "ports.json"
        known, taken = read_json(file), set[int]()
        ports: dict[str, int] = {}
        for name in names:
            port = known.get(name)
            if not isinstance(port, int) or port in taken or not is_free(port):
                port = next(drawn for drawn in iter(free_port, None) if drawn not in taken)
            ports[name] = port
            taken.add(port)
        write_private(file, json.dumps(known | ports, indent=1))
        return ports


class Lock:
    """Held while a supervisor runs. The kernel frees it when the holder dies, so it is never stale."""

    def __init__(self, state: State) -> None:
        self._file = state.lock
        self._handle: int | None = None

    def take(self) -> bool:
        """False when another supervisor holds it."""
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        if not self._file.exists() or os.stat(self._file).st_ino != os.fstat(handle).st_ino:
            os.close(handle)  # its last holder removed it between our two calls
            return self.take()
        self._handle = handle
        return True

    def release(self) -> None:
        if self._handle is not None:
            self._file.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None


def is_up(state: State) -> bool:
    """Whether a supervisor holds the lock of this stack."""
    if not state.lock.exists():
        return False
    with suppress(FileNotFoundError), state.lock.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
