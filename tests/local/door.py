"""A gateway that answers as a test says: it hands out tokens, and notes what it was asked and by whom."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = {"access_token": "fake", "expires_in": 300}
Answer = tuple[int, Any]


@dataclass(frozen=True)
class Asked:
    """One request that came with the token."""

    what: str
    """Its method and its whole path."""
    content: bytes
    headers: Message

    @property
    def path(self) -> str:
        return urlsplit(self.what.split()[1]).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.what.split()[1]).query)

    @property
    def body(self) -> Any:
        return json.loads(self.content) if self.content else None


@dataclass
class Door:
    answers: Callable[[Asked], Answer]
    asked: list[Asked] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)
    """Who came for a token, as it said so."""

    def reply(self, asked: Asked) -> Answer:
        if asked.path == "/oauth/token":
            assert parse_qs(asked.content.decode())["grant_type"] == ["client_credentials"]
            self.clients.append(asked.headers["Authorization"])
            return 200, TOKEN
        assert asked.headers["Authorization"] == f"Bearer {TOKEN['access_token']}"
        self.asked.append(asked)
        return self.answers(asked)


@contextmanager
def served(folder: Path, answers: Callable[[Asked], Answer]) -> Iterator[Door]:
    """Open it, as the gateway of the stack whose state folder this is."""
    door = Door(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, told = door.reply(Asked(f"{self.command} {self.path}", content, self.headers))
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    oauth = {"token_url": f"{url}/oauth/token", "client_id": "demo-upstream", "client_secret": "fake"}
    (folder / "endpoints.json").write_text(json.dumps({"gateway": url, "oauth": oauth}))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield door
    finally:
        server.shutdown()
        server.server_close()
