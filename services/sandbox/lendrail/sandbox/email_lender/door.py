"""The SMTP server of a simulated lender: started and stopped with it, its open conversations with it."""

import asyncio
import logging
import socket
from typing import Any

from aiosmtpd.smtp import SMTP

from lendrail.sandbox.partner import MailDoor

logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's lines hold what is said, passwords included
LARGEST = 25 * 1024 * 1024


class _Talk(SMTP):
    """One conversation, known to the server as long as it lasts."""

    def __init__(self, known: set[SMTP], handler: Any, authenticator: Any, door: MailDoor) -> None:
        self._known = known
        super().__init__(
            handler,
            hostname="localhost",
            ident="lendrail sandbox",
            tls_context=door.context,
            authenticator=authenticator,
            auth_require_tls=False,  # a rehearsal on loopback may do without; the dial `require_tls` insists
            data_size_limit=LARGEST,
            loop=asyncio.get_running_loop(),
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._known.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._known.discard(self)
        super().connection_lost(error)


class MailServer:
    """Listens where the door is."""

    def __init__(self, door: MailDoor, handler: Any, authenticator: Any) -> None:
        self._door, self._handler, self._authenticator = door, handler, authenticator
        self._talks: set[SMTP] = set()
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connections wait from here on. Raises OSError when the port is taken."""
        listener = socket.create_server((self._door.host, self._door.port))
        self._serving = asyncio.create_task(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()

        def talk() -> _Talk:
            return _Talk(self._talks, self._handler, self._authenticator, self._door)

        server = await loop.create_server(talk, sock=listener)
        try:
            await asyncio.Event().wait()
        finally:
            server.close()

    def stop(self) -> None:
        if self._serving is not None:
            self._serving.cancel()
        for talk in list(self._talks):
            hang_up(talk)


def hang_up(talk: SMTP) -> None:
    """Close the connection at once, without a word."""
    transport: Any = talk.transport  # uvloop's transports are none of asyncio's classes
    if transport is not None:
        transport.abort()
