"""`lendrail erase` says what the gateway answered, and ends with 1 where nothing was erased."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lendrail.local.cli import app

APPLICATION = "01a1ff63-2649-7157-83e5-b3cc66b18dd7"
OPEN = {"errors": [{"partner": "finpace", "message": "opportunity 7 is in-review"}]}


class Door(BaseHTTPRequestHandler):
    """A gateway that notes what it was asked."""

    asked: list[tuple[str, Any, str | None]]
    answer: tuple[int, dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/oauth/token":
            self._say(200, {"access_token": "fake", "expires_in": 300})
        else:
            self.asked.append((self.path, json.loads(body), self.headers["Idempotency-Key"]))
            self._say(*self.answer)

    def _say(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def door(tmp_path: Path) -> Iterator[type[Door]]:
    class Mine(Door):
        asked = []
        answer = (200, {"applicationId": APPLICATION, "status": "erased"})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    url = f"http://127.0.0.1:{server.server_port}"
    oauth = {"token_url": f"{url}/oauth/token", "client_id": "demo", "client_secret": "fake"}
    (tmp_path / "endpoints.json").write_text(json.dumps({"gateway": url, "oauth": oauth}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Mine
    server.shutdown()
    server.server_close()


def erase(folder: Path, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["erase", *more, "--state", str(folder)])
    return result.exit_code, result.output


def test_what_is_asked_and_said(tmp_path: Path, door: type[Door]) -> None:
    assert erase(tmp_path, APPLICATION, "--reason", "test-data") == (0, f"{APPLICATION} erased\n")
    ((path, body, key),) = door.asked
    assert path == f"/v1/applications/{APPLICATION}/erase"
    assert body == {"reason": "test-data", "evenIfOpen": False}
    assert key
    erase(tmp_path, APPLICATION, "--reason", "test-data", "--even-if-open")
    assert door.asked[1][1]["evenIfOpen"] is True


def test_what_was_not_erased(tmp_path: Path, door: type[Door]) -> None:
    door.answer = (409, {"code": "still-open", "detail": "A partner still works on it."} | OPEN)
    code, said = erase(tmp_path, APPLICATION, "--reason", "legal-obligation")
    assert code == 1
    assert "still-open" in said
    assert "finpace: opportunity 7 is in-review" in said
    assert erase(tmp_path, "7/../8", "--reason", "test-data")[0] == 1
    assert erase(tmp_path, APPLICATION, "--reason", "because")[0] == 2
    assert len(door.asked) == 1
    assert erase(tmp_path / "nowhere", APPLICATION, "--reason", "test-data")[0] == 1


def test_the_reasons_are_those_of_the_door() -> None:
    from typing import get_args

    from lendrail.gateway.erasing import routes as of_the_gateway
    from lendrail.local.erasing import Reason

    assert [each.value for each in Reason] == list(get_args(of_the_gateway.Reason))
