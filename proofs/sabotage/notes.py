"""A plugin of pytest inside the copy: what each test raised, in its own words, without the source around it."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> None:
    """One line of JSON for each phase of each test."""
    raised = call.excinfo
    if raised is not None and raised.errisinstance(pytest.skip.Exception):
        kind, text = "skipped", ""
    else:
        kind, text = (raised.typename, str(raised.value)) if raised is not None else ("", "")
    with open(os.environ["PROOFS_NOTES"], "a", encoding="utf-8") as notes:
        notes.write(json.dumps({"test": item.nodeid, "phase": call.when, "kind": kind, "text": text}) + "\n")
