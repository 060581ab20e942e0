"""How a channel proves who calls: a fixed key in a header, or a token that is fetched, kept and renewed.

Secrets are `SecretStr`; they leave it in the one line that writes the header.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import urlencode

from pydantic import SecretStr

from lendrail.partners.exchange import Reply, Request
from lendrail.partners.reading import decimal, json_object

RENEW_BEFORE_SECONDS = 60.0
_DEFAULT_LIFE_SECONDS = 300.0

AuthFailure = Literal["credential-refused", "token-unavailable"]
Fetch = Callable[[str, Request], Awaitable[Reply | None]]
"""(address, request) → reply; None when there was none. Given by the channel, so limits and rate apply to it."""


class AuthFailed(Exception):
    """No header to call with; so the call itself was not sent."""

    def __init__(self, reason: AuthFailure) -> None:
        super().__init__(reason)
        self.reason: AuthFailure = reason


class Auth(Protocol):
    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it sends secrets besides the partner's base address."""

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        """Headers for the next call. Raises `AuthFailed`."""

    async def renew(self, refused: Mapping[str, str], fetch: Fetch) -> Mapping[str, str] | None:
        """Other headers after a 401 for `refused`; None where there are none. Raises `AuthFailed`."""


@dataclass(frozen=True)
class ApiKey:
    """A fixed key. `header` may hold an underscore (Forward Financing's does): proxies on the way must let it pass."""

    header: str
    key: SecretStr
    addresses: tuple[str, ...] = ()

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        return {self.header: self.key.get_secret_value()}

    async def renew(self, refused: Mapping[str, str], fetch: Fetch) -> None:
        return None


class TokenStore(Protocol):
    """Where the token of one credential is kept; shared by every worker that uses the credential."""

    async def get(self) -> tuple[SecretStr, float] | None:
        """The token and when it expires, in seconds since the epoch."""

    async def set(self, token: SecretStr, expires_at: float) -> None: ...

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Held while one caller fetches, so that the others wait for its token instead of fetching theirs."""


class MemoryTokens:
    """The token store of one process."""

    def __init__(self) -> None:
        self._token: tuple[SecretStr, float] | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> tuple[SecretStr, float] | None:
        return self._token

    async def set(self, token: SecretStr, expires_at: float) -> None:
        self._token = token, expires_at

    def lock(self) -> AbstractAsyncContextManager[object]:
        return self._lock


@dataclass(frozen=True)
class OAuthPassword:
    """OAuth 2.0 password grant (RFC 6749, 4.3). Renewed 60 s before expiry, and once after a 401."""

    token_url: str
    username: str = field(repr=False)
    password: SecretStr
    store: TokenStore
    client_id: str = "partner-api"
    scope: str = "openid email profile"
    clock: Callable[[], float] = time.time

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.token_url,)

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        return await self._headers(None, fetch)

    async def renew(self, refused: Mapping[str, str], fetch: Fetch) -> Mapping[str, str]:
        return await self._headers(refused, fetch)

    async def _headers(self, refused: Mapping[str, str] | None, fetch: Fetch) -> Mapping[str, str]:
        """The kept token where it is fresh and not the refused one, else a new one that only one caller fetches."""
        if (kept := self._usable(await self.store.get(), refused)) is not None:
            return kept
        async with self.store.lock():
            if (kept := self._usable(await self.store.get(), refused)) is not None:
                return kept
            token, life = await self._fetch(fetch)
            await self.store.set(token, self.clock() + life)
            return _bearer(token)

    def _usable(
        self, kept: tuple[SecretStr, float] | None, refused: Mapping[str, str] | None
    ) -> Mapping[str, str] | None:
        if kept is None or kept[1] - RENEW_BEFORE_SECONDS <= self.clock():
            return None
        headers = _bearer(kept[0])
        return None if headers == refused else headers

    async def _fetch(self, fetch: Fetch) -> tuple[SecretStr, float]:
        form = {"grant_type": "password", "client_id": self.client_id, "username": self.username}
        form |= {"password": self.password.get_secret_value(), "scope": self.scope}
        headers = (("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json"))
        request = Request(
            operation="token", method="POST", path="", headers=headers, content=urlencode(form).encode("ascii")
        )
        reply = await fetch(self.token_url, request)
        body = json_object(reply.content) if reply else None
        if reply and body and reply.status == 200:
            token, kind = body.get("access_token"), body.get("token_type", "bearer")
            if isinstance(token, str) and token.isascii() and token.isprintable() and str(kind).lower() == "bearer":
                return SecretStr(token), float(decimal(body.get("expires_in")) or _DEFAULT_LIFE_SECONDS)
        refused = reply is not None and (
            reply.status in (401, 403) or (reply.status == 400 and (body or {}).get("error") == "invalid_grant")
        )
        raise AuthFailed("credential-refused" if refused else "token-unavailable")


def _bearer(token: SecretStr) -> Mapping[str, str]:
    return {"authorization": f"Bearer {token.get_secret_value()}"}
