"""How commands talk to the running supervisor: one JSON line each way over loopback, with a secret.

A loopback port, because a Unix socket's path is limited to 108 characters and checkouts may lie deep.
"""

import hmac
import json
import queue
import secrets
import socket
import socketserver
import threading
from dataclasses import dataclass, field
from typing import Any

from lendrail.local.state import State, read_json, write_private

ANSWER_SECONDS = 120.0


@dataclass
class Request:
    """Something that the supervisor shall do; its own thread does it and answers."""

    do: str
    service: str
    environment: dict[str, str]
    answer: "queue.Queue[dict[str, Any]]" = field(default_factory=lambda: queue.Queue(1))


class Control:
    """The listening side: hands requests to `requests`."""

    def __init__(self, state: State) -> None:
        self.requests: queue.Queue[Request] = queue.Queue()
        self._file = state.control
        self._secret = secrets.token_urlsafe(32)
        control = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 5

            def handle(self) -> None:
                line = self.rfile.readline(65_536)
                answer = control.ask(line)
                self.wfile.write(json.dumps(answer).encode() + b"\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def open(self) -> None:
        port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="control", daemon=True).start()
        write_private(self._file, json.dumps({"port": port, "secret": self._secret}))

    def close(self) -> None:
        self._file.unlink(missing_ok=True)
        self._server.shutdown()
        self._server.server_close()

    def ask(self, line: bytes) -> dict[str, Any]:
        try:
            said = json.loads(line)
            allowed = hmac.compare_digest(str(said["secret"]).encode(), self._secret.encode())
            request = Request(str(said["do"]), str(said["service"]), dict(said.get("environment", {})))
        except (ValueError, KeyError, TypeError):
            return {"ok": False, "message": "not understood"}
        if not allowed:
            return {"ok": False, "message": "wrong secret"}
        self.requests.put(request)
        try:
            return request.answer.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            return {"ok": False, "message": "the supervisor is busy"}


def ask(state: State, do: str, service: str, environment: dict[str, str]) -> tuple[bool, str]:
    """The calling side: what the supervisor says to a request."""
    known = read_json(state.control)
    question = {"secret": known.get("secret"), "do": do, "service": service, "environment": environment}
    try:
        with socket.create_connection(("127.0.0.1", int(known["port"])), timeout=ANSWER_SECONDS + 5) as line:
            line.sendall(json.dumps(question).encode() + b"\n")
            answer = json.loads(line.makefile("rb").readline())
    except (OSError, ValueError, KeyError):
        return False, "the supervisor does not answer; `lendrail down` and `lendrail up` start anew"
    return bool(answer["ok"]), str(answer["message"])
