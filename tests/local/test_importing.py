"""`lendrail import`, against a door that answers as the gateway does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.local.door import Answer, Asked, Door, served
from typer.testing import CliRunner

from lendrail.local.cli import app
from lendrail.local.state import State

ID = "00000000-0000-4000-8000-000000000007"
FAULT = {"code": "time", "message": "The time is not written as agreed (import.dates).", "column": "approvedAt"}
ROWS: list[dict[str, Any]] = [
    {"row": 2, "outcome": "changed", "message": "Heard.", "opportunityId": "o-1", "status": "approved"},
    {"row": 3, "outcome": "fault", "message": "Not heard.", "problems": [FAULT]},
    {"row": 4, "outcome": "unknown-id", "message": "Nobody knows this id yet."},
]


class Gateway:
    """One import that needs two looks until it has ended, its rows in pages of two."""

    def __init__(self) -> None:
        self.looks = 0
        self.rows = ROWS
        self.answer: dict[str, Any] = {
            "id": ID,
            "state": "done",
            "dryRun": False,
            "done": 3,
            "counts": {"changed": 1, "fault": 1, "unknown-id": 1},
            "tally": {"lines": 4, "blank": 0, "rows": 3},
        }

    def __call__(self, asked: Asked) -> Answer:
        return self._taken() if asked.what.startswith("POST") else self._looked_at(asked)

    def _taken(self) -> Answer:
        if "state" not in self.answer:
            return 422, {"code": self.answer["code"], "detail": self.answer["problem"]}
        return 202, self.answer | {"id": ID, "state": "waiting"}

    def _looked_at(self, asked: Asked) -> Answer:
        self.looks += 1
        told = self.answer | ({"state": "running"} if self.looks == 1 else {})
        rows = [each for each in self.rows if asked.query.get("only") != ["problems"] or each["outcome"] != "changed"]
        begin = int(asked.query.get("pageToken", ["0"])[0])
        page = rows[begin : begin + 2]
        return 200, told | {"rows": page} | ({"nextPageToken": str(begin + 2)} if rows[begin + 2 :] else {})


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path / "state")
    state.prepare()
    return state


@pytest.fixture(autouse=True)
def door(state: State, gateway: Gateway) -> Iterator[Door]:
    with served(state.folder, gateway) as door:
        yield door


def bring(state: State, folder: Path, *more: str) -> tuple[int, str]:
    file = folder / "deals.csv"
    file.write_bytes(b"partnerId,approvedAt\n" + b"FAKE,2026-03-01\n" * 40_000)
    done = CliRunner().invoke(app, ["import", str(file), "--partner", "finpace", "--state", str(state.folder), *more])
    return done.exit_code, done.output


def test_the_file_is_sent_and_its_problems_are_shown(state: State, door: Door, tmp_path: Path) -> None:
    code, said = bring(state, tmp_path)
    sent, *looks = door.asked
    assert sent.what == "POST /v1/imports?partner=finpace"
    assert sent.content == (tmp_path / "deals.csv").read_bytes()
    assert sent.headers["Idempotency-Key"]
    assert all(each.what.startswith("GET") for each in looks)
    assert code == 1, "there are rows that need somebody's eye"
    assert "3 rows: 1 changed, 1 fault, 1 unknown-id" in said
    assert "4 lines, 0 of them blank, one header, 3 rows" in said
    assert "approvedAt time: The time is not written as agreed" in said
    assert "Nobody knows this id yet." in said
    assert "o-1" not in said


def test_what_is_asked_goes_into_the_query(state: State, door: Door, tmp_path: Path) -> None:
    more = ("--credential", "demo-x", "--dry-run", "--again", "--as-of", "2026-03-01")
    _, said = bring(state, tmp_path, *more)
    assert door.asked[0].query == {
        "partner": ["finpace"],
        "credential": ["demo-x"],
        "dryRun": ["true"],
        "again": ["true"],
        "asOf": ["2026-03-01T00:00:00+00:00"],
    }
    assert "o-1" in said, "a dry run shows every row"


def test_only_so_many_rows_are_shown(state: State, tmp_path: Path) -> None:
    _, said = bring(state, tmp_path, "--all", "--rows", "1")
    assert "… and 2 more" in said


def test_a_sound_file_ends_well(state: State, gateway: Gateway, tmp_path: Path) -> None:
    gateway.answer |= {"counts": {"changed": 3}}
    gateway.rows = ROWS[:1]
    assert bring(state, tmp_path)[0] == 0


def test_a_refused_file_says_what_to_change(state: State, gateway: Gateway, tmp_path: Path) -> None:
    problem = {"code": "columns-missing", "message": "Columns are missing.", "columns": ["partnerId"]}
    gateway.answer |= {"state": "refused", "counts": {}, "done": 0, "problem": problem}
    code, said = bring(state, tmp_path)
    assert (code, "columns-missing (partnerId): Columns are missing." in said) == (1, True)


def test_a_refused_request_is_told(state: State, gateway: Gateway, tmp_path: Path) -> None:
    gateway.answer = {"code": "credential-needed", "problem": "State credential."}
    code, said = bring(state, tmp_path)
    assert (code, "credential-needed: State credential." in said) == (1, True)


def test_without_a_stack_nothing_is_sent(tmp_path: Path) -> None:
    code, said = bring(State(tmp_path / "none"), tmp_path)
    assert (code, "The stack is down" in said) == (1, True)
