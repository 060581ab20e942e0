"""What the conformance suite must know of each partner; a partner adds its entries here, not tests."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from lendrail.contracts.terms import Mode
from lendrail.partners import PARTNERS
from lendrail.partners.channels.auth import ApiKey, Auth, MemoryTokens, OAuthPassword
from lendrail.partners.channels.rest import RestChannel, lane_client
from lendrail.partners.partner import Partner


@dataclass(frozen=True)
class Sandbox:
    """The running program's addresses, its dials and its ledger."""

    url: str
    tls_url: str
    certificate: Path

    def dial(self, partner: str, **dial: Any) -> None:
        httpx.post(f"{self.url}/_dials/{partner}", json=dial, trust_env=False).raise_for_status()

    def undial(self, partner: str) -> None:
        httpx.delete(f"{self.url}/_dials/{partner}", trust_env=False).raise_for_status()

    def ledger(self, partner: str, reference: str) -> dict[str, Any]:
        page = httpx.get(f"{self.url}/_ledger/{partner}", params={"reference": reference}, trust_env=False)
        page.raise_for_status()
        read: dict[str, Any] = page.json()
        return read


@dataclass(frozen=True)
class Rehearsal:
    """A partner under one set of options, as the sandbox plays it."""

    name: str
    partner_name: str
    path: str
    """Of its base address, below the sandbox's."""
    auth: Callable[[str], Auth]
    """(sandbox's address) → how to sign in."""
    wrong_auth: Callable[[str], Auth]
    options: dict[str, Any] = field(default_factory=dict)
    operations: dict[str, str] = field(default_factory=dict)
    """The sandbox's name of each of our operations."""

    @property
    def partner(self) -> Partner:
        return PARTNERS[self.partner_name]

    @asynccontextmanager
    async def channel(
        self, url: str, auth: Auth | None = None, mode: Mode = "test", verify: ssl.SSLContext | bool = True
    ) -> AsyncIterator[RestChannel]:
        async with lane_client(verify) as client:
            yield RestChannel(client, url + self.path, mode, auth or self.auth(url))


def oauth(url: str, username: str = "partner@example.test", password: str = "fake-password") -> OAuthPassword:
    token_url = f"{url}/forward-financing/application/o/token/"
    return OAuthPassword(token_url=token_url, username=username, password=SecretStr(password), store=MemoryTokens())


_FORWARD_FINANCING = {"create": "lead", "document": "attachment", "read": "deal_status", "register-webhook": "webhook"}

REHEARSALS = (
    Rehearsal(
        name="forward-financing-classic",
        partner_name="forward-financing",
        path="/forward-financing/v1",
        auth=lambda url: ApiKey("api_key", SecretStr("fake-classic-key")),
        wrong_auth=lambda url: ApiKey("api_key", SecretStr("fake-wrong-key")),
        options={"revision": "classic"},
        operations=_FORWARD_FINANCING,
    ),
    Rehearsal(
        name="forward-financing-current",
        partner_name="forward-financing",
        path="/forward-financing/v1",
        auth=oauth,
        wrong_auth=lambda url: oauth(url, password="fake-wrong-password"),
        options={"revision": "current", "attachments": "base64"},
        operations=_FORWARD_FINANCING,
    ),
)
