"""What the mail channel says when a conversation goes wrong at each of its stages, on real sockets. What the server saw
is the judge.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from pydantic import SecretStr

from lendrail.local.smtp import certificate
from lendrail.partners.channels.access import BadCredential
from lendrail.partners.channels.auth import MemoryTokens
from lendrail.partners.channels.mail import SmtpLogin
from lendrail.partners.channels.rest import PlainHttpRefused, RestChannel
from lendrail.partners.exchange import NoAnswer, NotSent, Reply, Request
from lendrail.runtime.directory import Credential
from lendrail.runtime.partner_port import PartnerPort
from lendrail.submission.sending.channels import Channels
from lendrail.submission.sending.mail import MailChannel

TEXT = b"Subject: fake\r\n\r\n.first\r\n..second\r\n.\r\nlast\r\n"
ENVELOPE = (("from", "broker@demo.example.test"), ("to", "applications@lender.example.test"))
MAIL = Request(operation="create", method="MAIL", path="", query=ENVELOPE, content=TEXT)
OPEN_LOGIN = SmtpLogin("demo-broker", SecretStr("not-a-real-password"), starttls=False)
CLOSE, HANG = "close", "hang"
USUAL = {
    "greeting": "220 fake", "EHLO": "250-fake\r\n250-AUTH PLAIN\r\n250 8BITMIME", "AUTH": "235 ok", "MAIL": "250 ok",
    "RCPT": "250 ok", "DATA": "354 go on", "text": "250 taken", "RSET": "250 ok", "QUIT": "221 bye",
}  # fmt: skip


class Server:
    """An SMTP server that answers each stage by the book, or by `script`."""

    def __init__(self) -> None:
        self.script: dict[str, str] = {}
        self.connections, self.stages = 0, list[str]()
        self.texts: list[bytes] = []
        self.pause = 0.0
        self.writers: list[asyncio.StreamWriter] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            going = await self._answer("greeting", writer)
            while going and (line := await reader.readline()):
                stage = line.split()[0].decode().upper()
                going = await self._answer(stage, writer)
                if stage == "DATA" and self.script.get("DATA", "354")[:3] == "354":
                    self.texts.append(await reader.readuntil(b"\r\n.\r\n"))
                    going = await self._answer("text", writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, stage: str, writer: asyncio.StreamWriter) -> bool:
        self.stages.append(stage)
        said = self.script.get(stage, USUAL.get(stage, "500 what"))
        await asyncio.sleep(30 if said == HANG else self.pause)
        if said == CLOSE:
            return False
        writer.write(said.encode() + b"\r\n")
        await writer.drain()
        return True


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"smtp://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    yield made
    listener.close()
    for writer in made.writers:
        writer.close()


@asynccontextmanager
async def channel(url: str, login: SmtpLogin = OPEN_LOGIN) -> AsyncIterator[MailChannel]:
    made = MailChannel(url, "test", login, ssl.create_default_context())
    try:
        yield made
    finally:
        made.close()


async def sent(url: str, deadline: float = 5.0, **more: Any) -> Reply | NotSent | NoAnswer:
    async with channel(url) as made:
        return await made.send(MAIL, deadline, **more)


async def test_taken(server: Server) -> None:
    reply = await sent(server.url)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.content) == (250, b"taken")
    (text,) = server.texts
    assert text.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.") == TEXT, "as it is, beyond the dots of the protocol"


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("greeting", "421 not now"), ("greeting", "554 no service"), ("AUTH", "535 5.7.8 wrong"), ("AUTH", "454 later"),
        ("MAIL", "530 sign in"), ("MAIL", "451 later"), ("MAIL", "552 too large"), ("RCPT", "550 5.1.1 nobody"),
        ("RCPT", "450 greylisted"), ("DATA", "451 later"), ("DATA", "554 no"), ("text", "451 4.3.0 later"),
        ("text", "550 no"), ("text", "421 going down"),
    ],
)  # fmt: skip
async def test_refusal_at_any_stage_is_a_reply(server: Server, stage: str, said: str) -> None:
    server.script = {stage: said}
    reply = await sent(server.url)
    assert isinstance(reply, Reply)
    assert f"{reply.status} {reply.content.decode()}" == said
    if stage not in ("DATA", "text"):
        assert "DATA" not in server.stages


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "AUTH", "MAIL", "RCPT"])
async def test_lost_before_the_text_is_not_sent(server: Server, stage: str) -> None:
    server.script = {stage: CLOSE}
    assert await sent(server.url) == NotSent("not-connected")
    assert server.texts == []
    server.script = {stage: HANG}
    assert await sent(server.url, 0.3) == NotSent("connect-timeout")
    assert "DATA" not in server.stages


@pytest.mark.parametrize("stage", ["DATA", "text"])
@pytest.mark.parametrize(
    ("said", "reason"),
    [(CLOSE, "cut"), (HANG, "deadline"), ("hello", "cut"), ("251 elsewhere", "cut"), ("x" * 40_000, "cut")],
)
async def test_from_data_on_without_a_clear_reply_there_is_no_answer(
    server: Server, stage: str, said: str, reason: str
) -> None:
    server.script = {stage: said}
    assert await sent(server.url, 0.6) == NoAnswer(reason)  # type: ignore[arg-type]
    assert server.stages.count("DATA") == 1, "said once and never repeated"


async def test_half_a_reply_is_no_answer(server: Server) -> None:
    async def half(stage: str, writer: asyncio.StreamWriter) -> bool:
        if stage != "text":
            return await Server._answer(server, stage, writer)
        writer.write(b"250 tak")
        return False

    server._answer = half  # type: ignore[method-assign]
    assert await sent(server.url) == NoAnswer("cut")


async def test_deadline_is_total_and_not_per_command(server: Server) -> None:
    server.pause = 0.2
    assert await sent(server.url, 0.5) == NotSent("connect-timeout")
    assert "DATA" not in server.stages
    server.pause = 0.02
    assert isinstance(await sent(server.url, 5.0), Reply)


async def test_guard_is_asked_just_before_data(server: Server) -> None:
    asked: list[str] = []

    def no() -> bool:
        asked.append(server.stages[-1])
        return False

    async with channel(server.url) as made:
        assert await made.send(MAIL, 5.0, no) == NotSent("withheld")
        assert asked == ["RCPT"]
        assert "DATA" not in server.stages
        assert isinstance(await made.send(MAIL, 5.0, lambda: True), Reply), "the lane still works"
    assert (server.connections, len(server.texts)) == (1, 1)


async def test_one_connection_serves_many_mails_and_a_closed_one_is_opened_again(server: Server) -> None:
    async with channel(server.url) as made:
        for _ in range(3):
            assert isinstance(await made.send(MAIL, 5.0), Reply)
        assert (server.connections, server.stages.count("AUTH")) == (1, 1)
        server.writers[-1].close()
        await asyncio.sleep(0.05)
        assert isinstance(await made.send(MAIL, 5.0), Reply)
        server.script = {"MAIL": "421 idle too long"}
        assert isinstance(first := await made.send(MAIL, 5.0), Reply)
        assert first.status == 421
        assert server.connections == 3, "tried once more, on a fresh connection"
        server.script = {}
        assert isinstance(await made.send(MAIL, 5.0), Reply)
    assert len(server.texts) == 5


async def test_after_a_refusal_the_connection_serves_the_next(server: Server) -> None:
    async with channel(server.url) as made:
        server.script = {"RCPT": "550 nobody"}
        assert isinstance(await made.send(MAIL, 5.0), Reply)
        server.script = {}
        reply = await made.send(MAIL, 5.0)
        assert isinstance(reply, Reply)
        assert reply.status == 250
    assert server.connections == 1


async def test_no_server() -> None:
    assert await sent("smtp://127.0.0.1:1") == NotSent("refused")
    assert await sent("smtp://no-such-host.invalid:25") == NotSent("no-such-host")


async def test_starttls_that_is_not_offered_sends_nothing(server: Server) -> None:
    async with channel(server.url, SmtpLogin("demo-broker", SecretStr("not-a-real-password"))) as made:
        assert await made.send(MAIL, 5.0) == NotSent("tls")
    assert server.stages == ["greeting", "EHLO"], "no password, no mail"


@pytest.mark.parametrize(
    "to", ["ä@lender.example.test", "a@example.test>\r\nRCPT TO:<b@example.test", "a\x00@example.test"]
)
async def test_address_that_cannot_be_said_is_not_said(server: Server, to: str) -> None:
    async with channel(server.url) as made:
        request = Request(operation="create", method="MAIL", path="", query=(ENVELOPE[0], ("to", to)), content=TEXT)
        assert await made.send(request, 5.0) == NotSent("invalid-request")
        assert isinstance(await made.send(MAIL, 5.0), Reply)
    assert len(server.texts) == 1


async def test_what_is_no_mail_is_not_sent(server: Server) -> None:
    for request in (
        Request(operation="create", method="POST", path="/x", query=ENVELOPE),
        Request(operation="create", method="MAIL", path="", query=ENVELOPE[:1]),
    ):
        async with channel(server.url) as made:
            assert await made.send(request, 5.0) == NotSent("invalid-request")
    assert server.connections == 0


def test_live_needs_starttls() -> None:
    with pytest.raises(PlainHttpRefused):
        MailChannel("smtp://mail.example.test", "live", OPEN_LOGIN, ssl.create_default_context())
    MailChannel("smtp://mail.example.test", "live", SmtpLogin("a", SecretStr("b")), ssl.create_default_context())


@pytest.mark.parametrize(
    "url", ["smtps://mail.example.test", "https://mail.example.test", "smtp://", "mail.example.test"]
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(BadCredential):
        MailChannel(url, "test", OPEN_LOGIN, ssl.create_default_context())


async def test_nothing_secret_is_shown(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with channel(server.url) as made:
        reply = await made.send(MAIL, 5.0)
        shown = caplog.text + repr((made, OPEN_LOGIN, MAIL, reply))
    for secret in ("not-a-real-password", "lender.example.test", "first", "taken"):
        assert secret not in shown


# ---- opened for a lane


class Port:
    """What the channels ask of the partner port."""

    def tokens(self, _: str) -> MemoryTokens:
        return MemoryTokens()


def channels() -> Channels:
    return Channels(cast(PartnerPort, Port()), 2)


def credential(url: str, partner: str = "email-lender", mode: str = "test", **auth: str) -> Credential:
    given = {"scheme": "smtp", "username": "demo-broker", "password": "not-a-real-password"} | auth
    return Credential.model_validate(
        {"id": "demo-mail", "tenant": "demo", "partner": partner, "mode": mode, "baseUrl": url, "auth": given}
    )


async def test_a_credential_with_a_mail_address_gets_a_mail_channel(server: Server) -> None:
    lanes, known = channels(), credential(server.url, starttls="false")
    first = lanes.open(0, known)
    assert isinstance(first, MailChannel)
    assert lanes.open(0, known) is first
    assert lanes.open(1, known) is not first, "one connection for each lane"
    assert isinstance(await first.send(MAIL, 5.0), Reply)
    second = lanes.open(0, credential(server.url, starttls="false"))
    assert second is not first
    await asyncio.sleep(0.05)
    assert server.writers[0].transport.is_closing(), "the old credential's connection is closed"
    api = credential("https://api.example.test", "forward-financing", scheme="api-key", key="not-a-real-key")
    assert isinstance(lanes.open(0, api), RestChannel)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (credential("https://mail.example.test"), BadCredential),
        (credential("smtp://mail.example.test", scheme="api-key"), BadCredential),
        (credential("smtp://mail.example.test", "forward-financing", scheme="api-key", key="x"), BadCredential),
        (credential("smtp://mail.example.test", caFile="/nowhere/ca.pem"), BadCredential),
        (credential("smtp://mail.example.test", mode="live", starttls="false"), PlainHttpRefused),
    ],
)
async def test_credential_that_does_not_fit_is_refused(bad: Credential, error: type[Exception]) -> None:
    with pytest.raises(error) as told:
        channels().open(0, bad)
    assert "not-a-real" not in str(told.value)


class Box:
    """aiosmtpd's handler."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert session.ssl is not None
        assert session.authenticated
        self.mails.append(envelope.original_content or b"")
        return "250 taken"


async def test_starttls_is_verified_by_the_authorities_of_the_credential(tmp_path: Path) -> None:
    box, context, loop = Box(), certificate(tmp_path), asyncio.get_running_loop()
    (tmp_path / "garbage.pem").write_text("no certificate")

    def talk() -> SMTP:
        allowed: Any = lambda *_: AuthResult(success=True)  # noqa: E731
        return SMTP(box, hostname="localhost", tls_context=context, require_starttls=True, authenticator=allowed)

    listener = await loop.create_server(talk, "127.0.0.1", 0)
    url = f"smtp://localhost:{listener.sockets[0].getsockname()[1]}"
    try:
        trusting = channels().open(0, credential(url, mode="live", caFile=str(tmp_path / "smtp.pem")))
        reply = await trusting.send(MAIL, 5.0)
        assert isinstance(reply, Reply)
        assert reply.status == 250
        assert box.mails == [TEXT]
        assert await channels().open(0, credential(url, mode="live")).send(MAIL, 5.0) == NotSent("tls")
        with pytest.raises(BadCredential):
            channels().open(0, credential(url, caFile=str(tmp_path / "garbage.pem")))
        assert len(box.mails) == 1
        cast(MailChannel, trusting).close()
    finally:
        listener.close()
