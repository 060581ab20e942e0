"""`lendrail import`, against a door that answers as the gateway does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
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


class Door(BaseHTTPRequestHandler):
    """A token, one import that needs two looks until it has ended, its rows in pages of two."""

    asked: ClassVar[list[tuple[str, dict[str, list[str]], bytes, dict[str, str]]]] = []
    answer: ClassVar[dict[str, Any]] = {}
    looks: ClassVar[int] = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        where = urlsplit(self.path)
        if where.path == "/oauth/token":
            return self._say(200, {"access_token": "t", "expires_in": 300})
        Door.asked.append((where.path, parse_qs(where.query), body, dict(self.headers)))
        if "problem" in Door.answer and "code" in Door.answer and "state" not in Door.answer:
            return self._say(422, {"code": Door.answer["code"], "detail": Door.answer["problem"]})
        return self._say(202, Door.answer | {"id": ID, "state": "waiting"})

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        Door.looks += 1
        told = Door.answer | ({"state": "running"} if Door.looks == 1 else {})
        rows = [each for each in ROWS if query.get("only") != ["problems"] or each["outcome"] != "changed"]
        begin = int(query.get("pageToken", ["0"])[0])
        page = rows[begin : begin + 2]
        self._say(200, told | {"rows": page} | ({"nextPageToken": str(begin + 2)} if rows[begin + 2 :] else {}))

    def _say(self, status: int, told: Any) -> None:
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    state = State(tmp_path / "state")
    state.prepare()
    oauth = {"token_url": f"{url}/oauth/token", "client_id": "c", "client_secret": "s"}
    state.endpoints.write_text(json.dumps({"gateway": url, "oauth": oauth}))
    Door.asked, Door.looks = [], 0
    Door.answer = {
        "id": ID,
        "state": "done",
        "dryRun": False,
        "done": 3,
        "counts": {"changed": 1, "fault": 1, "unknown-id": 1},
        "tally": {"lines": 4, "blank": 0, "rows": 3},
    }
    yield state
    server.shutdown()
    server.server_close()


def bring(state: State, folder: Path, *more: str) -> tuple[int, str]:
    file = folder / "deals.csv"
    file.write_bytes(b"partnerId,approvedAt\n" + b"FAKE,2026-03-01\n" * 40_000)
    done = CliRunner().invoke(app, ["import", str(file), "--partner", "finpace", "--state", str(state.folder), *more])
    return done.exit_code, done.output


def test_the_file_is_sent_and_its_problems_are_shown(state: State, tmp_path: Path) -> None:
    code, said = bring(state, tmp_path)
    ((path, query, body, headers),) = Door.asked
    assert (path, query) == ("/v1/imports", {"partner": ["finpace"]})
    assert body == (tmp_path / "deals.csv").read_bytes()
    assert headers["Idempotency-Key"]
    assert code == 1, "there are rows that need somebody's eye"
    assert "3 rows: 1 changed, 1 fault, 1 unknown-id" in said
    assert "4 lines, 0 of them blank, one header, 3 rows" in said
    assert "approvedAt time: The time is not written as agreed" in said
    assert "Nobody knows this id yet." in said
    assert "o-1" not in said


def test_what_is_asked_goes_into_the_query(state: State, tmp_path: Path) -> None:
    more = ("--credential", "demo-x", "--dry-run", "--again", "--as-of", "2026-03-01")
    _, said = bring(state, tmp_path, *more)
    assert Door.asked[0][1] == {
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


def test_a_sound_file_ends_well(state: State, tmp_path: Path) -> None:
    Door.answer |= {"counts": {"changed": 3}}
    ROWS_BEFORE, ROWS[:] = list(ROWS), ROWS[:1]
    try:
        code, _ = bring(state, tmp_path)
    finally:
        ROWS[:] = ROWS_BEFORE
    assert code == 0


def test_a_refused_file_says_what_to_change(state: State, tmp_path: Path) -> None:
    problem = {"code": "columns-missing", "message": "Columns are missing.", "columns": ["partnerId"]}
    Door.answer |= {"state": "refused", "counts": {}, "done": 0, "problem": problem}
    code, said = bring(state, tmp_path)
    assert (code, "columns-missing (partnerId): Columns are missing." in said) == (1, True)


def test_a_refused_request_is_told(state: State, tmp_path: Path) -> None:
    Door.answer = {"code": "credential-needed", "problem": "State credential."}
    code, said = bring(state, tmp_path)
    assert (code, "credential-needed: State credential." in said) == (1, True)


def test_without_a_stack_nothing_is_sent(tmp_path: Path) -> None:
    code, said = bring(State(tmp_path / "none"), tmp_path)
    assert (code, "The stack is down" in said) == (1, True)
