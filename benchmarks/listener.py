"""Counts the notices that arrive: the endpoint of both sides, as light as it can be."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import uvicorn

count = 0


async def app(scope: Any, receive: Any, send: Any) -> None:
    """POST counts one; GET tells the count."""
    global count
    while (message := await receive()).get("more_body"):
        pass
    count += scope["method"] == "POST" and message["type"] == "http.request"
    body = str(count).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    uvicorn.run(
        app, port=int(sys.argv[1]), log_level="error", http="httptools", loop="uvloop", access_log=False, lifespan="off"
    )
