"""From a credential of ours to a channel that can use it; the access token is shared through the partner port."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import httpx
from pydantic import SecretStr

from lendrail.partners.channels.auth import ApiKey, Auth, OAuthPassword, Token
from lendrail.partners.channels.rest import RestChannel, lane_client
from lendrail.runtime.budget import Kind
from lendrail.runtime.directory import Credential
from lendrail.runtime.partner_port import PartnerPort, StoredToken

DEFAULT_KEY_HEADER = "api_key"


class SharedTokens:
    """The channel's token store on top of the port's."""

    def __init__(self, stored: StoredToken) -> None:
        self._stored = stored

    async def get(self) -> Token | None:
        found = await self._stored.get()
        return Token(SecretStr(found[0]), found[1].timestamp()) if found else None

    async def set(self, token: Token) -> None:
        expires = dt.datetime.fromtimestamp(token.expires_at, dt.UTC)
        await self._stored.set(token.value.get_secret_value(), expires)

    def lock(self) -> AbstractAsyncContextManager[object]:
        lock: asyncio.Lock = self._stored.lock
        return lock


def channel(
    credential: Credential, tokens: StoredToken, client: httpx.AsyncClient, pace: Callable[[], Awaitable[object]]
) -> RestChannel:
    """Raises ValueError for a scheme that no channel knows, and `PlainHttpRefused`."""
    return RestChannel(client, credential.base_url, credential.mode, _auth(credential, tokens), pace)


def _auth(credential: Credential, tokens: StoredToken) -> Auth:
    given = {name: secret.get_secret_value() for name, secret in credential.auth.items()}
    if given.get("scheme") == "api-key":
        return ApiKey(given.get("header", DEFAULT_KEY_HEADER), credential.auth["key"])
    if given.get("scheme") == "oauth-password":
        return OAuthPassword(given["tokenUrl"], given["username"], credential.auth["password"], SharedTokens(tokens))
    raise ValueError(f"credential {credential.id}: unknown scheme")


class Lanes:
    """One connection for each lane and credential: a shared client costs four times the CPU under load."""

    def __init__(self) -> None:
        self._clients: dict[tuple[str, int], httpx.AsyncClient] = {}
        self._tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def turn(
        self, port: PartnerPort, credential_id: str, kind: Kind, lane: int, seconds: float
    ) -> AsyncIterator[RestChannel]:
        """A channel that may send one request now. Raises `Paused`, and TimeoutError when no turn came in time."""

        async def pace() -> None:
            async with port.call(credential_id, kind):
                return

        async with AsyncExitStack() as stack:
            async with asyncio.timeout(seconds):
                credential = await stack.enter_async_context(port.call(credential_id, kind))
            client = self._client(f"{kind}|{credential_id}", lane)
            yield channel(credential, port.tokens(credential_id), client, pace)

    def _client(self, group: str, lane: int) -> httpx.AsyncClient:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        if (group, lane) not in self._clients:
            self._clients[group, lane] = lane_client(self._tls)
        return self._clients[group, lane]

    async def close(self) -> None:
        await asyncio.gather(*(client.aclose() for client in self._clients.values()))
