"""A simulated lender who is reached by mail: a real SMTP server with STARTTLS and AUTH, people and a program behind it.

It knows nothing of references, so what is sent twice it has twice. Nobody there answers: decisions come another way.
An answer to an application's mail is filed with that one.
"""

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session, TLSSetupException
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lendrail.sandbox.email_lender import inbox
from lendrail.sandbox.email_lender.door import MailServer, hang_up
from lendrail.sandbox.journal import Record
from lendrail.sandbox.ledger import Effect, event, moment
from lendrail.sandbox.outbound import is_web_url
from lendrail.sandbox.partner import Tools
from lendrail.sandbox.replies import Json
from lendrail.sandbox.settings import Model

logger = logging.getLogger("lendrail.sandbox")
MESSAGE = "message"
TAKEN = "250 2.0.0 Message taken"
FAULTS = {"refuse": "refused", "status": "status", "truncated": "truncated", "drop_reply": "dropped"}
"""Dials that act on a message, in this order, and what the books call it."""


class UserSettings(Model):
    """The `settings` of a user: how it signs in, and the one inbox that it may write to."""

    username: str
    password: SecretStr
    inbox: str
    fetch_documents: bool = True
    """Whether the lender's program follows the links to documents."""


@dataclass
class Arrival:
    """One command that is answered and put on record."""

    user: str | None
    reference: str | None = None
    dials: list[str] = field(default_factory=list)
    monotonic: float = field(default_factory=time.monotonic)
    wall: float = field(default_factory=time.time)


class EmailLender:
    """One simulated partner (see `partner.Partner`), and the handler of its SMTP server (`handle_…`)."""

    operations = frozenset({MESSAGE})

    def __init__(self, tools: Tools) -> None:
        """Raises ValueError (pydantic's ValidationError is one) for users that cannot be served."""
        self._tools = tools
        self._users = {user.user: UserSettings.model_validate(user.settings) for user in tools.users}
        self._server = MailServer(tools.mail_door, self, self.sign_in) if tools.mail_door else None
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> Sequence[Route]:
        return [Route("/email-lender/", self.page)]

    async def page(self, _request: Request) -> Response:
        """What a lender tells whoever wants to write to it."""
        door = self._tools.mail_door
        if door is None:
            return Json({"smtp": None, "message": "LENDRAIL_SANDBOX_SMTP_PORT is not set, so no mail is taken."})
        certificate = await asyncio.to_thread(door.certificate.read_text)
        return Json({"smtp": f"smtp://{door.host}:{door.port}", "certificate": certificate})

    def apply(self, record: Record) -> None:
        """Nothing of what was taken changes what is done next."""

    def start(self) -> None:
        if self._server is not None:
            self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
        for task in self._tasks:
            task.cancel()

    def sign_in(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: Any) -> AuthResult:
        """AUTH PLAIN or LOGIN; anything wrong is 535."""
        if isinstance(given, LoginPassword):
            for name, user in self._users.items():
                known = user.username.encode(), user.password.get_secret_value().encode()
                if hmac.compare_digest(known[0], given.login) and hmac.compare_digest(known[1], given.password):
                    return AuthResult(success=True, auth_data=name)
        return AuthResult(success=False, handled=False)

    def _user(self, session: Session) -> UserSettings:
        """Of a conversation that got beyond MAIL."""
        return self._users[str(session.auth_data)]

    async def handle_MAIL(
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        now = Arrival(session.auth_data)
        if session.ssl is None and self._tools.dials.take("require_tls", MESSAGE, None, now.dials):
            return await self._refused(now, "530 5.7.0 Must issue a STARTTLS command first")
        if not session.authenticated:
            return await self._refused(now, "530 5.7.0 Authentication required")
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender ok"

    async def handle_RCPT(
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.casefold() != self._user(session).inbox.casefold():
            return await self._refused(Arrival(session.auth_data), "550 5.1.1 No such mailbox here")
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Recipient ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        mail = inbox.opened(content)
        follows = inbox.answers(mail)
        now = Arrival(session.auth_data, follows or inbox.reference_of(mail))
        delay = self._tools.dials.take("delay", MESSAGE, now.reference, now.dials)
        if delay is not None and delay.when == "before":
            await asyncio.sleep(delay.ms / 1000)
        dial = self._fault(now)
        taken = dial is None or dial.kind == "drop_reply" or getattr(dial, "recorded", False)
        application = inbox.application_in(mail)
        effects = [_message("followUps" if follows else "leads", mail, envelope, content, application)]
        effects += [_attached(name, each) for name, each in inbox.files_in(mail)] if follows else []
        reply = TAKEN if dial is None else f"{dial.status} Simulated" if dial.kind == "status" else ""
        await self._record(
            now, 250 if taken else 0, FAULTS[dial.kind] if dial else "sent", reply, effects if taken else []
        )
        if taken and self._user(session).fetch_documents:
            self._fetch(now.reference, inbox.documents_in(application))
        if delay is not None and delay.when == "after":
            await asyncio.sleep(delay.ms / 1000)
        if dial is not None and dial.kind != "status":
            await _cut(server, dial.kind)
        return reply or TAKEN

    async def handle_exception(self, error: Exception) -> str:
        """A client that does not trust our certificate is its own business."""
        if not isinstance(error, TLSSetupException):
            logger.error("a conversation failed", exc_info=error)
        return "451 4.3.0 Local error"

    def _fault(self, now: Arrival) -> Any:
        found = (self._tools.dials.take(kind, MESSAGE, now.reference, now.dials) for kind in FAULTS)
        return next((dial for dial in found if dial is not None), None)

    async def _refused(self, now: Arrival, reply: str) -> str:
        await self._record(now, int(reply[:3]), "sent", reply, [])
        return reply

    async def _record(self, now: Arrival, status: int, how: str, reply: str, effects: list[Effect]) -> None:
        """As the desk records a call: `status` is what the lender decided, `answered` what the sender saw."""
        call = {"type": "call", "at": moment(now.wall), "monotonic": now.monotonic, "operation": MESSAGE}
        call |= {"user": now.user, "reference": now.reference, "leadId": None, "status": status, "reply": how}
        call |= {"answered": int(reply[:3]) if reply else None, "tooSoon": False, "paced": False}
        await self._tools.ledger.commit(call | {"dials": now.dials, "effects": effects})

    def _fetch(self, reference: str | None, documents: list[tuple[str, str]]) -> None:
        """Follow the links, as a lender's program does at once; a kill -9 in between loses that, not the mail."""
        for name, link in documents:
            task = asyncio.create_task(self._attach(reference, name, link))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _attach(self, reference: str | None, name: str, link: str) -> None:
        if not is_web_url(link):
            return
        file = await self._tools.outbound.fetch(link)
        effect: Effect = {"kind": "attachments", "filename": name, "how": "link", "sha256": file.sha256}
        effect |= {"size": file.size, "accepted": file.error is None, "error": file.error}
        await self._tools.ledger.commit(event([effect], reference))


def _attached(name: str, content: bytes) -> Effect:
    effect: Effect = {"kind": "attachments", "filename": name, "how": "attached", "size": len(content)}
    return effect | {"sha256": hashlib.sha256(content).hexdigest(), "accepted": True, "error": None}


def _message(
    kind: str, mail: EmailMessage, envelope: Envelope, content: bytes, application: dict[str, Any] | None
) -> Effect:
    return {
        "kind": kind,
        "messageId": str(mail.get("Message-ID", "")),
        "inReplyTo": str(mail.get("In-Reply-To", "")),
        "subject": str(mail.get("Subject", "")),
        "possibleDuplicate": inbox.POSSIBLE_DUPLICATE in mail,
        "readable": application is not None,
        "to": envelope.rcpt_tos,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "body": content.decode("latin-1"),
    }


async def _cut(server: SMTP, kind: str) -> None:
    """Hang up; `truncated` after half a reply."""
    transport: Any = server.transport
    if kind == "truncated" and transport is not None:
        transport.write(TAKEN[:2].encode())
        await asyncio.sleep(0.05)
    hang_up(server)
