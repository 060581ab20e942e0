"""From a lane and a credential to an open channel: one client for each lane, one shared token for each credential."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

import httpx

from lendrail.partners import PARTNERS
from lendrail.partners.channels.access import auth_of
from lendrail.partners.channels.rest import RestChannel, lane_client
from lendrail.runtime.directory import Credential
from lendrail.runtime.partner_port import PartnerPort


class Channels:
    """Opens channels. A lane calls one partner at a time, so its client needs one connection."""

    def __init__(self, port: PartnerPort, lanes: int) -> None:
        self._port = port
        trusted = ssl.create_default_context()  # 30 ms to make: one for all lanes
        self._clients = [lane_client(trusted) for _ in range(lanes)]
        self.internal = [
            httpx.AsyncClient(verify=trusted, trust_env=False, follow_redirects=False) for _ in range(lanes)
        ]
        """For calls to our own services, which must not close the lane's connection to a partner."""
        self._open: dict[tuple[int, str], tuple[Credential, RestChannel]] = {}

    def open(self, lane: int, credential: Credential) -> RestChannel:
        """Raises `BadCredential`, `PlainHttpRefused`."""
        known = self._open.get((lane, credential.id))
        if known is None or known[0] is not credential:
            known = credential, self._made(lane, credential)
            self._open[lane, credential.id] = known
        return known[1]

    def _made(self, lane: int, credential: Credential) -> RestChannel:
        auth = auth_of(PARTNERS[credential.partner], credential.auth, self._port.tokens(credential.id))
        pace = self._pace(credential)
        return RestChannel(self._clients[lane], credential.base_url, credential.mode, auth, pace)

    def _pace(self, credential: Credential) -> Callable[[], Awaitable[object]]:
        async def pace() -> None:
            async with self._port.call(credential.id, "submission"):
                return

        return pace
