"""The product copied to a folder of its own, where it may be spoilt; and the environment in which Python takes it from
there, in child processes too.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PARTS = ("libs", "services", "deploy", "tests", "benchmarks", "proofs", "pyproject.toml")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis")
WITNESS = Path("proofs/sabotage/witness")


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One piece of source text, and what stands in its place while the protection is off."""

    file: str
    search: str
    replace: str


class Moved(Exception):
    """A piece of source text is not there exactly once: the protection moved, and its row must follow it."""


class Copy:
    """A copy of the source tree."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.root = folder.resolve()
        for part in PARTS:
            source = project / part
            if source.is_dir():
                shutil.copytree(source, self.root / part, ignore=LEFT_OUT)
            elif source.exists():
                shutil.copy2(source, self.root / part)

    @property
    def path(self) -> str:
        """For PYTHONPATH: entries there come before the installed packages, and each member holds a part of the
        namespace `lendrail` (PEP 420), whose first part with a module wins.
        """
        members = [*sorted(self.root.glob("libs/*")), *sorted(self.root.glob("services/*")), self.root / "deploy/local"]
        return os.pathsep.join(str(each) for each in (self.root / WITNESS, self.root, *members))

    @contextmanager
    def without(self, edits: Sequence[Edit]) -> Iterator[None]:
        """The protection is off inside the block. Raises `Moved`."""
        files = {edit.file: (self.root / edit.file).read_text() for edit in edits if self._is_there(edit)}
        spoilt = dict(files)
        for edit in edits:
            found = spoilt.get(edit.file, "").count(edit.search)
            if found != 1:
                raise Moved(f"{edit.file} holds {found} times: {edit.search.strip().splitlines()[0]}")
            spoilt[edit.file] = spoilt[edit.file].replace(edit.search, edit.replace)
        try:
            self._write(spoilt)
            yield
        finally:
            self._write(files)

    def _is_there(self, edit: Edit) -> bool:
        return (self.root / edit.file).is_file()

    def _write(self, files: dict[str, str]) -> None:
        """Compiled files are told from their source by second and size, which may both be the same here."""
        for name, text in files.items():
            path = self.root / name
            path.write_text(text)
            Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def module_of(file: str) -> str:
    """`libs/runtime/lendrail/runtime/due.py` is imported as `lendrail.runtime.due`."""
    parts = Path(file).with_suffix("").parts
    return ".".join(parts[parts.index("lendrail") :])
