"""How a channel proves who calls: a fixed key in a header, or a token that is fetched, kept and renewed.

Secrets are `SecretStr`; they leave it in the one line that writes the header.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol
from urllib.parse import urlencode

from pydantic import SecretStr

from lendrail.partners.exchange import Reply, Request
from lendrail.partners.reading import decimal, json_object

RENEW_BEFORE_SECONDS = 60.0
_DEFAULT_LIFE_SECONDS = 300.0

AuthFailure = Literal["credential-refused", "token-unavailable"]
Fetch = Callable[[str, Request], Awaitable[Reply | None]]
"""(address, request) → reply; None when there was none. Given by the channel, so limits and rate apply to it."""


class AuthFailed(Exception):
    """No header to call with; so the call itself was not sent."""

    def __init__(self, reason: AuthFailure) -> None:
        super().__init__(reason)
        self.reason: AuthFailure = reason


class Auth(Protocol):
    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it sends secrets besides the partner's base address."""

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        """Headers for the next call. Raises `AuthFailed`."""

    async def renew(self, refused: Mapping[str, str], fetch: Fetch) -> Mapping[str, str] | None:
        """Other headers after a 401 for `refused`; None where there are none. Raises `AuthFailed`."""

    def sign(self, request: Request) -> Request:
        """The request as it is sent, for partners that want to be told inside it who calls."""


class Plain:
    """What most schemes have in common: nothing to fetch, nothing to renew, requests as they are."""

    @property
    def addresses(self) -> tuple[str, ...]:
        return ()

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        return {}

    async def renew(self, refused: Mapping[str, str], fetch: Fetch) -> Mapping[str, str] | None:
        return None

    def sign(self, request: Request) -> Request:
        return request


@dataclass(frozen=True)
class ApiKey(Plain):
    """A fixed key. `header` may hold an underscore (Forward Financing's does): proxies on the way must let it pass."""

    header: str
    key: SecretStr

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        return {self.header: self.key.get_secret_value()}


@dataclass(frozen=True)
class Parameter(Plain):
    """An id of ours that the partner wants among the parameters of each call: in the query of a GET, else in the JSON
    object of the body. It is the whole credential, so it is added at the last moment like any other secret.
    """

    name: str
    value: SecretStr

    def sign(self, request: Request) -> Request:
        secret = self.value.get_secret_value()
        if request.method == "GET":
            return replace(request, query=(*request.query, (self.name, secret)))
        body = {self.name: secret} | json.loads(request.content)
        return replace(request, content=json.dumps(body, separators=(",", ":")).encode())


@dataclass(frozen=True)
class SignedKey(Plain):
    """A key and its HMAC-SHA256 under a secret, in base64. The signature covers the key alone, so it never changes and
    is as secret as a password.
    """

    id_header: str
    signature_header: str
    uuid: str
    key: SecretStr
    secret: SecretStr = field(repr=False)

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        digest = hmac.digest(self.secret.get_secret_value().encode(), self.key.get_secret_value().encode(), "sha256")
        return {self.id_header: self.uuid, self.signature_header: base64.b64encode(digest).decode()}


class TokenStore(Protocol):
    """Where the token of one credential is kept; shared by every worker that uses the credential."""

    async def get(self) -> tuple[SecretStr, float] | None:
        """The token and when it expires, in seconds since the epoch."""

    async def set(self, token: SecretStr, expires_at: float) -> None: ...

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Held while one caller fetches, so that the others wait for its token instead of fetching theirs."""


class MemoryTokens:
    """The token store of one process."""

    def __init__(self) -> None:
        self._token: tuple[SecretStr, float] | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> tuple[SecretStr, float] | None:
        return self._token

    async def set(self, token: SecretStr, expires_at: float) -> None:
        self._token = token, expires_at

    def lock(self) -> AbstractAsyncContextManager[object]:
        return self._lock


@dataclass(frozen=True)
class OAuth(Plain):
    """OAuth 2.0 (RFC 6749): a bearer token for what `asks` holds. Renewed 60 s before expiry, and once after a 401."""

    token_url: str
    asks: Mapping[str, str] = field(repr=False)
    """The parameters of the token request, secrets included."""
    store: TokenStore
    as_json: bool = False
    """Send them as a JSON object instead of a form; some partners want it so."""
    header: str = "authorization"
    clock: Callable[[], float] = time.time

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.token_url,)

    async def headers(self, fetch: Fetch) -> Mapping[str, str]:
        return await self._headers(None, fetch)

    async def renew(self, refused: Mapping[str, str], fetch: Fetch) -> Mapping[str, str]:
        return await self._headers(refused, fetch)

    async def _headers(self, refused: Mapping[str, str] | None, fetch: Fetch) -> Mapping[str, str]:
        """The kept token where it is fresh and not the refused one, else a new one that only one caller fetches."""
        if (kept := self._usable(await self.store.get(), refused)) is not None:
            return kept
        async with self.store.lock():
            if (kept := self._usable(await self.store.get(), refused)) is not None:
                return kept
            token, life = await self._fetch(fetch)
            await self.store.set(token, self.clock() + life)
            return self._bearer(token)

    def _usable(
        self, kept: tuple[SecretStr, float] | None, refused: Mapping[str, str] | None
    ) -> Mapping[str, str] | None:
        if kept is None or kept[1] - RENEW_BEFORE_SECONDS <= self.clock():
            return None
        headers = self._bearer(kept[0])
        return None if headers == refused else headers

    async def _fetch(self, fetch: Fetch) -> tuple[SecretStr, float]:
        kind = "application/json" if self.as_json else "application/x-www-form-urlencoded"
        text = json.dumps(dict(self.asks)) if self.as_json else urlencode(self.asks)
        headers = (("content-type", kind), ("accept", "application/json"))
        request = Request(operation="token", method="POST", path="", headers=headers, content=text.encode("ascii"))
        reply = await fetch(self.token_url, request)
        body = json_object(reply.content) if reply else None
        if reply and body and reply.status == 200:
            token, kind = body.get("access_token"), body.get("token_type", "bearer")
            if isinstance(token, str) and token.isascii() and token.isprintable() and str(kind).lower() == "bearer":
                return SecretStr(token), float(decimal(body.get("expires_in")) or _DEFAULT_LIFE_SECONDS)
        refused = reply is not None and (
            reply.status in (401, 403)
            or (reply.status == 400 and (body or {}).get("error") in ("invalid_grant", "invalid_client"))
        )
        raise AuthFailed("credential-refused" if refused else "token-unavailable")

    def _bearer(self, token: SecretStr) -> Mapping[str, str]:
        return {self.header: f"Bearer {token.get_secret_value()}"}


Settings = Mapping[str, SecretStr]
AuthScheme = Callable[[Settings, TokenStore], Auth]
"""(values of the credentials file, where a token is kept) → what the channel asks. KeyError: a value is missing."""


def api_key(header: str) -> AuthScheme:
    """`key`."""
    return lambda given, _: ApiKey(header, given["key"])


def bearer() -> AuthScheme:
    """`token`, a fixed one."""
    return lambda given, _: ApiKey("authorization", SecretStr(f"Bearer {given['token'].get_secret_value()}"))


def parameter(name: str) -> AuthScheme:
    """`value`."""
    return lambda given, _: Parameter(name, given["value"])


def signed_key(id_header: str, signature_header: str) -> AuthScheme:
    """`uuid`, `key`, `secret`."""
    return lambda given, _: SignedKey(
        id_header, signature_header, given["uuid"].get_secret_value(), given["key"], given["secret"]
    )


def oauth_password(client_id: str, scope: str) -> AuthScheme:
    """Password grant (RFC 6749, 4.3): `tokenUrl`, `username`, `password`."""

    def scheme(given: Settings, tokens: TokenStore) -> Auth:
        asks = {"grant_type": "password", "client_id": client_id, "username": _text(given, "username")}
        asks |= {"password": _text(given, "password"), "scope": scope}
        return OAuth(_text(given, "tokenUrl"), asks, tokens)

    return scheme


def oauth_client(*, as_json: bool = False) -> AuthScheme:
    """Client credentials (RFC 6749, 4.4): `tokenUrl`, `clientId`, `clientSecret`, and where the partner wants them
    `audience`, `scope`, and `header`, the name of the header that carries the token.
    """

    def scheme(given: Settings, tokens: TokenStore) -> Auth:
        asks = {"grant_type": "client_credentials", "client_id": _text(given, "clientId")}
        asks["client_secret"] = _text(given, "clientSecret")
        asks |= {name: _text(given, name) for name in ("audience", "scope") if name in given}
        header = _text(given, "header").lower() if "header" in given else "authorization"
        return OAuth(_text(given, "tokenUrl"), asks, tokens, as_json, header)

    return scheme


def _text(given: Settings, name: str) -> str:
    return given[name].get_secret_value()
