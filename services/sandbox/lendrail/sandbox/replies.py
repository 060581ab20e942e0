"""Answers as a partner gives them, and answers as a broken partner gives them."""

import asyncio
import contextlib
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HTML = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>"
SILENT_SECONDS = 600
"""After which a client that never gives up is hung up on."""
TRANSPORT = "lendrail.transport"


class Json(Response):
    """JSON through orjson; None is an empty body."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return b"" if content is None else orjson.dumps(content)


class HangUp(Response):
    """Closes the connection without a byte; what was recorded before is none of the client's knowledge."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport: asyncio.Transport = scope["extensions"][TRANSPORT]
        transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass


class Silence(HangUp):
    """Says nothing until the client gives up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SILENT_SECONDS):
                while (await receive())["type"] != "http.disconnect":
                    pass
                return
        await super().__call__(scope, receive, send)


def html_page() -> Response:
    """A page in a 200, as load balancers and maintenance windows serve it."""
    return Response(HTML, 200, media_type="text/html")


def truncated(status: int, content: Any, media_type: str) -> Response:
    """Valid HTTP around the first half of the document."""
    body = content if isinstance(content, bytes) else orjson.dumps(content or {"message": "truncated"})
    return Response(body[: len(body) // 2], status, media_type=media_type)
