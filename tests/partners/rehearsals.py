"""What the conformance suite must know of each partner; a partner adds a module here beside its cases, not tests."""

from __future__ import annotations

import copy
import datetime as dt
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import httpx
from pydantic import SecretStr

from lendrail.contracts.application import Application
from lendrail.contracts.terms import Mode, Status
from lendrail.partners import PARTNERS
from lendrail.partners.channels.access import auth_of
from lendrail.partners.channels.auth import MemoryTokens, TokenStore
from lendrail.partners.channels.rest import RestChannel, lane_client
from lendrail.partners.exchange import File, NoAnswer, NotSent, Reply, Request
from lendrail.partners.partner import Order, Partner

FULL: dict[str, Any] = json.loads((files("lendrail.contracts") / "examples/application.json").read_text())
PLANNED_AT = dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
Settings = dict[str, str]
EVERY_FAULT = frozenset({"status", "html", "truncated", "empty_422", "redirect", "drop_reply", "refuse", "delay"})


class Channel(Protocol):
    async def send(
        self, request: Request, deadline: float, guard: Callable[[], bool] | None = None
    ) -> Reply | NotSent | NoAnswer: ...


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


def us_application(amount: str, mark: str) -> dict[str, Any]:
    """The full example, for partners in the United States."""
    data = copy.deepcopy(FULL)
    data["requestedFinance"]["amount"]["amount"] = amount
    return data


def same(reference: str, data: dict[str, Any]) -> str:
    return reference


@dataclass(frozen=True)
class Rehearsal:
    """A partner under one set of options, as the sandbox plays it."""

    name: str
    partner_name: str
    path: str
    """Of its base address, below the sandbox's."""
    users: tuple[dict[str, Any], ...]
    """Of the sandbox; decisions fall at once."""
    auth: Callable[[str], Settings]
    """(sandbox's address) → how to sign in, as in the credentials file."""
    wrong_auth: Callable[[str], Settings]
    operations: Mapping[str, str]
    """The sandbox's name of each operation that our requests carry."""
    spoil: Callable[[Request], Request]
    """Takes something from the first request of a creation that the partner must miss."""
    spoilt_at: frozenset[str]
    """Where the applicant can mend that."""
    missing: Mapping[str, Callable[[Request], Request]] = field(default_factory=dict)
    """By required pointer: takes what comes of it out of a sound request, where none is made without it."""
    lenient: frozenset[str] = frozenset()
    """Required pointers that this form of the partner's interface does not insist on: we do, for its other ones."""
    options: dict[str, Any] = field(default_factory=dict)
    application: Callable[[str, str], dict[str, Any]] = us_application
    """(amount, a word that no other application has) → an application that the partner can take."""
    ledger_reference: Callable[[str, dict[str, Any]], str] = same
    """(our reference, the application) → what the partner's ledger files it under."""
    amounts: Mapping[str, str] = field(default_factory=lambda: {"approve": "50000", "decline": "50001"})
    """Amounts that decide (approve, decline, missing, refer), where the partner decides by them."""
    best: Status = Status.APPROVED
    """The best that its published words can say of a sound application."""
    published_reasons: bool = True
    """Whether it publishes why it declines."""
    unknown_word: bool = True
    """Whether its status can be made a word that nobody knows."""
    faults: frozenset[str] = EVERY_FAULT
    """Dials that can trouble its answers."""
    names_wait: bool = True
    """Whether a refusal for now can say for how long."""
    duplicate_ids: bool = False
    """Whether a clean repeat takes it a second time (class E only)."""
    short_lived: Callable[[str], Settings] | None = None
    """A user whose tokens end after a second."""
    limited: Callable[[str], Settings] | None = None
    """A user with a rate limit of one call a second."""
    webhook_secret: str = "fake-webhook-secret"

    @property
    def partner(self) -> Partner:
        return PARTNERS[self.partner_name]

    def order(self, reference: str, data: dict[str, Any], documents: tuple[File, ...] = ()) -> Order:
        application = Application.model_validate(data)
        assert self.partner.check(application, self.options) == []
        return Order(
            application=application,
            reference=reference,
            options=self.options,
            planned_at=PLANNED_AT,
            documents=documents,
        )

    @asynccontextmanager
    async def channel(
        self,
        url: str,
        auth: Settings | None = None,
        mode: Mode = "test",
        verify: ssl.SSLContext | bool = True,
        tokens: TokenStore | None = None,
    ) -> AsyncIterator[Channel]:
        settings = {name: SecretStr(value) for name, value in (auth or self.auth(url)).items()}
        async with lane_client(verify) as client:
            made = auth_of(self.partner, settings, tokens or MemoryTokens())
            yield RestChannel(client, url + self.path, mode, made)


Opened = AbstractAsyncContextManager[Channel]


def new_reference() -> str:
    return str(uuid.uuid4())


def json_without(*path: str | int) -> Callable[[Request], Request]:
    """Takes the value at `path` out of a JSON body; one without it stays as it is."""

    def spoil(request: Request) -> Request:
        body = json.loads(request.content)
        at = body
        for step in path[:-1]:
            at = at[step]
        if isinstance(at, dict) and path[-1] not in at:
            return request
        del at[path[-1]]
        return _with_content(request, json.dumps(body).encode())

    return spoil


def _with_content(request: Request, content: bytes) -> Request:
    return Request(**{**vars(request), "content": content})
