"""A gateway and a lender in one small HTTP server, for the demo's longer scenes: it does what a script says.

It is told by what it is asked, tells each status on the timeline, by signed webhook and by mail, and keeps the lender's
ledger. `spoilt` is what goes wrong.
"""

import asyncio
import datetime as dt
import hashlib
import json
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from joserfc.jwk import ECKey
from standardwebhooks import Webhook

from lendrail.local.state import State, write_private
from lendrail.local.timeline import Line

SECRET = "whsec_" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
APPLICATION, OPPORTUNITY = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
OFFER = {
    "id": "offer-1",
    "amount": {"amount": "40000.00", "currency": "USD"},
    "term": {"value": 12, "unit": "months"},
    "conditions": ["Voided check"],
}
WAY = {"what": "document", "method": "POST", "path": f"/v1/applications/{APPLICATION}/documents"}
TO_DO = {"items": [{"kind": "bank-statement", "words": "last two months"}], "ways": [WAY]}
Answer = tuple[int, dict[str, Any], dict[str, str]]


class World:
    def __init__(self, partner: str, first: str, spoilt: str = "") -> None:
        self.partner, self.first, self.spoilt = partner, first, spoilt
        self.status, self.hook, self.mail = "submitting", "", Path()
        self.lines: list[Line] = []
        self.dials: list[dict[str, Any]] = []
        self.taken: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.ledger: dict[str, list[dict[str, Any]]] = {"leads": [], "attachments": [], "decisions": []}

    async def told(self, _: str, *, started: asyncio.Event) -> AsyncIterator[Line]:
        """The timeline."""
        started.set()
        seen = 0
        while True:
            for line in self.lines[seen:]:
                seen += 1
                yield line
            await asyncio.sleep(0.005)

    def becomes(self, status: str) -> None:
        self.status = status
        self.lines.append(Line("status-updated", "status", APPLICATION, 1, self.partner, status))
        body = json.dumps({"data": {"applicationId": APPLICATION, "status": status}})
        now = dt.datetime.now(dt.UTC)
        headers = {"webhook-id": status, "webhook-timestamp": str(int(now.timestamp()))}
        headers["webhook-signature"] = Webhook(SECRET).sign(status, now, body)
        httpx.post(self.hook, content=body, headers=headers, trust_env=False)
        (self.mail / f"{status}.eml").write_text(f"{APPLICATION} is {status}")

    def answer(self, method: str, path: str, key: str, body: bytes) -> Answer:
        last = path.rpartition("/")[2]
        if path.startswith("/_ledger/"):
            return 200, self.ledger, {}
        if path.startswith("/_dials/"):
            self.dials.append(json.loads(body))
            return 201, {}, {}
        if method == "GET":
            return 200, self.view(), {}
        if last == "token":
            return 200, {"access_token": "fake", "expires_in": 300}, {}
        if last == "endpoints":
            self.hook = json.loads(body)["url"]
            return 201, {"secret": SECRET}, {}
        return self.once(last, key, body)

    def once(self, what: str, key: str, body: bytes) -> Answer:
        self.asked.append(what)
        if what == self.spoilt:
            return 409, {}, {}
        if key in self.taken and self.spoilt != "no-keys":
            return 202, self.taken[key], {"Idempotency-Replayed": "true"}
        self.taken[key] = {"applicationId": APPLICATION, "revision": len(self.taken) + 1}
        self.does[what](self, body)
        return 202, self.taken[key], {}

    def _apply(self, _: bytes) -> None:
        self.ledger["leads"].append({})
        self.becomes(self.first)

    def _document(self, content: bytes) -> None:
        found = {"sha256": hashlib.sha256(content).hexdigest(), "accepted": True}
        self.ledger["attachments"] += [{"sha256": "0" * 64, "accepted": True}, found]
        self.becomes("approved")

    def _accept(self, body: bytes) -> None:
        self.ledger.setdefault("acceptances", []).append({"offerId": json.loads(body)["offerId"]})
        self.becomes("accepted")
        if any(dial["kind"] == "funding" for dial in self.dials):
            self.ledger["decisions"].append({"outcome": "fund"})
            self.becomes("funded")

    def _withdraw(self, body: bytes) -> None:
        assert json.loads(body)["reason"]
        self.ledger["withdrawals"] = [{"reason": "Withdrawn"}]
        self.becomes("withdrawn")

    does: dict[str, Callable[["World", bytes], None]] = {
        "applications": _apply,
        "documents": _document,
        "accept": _accept,
        "withdraw": _withdraw,
    }

    def view(self) -> dict[str, Any]:
        """What the API says."""
        at: dict[str, Any] = {"partner": self.partner, "opportunityId": OPPORTUNITY, "status": self.status}
        if self.status == "info-required":
            at["toDo"] = {"items": [], "ways": [WAY]} if self.spoilt == "nothing-named" else TO_DO
        if self.status in ("approved", "accepted", "funded"):
            at["offers"] = [OFFER]
        return {"status": at["status"], "opportunities": [at]}


@contextmanager
def playing(world: World, folder: Path) -> Iterator[State]:
    """The state folder of a stack that consists of this world alone."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", 0))
            key = self.headers.get("idempotency-key", "")
            status, body, headers = world.answer(
                self.command, urlsplit(self.path).path, key, self.rfile.read(length) if length else b""
            )
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in (headers | {"content-length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield _state(folder, f"http://127.0.0.1:{server.server_address[1]}", world)
    finally:
        server.shutdown()
        server.server_close()


def _state(folder: Path, url: str, world: World) -> State:
    state = State(folder)
    state.prepare()
    world.mail = state.mail
    oauth = {"token_url": f"{url}/token", "client_id": "fake", "client_secret": "fake"}
    endpoints = {"gateway": url, "kafka": "", "mail": str(state.mail), "sandbox": {"url": url}, "oauth": oauth}
    key = ECKey.generate_key("P-256").as_dict(private=True)
    files = {"credentials.json": {"credentials": []}, "intake.jwk": key}
    write_private(state.endpoints, json.dumps(endpoints))
    for name, content in files.items():
        write_private(state.config / name, json.dumps(content))
    return state
