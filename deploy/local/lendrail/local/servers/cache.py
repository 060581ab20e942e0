"""Downloads kept between runs: `$XDG_CACHE_HOME/lendrail`, else `~/.cache/lendrail`.

An entry appears whole or not at all (temporary folder, then rename), and two runs that want the same entry at the
same time make it once (a file lock, freed by the kernel when its holder dies).
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lendrail"


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, filled by `make(folder)` when it is not there yet."""
    entry = cache_folder() / name
    if entry.is_dir():
        return entry
    entry.parent.mkdir(parents=True, exist_ok=True)
    with (entry.parent / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not entry.is_dir():
            _fill(entry, make)
    return entry


def _fill(entry: Path, make: Callable[[Path], None]) -> None:
    for left in entry.parent.glob(f".{entry.name}.tmp-*"):  # of a run that was killed; we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{entry.name}.tmp-", dir=entry.parent))
    try:
        make(draft)
        draft.rename(entry)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
