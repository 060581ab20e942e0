"""From a credential of ours to a channel that can use it; the access token is shared through the partner port."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from lendrail.partners import PARTNERS
from lendrail.partners.channels.access import auth_of
from lendrail.partners.channels.rest import RestChannel, lane_client
from lendrail.runtime.budget import Kind
from lendrail.runtime.directory import Credential
from lendrail.runtime.partner_port import PartnerPort

Pace = Callable[[], Awaitable[object]]


def channel(credential: Credential, port: PartnerPort, client: httpx.AsyncClient, pace: Pace) -> RestChannel:
    """Raises `BadCredential`, `PlainHttpRefused`."""
    auth = auth_of(PARTNERS[credential.partner], credential.auth, port.tokens(credential.id))
    return RestChannel(client, credential.base_url, credential.mode, auth, pace)


class Lanes:
    """One connection for each lane and credential: a shared client costs four times the CPU under load."""

    def __init__(self) -> None:
        self._clients: dict[tuple[str, int], httpx.AsyncClient] = {}
        self._tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def turn(
        self, port: PartnerPort, credential_id: str, kind: Kind, operation: str, lane: int, seconds: float
    ) -> AsyncIterator[RestChannel]:
        """A channel that may send one request now. Raises `Paused`, `Open`; TimeoutError when no turn came in time."""

        async def pace() -> None:
            async with port.call(credential_id, kind):
                return

        async with AsyncExitStack() as stack:
            async with asyncio.timeout(seconds):
                credential = await stack.enter_async_context(port.call(credential_id, kind, operation))
            client = self._client(f"{kind}|{credential_id}", lane)
            yield channel(credential, port, client, pace)

    def _client(self, group: str, lane: int) -> httpx.AsyncClient:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        if (group, lane) not in self._clients:
            self._clients[group, lane] = lane_client(self._tls)
        return self._clients[group, lane]

    async def close(self) -> None:
        await asyncio.gather(*(client.aclose() for client in self._clients.values()))
