"""Carries a mail to a partner's mail server, and says truthfully whether it left us.

The conversation is the mail port's. Until it says DATA nothing of the mail has left; a complete reply, at whatever
stage, is a `Reply` whose status is the SMTP code; a connection lost from DATA on is *no answer*.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from lendrail.contracts.terms import Mode
from lendrail.partners.channels.access import BadCredential
from lendrail.partners.channels.mail import SmtpLogin
from lendrail.partners.channels.rest import PlainHttpRefused
from lendrail.partners.exchange import NoAnswer, NotSent, NotSentReason, Reply, Request
from lendrail.runtime.mail_port import MailFailed, MailPort, MailReply, MailUnknown, Why

SCHEME = "smtp"
SUBMISSION_PORT = 587
"""RFC 6409; where a base address names none."""
_ADDRESS = re.compile(r"[!-;=?A-~]+@[!-;=?A-~]+")
"""ASCII without spaces and angle brackets: nothing that the client library would have to mend."""
LONGEST_SECONDS = 600.0
"""Of one command (RFC 5321, 4.5.3.2.6); the deadline of each call, over all commands, is shorter."""
_NOT_SENT: Mapping[Why, NotSentReason] = {
    "refused": "refused",
    "no-such-host": "no-such-host",
    "tls": "tls",
    "timeout": "connect-timeout",
    "withheld": "withheld",
    "bad-address": "invalid-request",
    "not-connected": "not-connected",
}


class MailChannel:
    """Mails through one credential's server, over one connection that stays open between mails."""

    def __init__(self, base_url: str, mode: Mode, login: SmtpLogin, tls: ssl.SSLContext) -> None:
        """`base_url`: `smtp://host:port`. Raises `BadCredential`; `PlainHttpRefused` for live without STARTTLS."""
        address = urlsplit(base_url)
        if address.scheme != SCHEME or not address.hostname:
            raise BadCredential("the base address must have the form smtp://host:port")
        if mode == "live" and not login.starttls:
            raise PlainHttpRefused("a live credential needs STARTTLS")
        self._port = MailPort(
            address.hostname,
            address.port or SUBMISSION_PORT,
            starttls=login.starttls,
            username=login.username,
            password=login.password.get_secret_value(),
            tls=tls,
            seconds=LONGEST_SECONDS,
        )

    async def send(
        self, request: Request, deadline: float, guard: Callable[[], bool] | None = None
    ) -> Reply | NotSent | NoAnswer:
        """Hand it over once. `deadline` is the total time in seconds; `guard` is asked just before DATA."""
        envelope = dict(request.query)
        sender, to = envelope.get("from", ""), envelope.get("to", "")
        if request.method != "MAIL" or not (_ADDRESS.fullmatch(sender) and _ADDRESS.fullmatch(to)):
            return NotSent("invalid-request")
        try:
            taken = await self._port.send_bytes(request.content, sender, to, deadline=deadline, guard=guard)
        except MailUnknown as unknown:
            return NoAnswer("deadline" if unknown.why == "timeout" else "cut")
        except MailFailed as failed:
            return NotSent(_NOT_SENT[failed.why]) if failed.reply is None else _reply(failed.reply)
        return _reply(taken)

    def close(self) -> None:
        """For a credential that was replaced."""
        self._port.close()


def _reply(said: MailReply) -> Reply:
    return Reply(said.code, {}, said.text.encode("utf-8", "replace"))
