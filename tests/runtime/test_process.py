"""What a service's process does before it serves."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import pytest

from lendrail.runtime import process


def test_what_a_service_is_made_of_is_never_searched_for_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search over all of it holds up everything for some 80 ms, each time."""
    monkeypatch.setattr("sys.argv", ["service"])
    settings: Any = SimpleNamespace(
        instance="one", log_level="WARNING", partners_file=None, host="127.0.0.1", port=0, parts=[]
    )
    searched = -1

    def build(_: Any) -> Any:
        settings.parts = [[number] for number in range(1000)]
        return None, None

    def serve(*_: Any, **__: Any) -> None:
        nonlocal searched
        known = {id(each) for each in gc.get_objects()}
        searched = sum(id(part) in known for part in settings.parts)

    before = gc.get_threshold()
    monkeypatch.setattr("lendrail.runtime.logs.configure", lambda *_: None)
    monkeypatch.setattr("uvicorn.run", serve)
    try:
        process.run("service", lambda: settings, build)
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
    assert searched == 0
