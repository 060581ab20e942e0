"""Requests to partners that speak JSON over HTTP, written once."""

from __future__ import annotations

import json
from typing import Any, Literal
from urllib.parse import quote

from lendrail.partners.exchange import Request

Pairs = tuple[tuple[str, str], ...]
ACCEPT: Pairs = (("accept", "application/json"),)
JSON: Pairs = (("content-type", "application/json"), *ACCEPT)


def get(operation: str, *steps: str, query: Pairs = (), headers: Pairs = ACCEPT, context: Pairs = ()) -> Request:
    """Each of `steps` is one step of the path, whatever it holds."""
    path = "".join(f"/{quote(step, safe='')}" for step in steps)
    return Request(operation=operation, method="GET", path=path, query=query, headers=headers, context=context)


def send(
    operation: str,
    path: str,
    body: Any,
    *,
    method: Literal["POST", "PUT", "PATCH"] = "POST",
    headers: Pairs = JSON,
    context: Pairs = (),
) -> Request:
    content = json.dumps(body, separators=(",", ":")).encode()
    return Request(operation=operation, method=method, path=path, headers=headers, content=content, context=context)
