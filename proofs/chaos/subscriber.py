"""A customer's webhook receiver, a process of its own: `python -m proofs.chaos.subscriber PORT LEDGER SECRET`.

Each notice whose signature is right is on the disk before it is answered. LEDGER is its file; SECRET is a file that
holds the secret, once the endpoint is registered. How old a signature is says nothing here: clocks are skewed on
purpose.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvicorn

from proofs.chaos.shapes import Notice


class Book:
    """The ledger."""

    def __init__(self, file: Path, secret: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._secret, self._key = secret, b""

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """The status to answer; 204 once it is on the disk."""
        if not self._signed(headers, body):
            self._write({"refused": headers.get("webhook-id")})
            return 401
        self._write(asdict(notice(headers["webhook-id"], body)))
        return 204

    def _signed(self, headers: dict[str, str], body: bytes) -> bool:
        """By Standard Webhooks: HMAC-SHA256 over id, time and body."""
        text = f"{headers.get('webhook-id')}.{headers.get('webhook-timestamp')}.".encode() + body
        wanted = b"v1," + base64.b64encode(hmac.digest(self._known(), text, "sha256"))
        given = headers.get("webhook-signature", "").encode().split()
        return any(hmac.compare_digest(wanted, each) for each in given)

    def _known(self) -> bytes:
        if not self._key and self._secret.exists():
            self._key = base64.b64decode(self._secret.read_text().removeprefix("whsec_"))
        return self._key

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")
        os.fdatasync(self._file)


def notice(name: str, body: bytes) -> Notice:
    data = json.loads(body)["data"]
    return Notice(
        id=name,
        application=data["applicationId"],
        opportunity=data.get("opportunityId"),
        version=data["version"],
        content=hashlib.sha256(body).hexdigest(),
    )


def read(file: Path) -> tuple[list[Notice], int]:
    """All notices in the order in which they came, and how many calls were refused."""
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [Notice(**line) for line in lines if "refused" not in line], sum("refused" in line for line in lines)


def app(book: Book) -> Any:
    async def serve(scope: Any, receive: Any, send: Any) -> None:
        parts, more = [], True
        while more:
            message = await receive()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        status = book.take(headers, b"".join(parts)) if scope["method"] == "POST" else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    return serve


def main(port: str, ledger: str, secret: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    serve = app(Book(Path(ledger), Path(secret)))
    uvicorn.run(serve, port=int(port), log_level="error", access_log=False, lifespan="off")


if __name__ == "__main__":
    main(*sys.argv[1:])
