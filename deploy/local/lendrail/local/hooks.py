"""A webhook receiver as a customer would write one: a real HTTP listener that checks Standard Webhooks signatures."""

import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOLERANCE_SECONDS = 300
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Notice:
    """One notice whose signature was right."""

    id: str
    application: str
    status: str


class Receiver:
    """Listens on a free loopback port; answers 401 to what `secret` did not sign."""

    def __init__(self) -> None:
        self.secret = ""
        self.notices: list[Notice] = []
        self.refused = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(min(int(self.headers.get("content-length", 0)), MAX_BYTES))
                self.send_response(204 if receiver.take(self.headers, body) else 401)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet: the timeline tells it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/notices"

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self._server.serve_forever, name="webhook receiver", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, headers: Any, body: bytes) -> bool:
        """Keep the notice if it is signed and recent."""
        if not signed(self.secret, headers, body):
            self.refused += 1
            return False
        data = json.loads(body).get("data", {})
        self.notices.append(Notice(headers["webhook-id"], str(data.get("applicationId")), str(data.get("status"))))
        return True

    def told(self, application: str, status: str) -> bool:
        return any(notice.application == application and notice.status == status for notice in self.notices)


def signed(secret: str, headers: Any, body: bytes) -> bool:
    """Whether a notice is genuine (Standard Webhooks 1.0: HMAC-SHA256 over id, time and body)."""
    identity, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit()) or abs(time.time() - int(stamp)) > TOLERANCE_SECONDS:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = hmac.digest(key, f"{identity}.{stamp}.".encode() + body, hashlib.sha256)
    wanted = f"v1,{base64.b64encode(expected).decode()}"
    return any(hmac.compare_digest(wanted.encode(), each.encode()) for each in headers["webhook-signature"].split())
