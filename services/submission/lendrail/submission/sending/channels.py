"""From a lane and a credential to an open channel: one client for each lane, one shared token for each credential."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from lendrail.partners import PARTNERS
from lendrail.partners.channels.access import BadCredential, auth_of
from lendrail.partners.channels.mail import SmtpLogin
from lendrail.partners.channels.rest import RestChannel, lane_client
from lendrail.runtime.directory import Credential
from lendrail.runtime.partner_port import PartnerPort
from lendrail.submission.sending.mail import SCHEME, MailChannel

Channel = RestChannel | MailChannel


class Channels:
    """Opens channels. A lane calls one partner at a time, so its client needs one connection; each mail server has its
    own, since a mail connection is signed in.
    """

    def __init__(self, port: PartnerPort, lanes: int) -> None:
        self._port = port
        self._trusted = ssl.create_default_context()  # 30 ms to make: one for all lanes
        self._clients = [lane_client(self._trusted) for _ in range(lanes)]
        self.internal = [
            httpx.AsyncClient(verify=self._trusted, trust_env=False, follow_redirects=False) for _ in range(lanes)
        ]
        """For calls to our own services, which must not close the lane's connection to a partner."""
        self._open: dict[tuple[int, str], tuple[Credential, Channel]] = {}

    def open(self, lane: int, credential: Credential) -> Channel:
        """Raises `BadCredential`, `PlainHttpRefused`."""
        known = self._open.get((lane, credential.id))
        if known is None or known[0] is not credential:
            if known is not None and isinstance(known[1], MailChannel):
                known[1].close()
            known = credential, self._made(lane, credential)
            self._open[lane, credential.id] = known
        return known[1]

    def _made(self, lane: int, credential: Credential) -> Channel:
        auth = auth_of(PARTNERS[credential.partner], credential.auth, self._port.tokens(credential.id))
        by_mail = urlsplit(credential.base_url).scheme == SCHEME
        if by_mail != isinstance(auth, SmtpLogin):
            raise BadCredential(f"{credential.partner}: the base address and the scheme do not fit together")
        if isinstance(auth, SmtpLogin):
            tls = self._trusted if auth.ca_file is None else _trusting(auth.ca_file)
            return MailChannel(credential.base_url, credential.mode, auth, tls)
        pace = self._pace(credential)
        return RestChannel(self._clients[lane], credential.base_url, credential.mode, auth, pace)

    def _pace(self, credential: Credential) -> Callable[[], Awaitable[object]]:
        async def pace() -> None:
            async with self._port.call(credential.id, "submission"):
                return

        return pace


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise BadCredential(f"the authorities in caFile cannot be read: {type(error).__name__}") from None
