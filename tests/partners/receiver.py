"""An address of ours that simulated partners call: keeps every call as its bytes came."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Heard:
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass
class Receiver:
    url: str = ""
    answers: list[int] = field(default_factory=list)
    """Statuses of the next answers; 204 when there is none."""
    calls: list[Heard] = field(default_factory=list)

    def wait(self, calls: int, seconds: float = 10.0) -> list[Heard]:
        patience = time.monotonic() + seconds
        while len(self.calls) < calls and time.monotonic() < patience:
            time.sleep(0.02)
        assert len(self.calls) >= calls, f"{len(self.calls)} calls of {calls}"
        return self.calls


@contextmanager
def receiving() -> Iterator[Receiver]:
    """On a free port of loopback."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = tuple((name.encode(), value.encode()) for name, value in self.headers.items())
            receiver.calls.append(Heard(headers, body))
            self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/webhooks/x"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
