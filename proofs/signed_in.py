"""A client of the demo tenant for runs that outlast its token: it signs in again by itself."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import httpx
from tests.flow.stack import Stack

EARLY = 0.5
"""A new token when so much of the old one's life is over: the gateway may just be away when it ends."""


class SignedIn(httpx.Auth):
    requires_response_body = True

    def __init__(self, oauth: dict[str, Any]) -> None:
        self._url = oauth["token_url"]
        self._form = {
            "grant_type": "client_credentials",
            "client_id": oauth["client_id"],
            "client_secret": oauth["client_secret"],
        }
        self._token, self._ends = "", 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Where there is no new token, the old one may still do."""
        if time.monotonic() > self._ends:
            reply = yield httpx.Request("POST", self._url, data=self._form)
            if reply.status_code == 200:
                said = reply.json()
                self._token, self._ends = said["access_token"], time.monotonic() + said["expires_in"] * EARLY
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def client(stack: Stack) -> httpx.AsyncClient:
    """As `Stack.client`, for as long as it takes."""
    oauth = SignedIn(stack.endpoints["oauth"])
    return httpx.AsyncClient(base_url=stack.gateway, auth=oauth, trust_env=False, timeout=20)
