"""The mail port: every mail leaves here, and what is known of its outcome is told by what is raised.

Until the text of a mail begins to leave (the SMTP command DATA) a failure means *not sent*. From then on a lost
connection means *unknown*: the relay may have taken the mail (RFC 5321, section 6.1, gives it the responsibility the
moment it says 250).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Literal

import aiosmtplib

from lendrail.runtime.faults import call_point

CLOSING = 421
"""The relay closes an idle connection with this reply."""
RESET_SECONDS = 5.0


Why = Literal["refused", "no-such-host", "tls", "timeout", "withheld", "bad-address", "not-connected"]
"""What kept a mail here, where the relay said nothing."""


@dataclass(frozen=True)
class MailReply:
    """What the relay said, in full."""

    code: int
    text: str = field(repr=False)


class MailFailed(Exception):
    """`reply` is what the relay said, where it said something; `why` what else it was. The text is a short code."""

    def __init__(self, code: str, reply: MailReply | None = None, why: Why = "not-connected") -> None:
        super().__init__(code)
        self.reply, self.why = reply, why


class MailNotSent(MailFailed):
    """It did not leave. May be tried again."""


class MailRefused(MailFailed):
    """The relay will not take this mail for this recipient, now or later (a 5xx reply)."""


class MailUnknown(MailFailed):
    """The connection was lost, or time was up, while the mail was leaving."""


def _away() -> MailNotSent:
    return MailNotSent("not-connected")


def _lost() -> MailUnknown:
    return MailUnknown("unknown")


class MailPort:
    """One SMTP connection, kept open between mails; one mail at a time."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        starttls: bool,
        username: str = "",
        password: str = "",
        tls: ssl.SSLContext | None = None,
        seconds: float = 30.0,
    ) -> None:
        """`seconds` bounds what comes before the text of a mail, connecting included, and the text itself once more.
        With `starttls` nothing is sent in clear.
        """
        self._options = {
            "hostname": host,
            "port": port,
            "use_tls": False,
            "start_tls": starttls,
            "timeout": seconds,
            "tls_context": (tls or ssl.create_default_context()) if starttls else None,
        }
        self._username, self._password = username, password
        self._seconds = seconds
        self._client: aiosmtplib.SMTP | None = None
        self._lock = asyncio.Lock()

    async def send(self, mail: EmailMessage, recipient: str) -> MailReply:
        """Hand the mail to the relay. Raises `MailNotSent`, `MailRefused`, `MailUnknown`."""
        return await self.send_bytes(mail.as_bytes(), mail["From"].addresses[0].addr_spec, recipient)

    async def send_bytes(
        self,
        content: bytes,
        sender: str,
        recipient: str,
        *,
        deadline: float | None = None,
        guard: Callable[[], bool] | None = None,
    ) -> MailReply:
        """Hand over these bytes as they are; their lines end with CR LF. Gives the relay's words of acceptance.

        `deadline` is the total time in seconds, in place of the port's own two bounds. `guard` is asked just before
        DATA: false withholds the mail. Raises `MailNotSent`, `MailRefused`, `MailUnknown`.
        """
        async with self._lock:
            end = None if deadline is None else asyncio.get_running_loop().time() + deadline
            await call_point("mail.before", _away)
            try:
                async with self._within(end):
                    client = await self._addressed(sender, recipient)
            except TimeoutError:
                self._drop(self._client)
                raise MailNotSent("timeout", why="timeout") from None
            if guard is not None and not guard():
                await self._forget(client)
                raise MailNotSent("withheld", why="withheld")
            reply = await self._data(client, content, end)
            await call_point("mail.after", _lost)
            return reply

    def _within(self, end: float | None) -> asyncio.Timeout:
        return asyncio.timeout(self._seconds) if end is None else asyncio.timeout_at(end)

    async def _addressed(self, sender: str, recipient: str) -> aiosmtplib.SMTP:
        """A connection that has taken sender and recipient; one that the relay closed meanwhile is opened again."""
        for fresh in (False, True):
            client = await self._connected(fresh)
            try:
                await client.mail(sender)
                await client.rcpt(recipient)
                return client
            except aiosmtplib.SMTPRecipientRefused as reply:
                await self._forget(client)
                kind = MailRefused if reply.code >= 500 else MailNotSent
                raise kind(f"recipient-{reply.code}", _said(reply)) from None
            except aiosmtplib.SMTPResponseException as reply:
                self._drop(client)
                if fresh or reply.code != CLOSING:
                    raise MailNotSent(f"sender-{reply.code}", _said(reply)) from None
            except ValueError as error:  # not ASCII, or a control character: aiosmtplib sends neither
                await self._forget(client)
                code = "recipient-not-ascii" if isinstance(error, UnicodeError) else "bad-address"
                raise MailRefused(code, why="bad-address") from None
            except (aiosmtplib.SMTPException, OSError) as error:
                self._drop(client)
                if fresh:
                    raise MailNotSent(type(error).__name__) from None
        raise AssertionError("unreachable")

    async def _connected(self, fresh: bool) -> aiosmtplib.SMTP:
        if self._client is not None and self._client.is_connected and not fresh:
            return self._client
        client = aiosmtplib.SMTP(**self._options)  # type: ignore[arg-type]
        why: Why | None = None
        try:
            await client.connect()
            why = "not-connected"
            if self._username:
                await client.login(self._username, self._password)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            self._drop(client)
            raise MailNotSent(f"connect-{type(error).__name__}", _said(error), why or _why(error)) from None
        except BaseException:
            client.close()
            raise
        self._client = client
        return client

    async def _data(self, client: aiosmtplib.SMTP, content: bytes, end: float | None) -> MailReply:
        try:
            async with self._within(end):
                taken = await client.data(content)
                return MailReply(taken.code, taken.message)
        except aiosmtplib.SMTPResponseException as reply:
            if reply.code < 400:
                self._drop(client)
                raise MailUnknown(f"data-{reply.code}") from None
            await self._forget(client)
            kind = MailRefused if reply.code >= 500 else MailNotSent
            raise kind(f"data-{reply.code}", _said(reply)) from None
        except BaseException as error:
            self._drop(client)
            if isinstance(error, aiosmtplib.SMTPException | OSError):
                late = isinstance(error, TimeoutError)
                raise MailUnknown("unknown", why="timeout" if late else "not-connected") from None
            raise

    async def _forget(self, client: aiosmtplib.SMTP) -> None:
        """Clear the refused transaction, so that the connection serves the next mail."""
        try:
            await client.rset(timeout=RESET_SECONDS)
        except (aiosmtplib.SMTPException, OSError):
            self._drop(client)

    def _drop(self, client: aiosmtplib.SMTP | None) -> None:
        if client is not None:
            client.close()
        self._client = None

    def close(self) -> None:
        """Hang up without a word."""
        self._drop(self._client)

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None and client.is_connected:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()
            client.close()


def _said(error: Exception) -> MailReply | None:
    """The reply in an exception; aiosmtplib invents the code -1 for one that is none."""
    if isinstance(error, aiosmtplib.SMTPResponseException) and 200 <= error.code <= 599:
        return MailReply(error.code, error.message)
    return None


def _why(error: Exception) -> Why:
    """Why there is no connection: the causes below the exception tell."""
    chain: list[BaseException] = [error]
    while (below := chain[-1].__cause__ or chain[-1].__context__) is not None and below not in chain:
        chain.append(below)
    kinds: tuple[tuple[type[BaseException], Why], ...] = (
        (ssl.SSLError, "tls"),
        (socket.gaierror, "no-such-host"),
        (ConnectionRefusedError, "refused"),
        (TimeoutError, "timeout"),
    )
    for kind, why in kinds:
        if any(isinstance(each, kind) for each in chain):
            return why
    return "tls" if type(error) is aiosmtplib.SMTPException else "not-connected"  # STARTTLS is not offered
