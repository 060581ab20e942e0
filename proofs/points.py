"""The labelled points of each service: where it can be struck by a fault that is asked for.

Two sources. The ports label themselves when they are made, so each service is built as in production, without being
started, and says what its ports are called. Where a label stands in the text of a module, every service that imports
the module has it. `python -m proofs.points` prints them all.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from lendrail.local.programs import SERVICES
from lendrail.runtime import faults

ROOT = Path(__file__).resolve().parents[1]
PASSED = ("point", "call_point")
"""What a module calls at a point."""


def labels(service: str) -> frozenset[str]:
    """All of one service."""
    return _all()[service]


@cache
def _all() -> Mapping[str, frozenset[str]]:
    """In a process of its own: building services loads all of them, and there may be a loop running here."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LENDRAIL_")}
    command = [sys.executable, "-m", "proofs.points"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=environment, cwd=ROOT)
    return {name: frozenset(found) for name, found in json.loads(done.stdout).items()}


def named_by_ports(service: str) -> set[str]:
    settings = importlib.import_module(f"lendrail.{service}.settings").Settings()
    with faults.naming() as names:
        importlib.import_module(f"lendrail.{service}.app").build(settings)
    return set(names)


def written_in_modules(service: str) -> set[str]:
    return {label for tree in _modules(f"lendrail.{service}.app") for label in _labels(tree)}


def _labels(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PASSED:
            label = node.args[0]
            if isinstance(label, ast.Constant):
                yield str(label.value)


def _modules(first: str) -> list[ast.Module]:
    """What a module of ours imports of ours, itself included."""
    found: dict[str, ast.Module] = {}
    waiting = [first]
    while waiting:
        name = waiting.pop()
        if name not in found and (file := _file(name)) is not None:
            found[name] = ast.parse(file.read_text())
            waiting += _imported(found[name])
    return list(found.values())


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lendrail."):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file(name: str) -> Path | None:
    """The source of a module; None where it is a name inside one."""
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec is not None and spec.origin is not None else None


def main() -> None:
    from tests.support import any_service

    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(any_service(Path(folder), instance="one"))
        found = {name: sorted(named_by_ports(name) | written_in_modules(name)) for name in SERVICES}
    json.dump(found, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
