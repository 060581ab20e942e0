"""`lendrail staleness` shows what the gateway answered, and ends with 1 where a partner fell silent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.local.door import served
from typer.testing import CliRunner

from lendrail.local.aging import span
from lendrail.local.cli import app

ROW: dict[str, Any] = {
    "partner": "forward-financing",
    "credential": "demo-ff",
    "mode": "test",
    "open": 9,
    "followed": 8,
    "overdue": 3,
    "looksPerHour": {"needed": 32.0, "budget": None},
    "ageSeconds": {"p50": 90.0, "p95": 7300.0, "max": 172_800.0},
    "stalenessSeconds": None,
    "webhooks": {"lastHeardAt": "2026-03-02T10:30:00+00:00", "silentSince": None, "usualPerDay": 3.0},
}


@pytest.fixture
def door(tmp_path: Path) -> Iterator[dict[str, Any]]:
    told: dict[str, Any] = {"credentials": [ROW], "ended": []}

    with served(tmp_path, lambda asked: (200, told if asked.what == "GET /v1/staleness" else {})):
        yield told


def shown(folder: Path) -> tuple[int, str]:
    done = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["staleness", "--state", str(folder)])
    return done.exit_code, done.output


def test_it_tells_of_each_credential(tmp_path: Path, door: dict[str, Any]) -> None:
    code, said = shown(tmp_path)
    assert code == 0
    for word in ("demo-ff", "no limit", "1.5 min", "2.0 h", "2.0 d"):
        assert word in said


def test_silence_and_ends_are_seen(tmp_path: Path, door: dict[str, Any]) -> None:
    silent = ROW["webhooks"] | {"silentSince": "2026-03-03T10:30:00+00:00"}
    door["credentials"] = [ROW | {"webhooks": silent}]
    door["ended"] = [{"opportunityId": "fake-7", "partner": "finpace", "status": "approved"}]
    code, said = shown(tmp_path)
    assert (code, "SILENT" in said, "fake-7 at finpace is looked at no more" in said) == (1, True, True)


def test_no_stack_no_answer(tmp_path: Path) -> None:
    assert shown(tmp_path)[0] == 1


@pytest.mark.parametrize(("seconds", "said"), [(None, "-"), (0.4, "0 s"), (60, "1.0 min"), (5400, "1.5 h")])
def test_spans(seconds: float | None, said: str) -> None:
    assert span(seconds) == said
