"""A lender by mail. Where the suite speaks plain http, the mail server is spoken to in clear; where https, STARTTLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr
from tests.partners.rehearsals import Channel, Rehearsal, Settings

from lendrail.contracts.terms import Mode
from lendrail.partners.channels.access import auth_of
from lendrail.partners.channels.auth import MemoryTokens, TokenStore
from lendrail.partners.channels.mail import SmtpLogin
from lendrail.partners.exchange import Request
from lendrail.submission.sending.mail import MailChannel

INBOX, SENDER = "applications@lender.example.test", "broker@demo.example.test"


def _login(password: str = "fake-password") -> Settings:
    return {"scheme": "smtp", "username": "demo-broker", "password": password}


def _to_nobody(request: Request) -> Request:
    """The mailbox is the one thing that a mail server looks at."""
    return replace(request, query=(("from", SENDER), ("to", "nobody@lender.example.test")))


class ByMail(Rehearsal):
    """Asks the lender's page where its mail server is."""

    @asynccontextmanager
    async def channel(
        self,
        url: str,
        auth: Settings | None = None,
        mode: Mode = "test",
        verify: ssl.SSLContext | bool = True,
        tokens: TokenStore | None = None,
    ) -> AsyncIterator[Channel]:
        tls = urlsplit(url).scheme == "https"
        given = (auth or self.auth(url)) | {"starttls": str(tls).lower()}
        login = auth_of(self.partner, {name: SecretStr(value) for name, value in given.items()}, MemoryTokens())
        assert isinstance(login, SmtpLogin)
        trust = verify if isinstance(verify, ssl.SSLContext) else ssl.create_default_context()
        channel = MailChannel(await _address(url), mode, login, trust)
        try:
            yield channel
        finally:
            channel.close()


async def _address(url: str) -> str:
    """Of the mail server; where no sandbox is, there is none either."""
    try:
        async with httpx.AsyncClient(verify=False, trust_env=False) as client:
            page: dict[str, Any] = (await client.get(f"{url}/email-lender/")).json()
    except httpx.ConnectError:
        return "smtp://127.0.0.1:1"
    return str(page["smtp"])


_BY_JSON = ByMail(
    name="email-lender-json",
    partner_name="email-lender",
    path="",
    users=(
        {
            "partner": "email-lender",
            "user": "demo",
            "settings": {"username": "demo-broker", "password": "fake-password", "inbox": INBOX},
        },
    ),
    auth=lambda url: _login(),
    wrong_auth=lambda url: _login("fake-wrong-password"),
    options={"to": INBOX, "from": SENDER},
    operations={"create": "message", "follow-up": "message"},
    amounts={"approve": "50000"},
    unknown_word=False,
    duplicate_ids=True,
    faults=frozenset({"truncated", "drop_reply", "refuse", "delay"}),
    names_wait=False,
    spoil=_to_nobody,
    spoilt_at=frozenset({""}),
)
_BY_CSV = replace(_BY_JSON, name="email-lender-csv", options=_BY_JSON.options | {"format": "csv"}, users=())
REHEARSALS = (_BY_JSON, _BY_CSV)
