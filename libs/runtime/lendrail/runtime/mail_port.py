"""The mail port: every mail leaves here, and what is known of its outcome is told by what is raised.

Until the text of a mail begins to leave (the SMTP command DATA) a failure means *not sent*. From then on a lost
connection means *unknown*: the relay may have taken the mail (RFC 5321, section 6.1, gives it the responsibility the
moment it says 250).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from email.message import EmailMessage

import aiosmtplib

from lendrail.runtime.faults import point

CLOSING = 421
"""The relay closes an idle connection with this reply."""


class MailNotSent(Exception):
    """It did not leave; the reason is a short code. May be tried again."""


class MailRefused(Exception):
    """The relay will not take this mail for this recipient, now or later (a 5xx reply)."""


class MailUnknown(Exception):
    """The connection was lost while the mail was leaving."""


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

    async def send(self, mail: EmailMessage, recipient: str) -> None:
        """Hand the mail to the relay. Raises `MailNotSent`, `MailRefused`, `MailUnknown`."""
        async with self._lock:
            sender = mail["From"].addresses[0].addr_spec
            point("mail.before")
            try:
                async with asyncio.timeout(self._seconds):
                    client = await self._addressed(sender, recipient)
            except TimeoutError:
                self._drop(self._client)
                raise MailNotSent("timeout") from None
            await self._data(client, mail)
            point("mail.after")

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
                raise (MailRefused if reply.code >= 500 else MailNotSent)(f"recipient-{reply.code}") from None
            except aiosmtplib.SMTPResponseException as reply:
                self._drop(client)
                if fresh or reply.code != CLOSING:
                    raise MailNotSent(f"sender-{reply.code}") from None
            except UnicodeError:
                await self._forget(client)
                raise MailRefused("recipient-not-ascii") from None
            except (aiosmtplib.SMTPException, OSError) as error:
                self._drop(client)
                if fresh:
                    raise MailNotSent(type(error).__name__) from None
        raise AssertionError("unreachable")

    async def _connected(self, fresh: bool) -> aiosmtplib.SMTP:
        if self._client is not None and self._client.is_connected and not fresh:
            return self._client
        client = aiosmtplib.SMTP(**self._options)  # type: ignore[arg-type]
        try:
            await client.connect()
            if self._username:
                await client.login(self._username, self._password)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            self._drop(client)
            raise MailNotSent(f"connect-{type(error).__name__}") from None
        self._client = client
        return client

    async def _data(self, client: aiosmtplib.SMTP, mail: EmailMessage) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await client.data(mail.as_bytes())
        except aiosmtplib.SMTPResponseException as reply:
            if reply.code < 400:
                self._drop(client)
                raise MailUnknown from None
            await self._forget(client)
            raise (MailRefused if reply.code >= 500 else MailNotSent)(f"data-{reply.code}") from None
        except BaseException as error:
            self._drop(client)
            if isinstance(error, aiosmtplib.SMTPException | OSError):
                raise MailUnknown from None
            raise

    async def _forget(self, client: aiosmtplib.SMTP) -> None:
        """Clear the refused transaction, so that the connection serves the next mail."""
        try:
            await client.rset()
        except (aiosmtplib.SMTPException, OSError):
            self._drop(client)

    def _drop(self, client: aiosmtplib.SMTP | None) -> None:
        if client is not None:
            client.close()
        self._client = None

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None and client.is_connected:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()
            client.close()
