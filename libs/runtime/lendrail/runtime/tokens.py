"""Who is calling: OAuth 2.0 bearer tokens (RFC 6750, JWT by RFC 9068), and short tokens between our own services."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OctKey

from lendrail.contracts.terms import Mode

ALGORITHMS = ["ES256"]
AUDIENCE = "lendrail"
SERVICE_AUDIENCE = "lendrail-services"
REMEMBER = 2048


class Unauthorised(Exception):
    """No token, or none that we accept. Callers see one uniform answer; the log sees the reason code."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom the token speaks for. The tenant comes from here and from nowhere else."""

    tenant_id: str
    client_id: str
    mode: Mode
    scopes: frozenset[str]


class Verifier:
    """Checks access tokens against the issuer's published keys, and remembers good ones until they expire."""

    def __init__(self, issuer: str, keys: Callable[[], Awaitable[KeySet]]) -> None:
        self._issuer, self._keys = issuer, keys
        self._good: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    async def caller(self, authorization: str | None) -> Caller:
        """Raises `Unauthorised`."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.isascii() or not token:
            raise Unauthorised("no bearer token")
        digest = hashlib.sha256(token.encode()).digest()
        known = self._good.get(digest)
        if known is not None and known[0] > time.time():
            return known[1]
        expires, caller = self._read(token, await self._keys())
        self._good[digest] = (expires, caller)
        while len(self._good) > REMEMBER:
            self._good.popitem(last=False)
        return caller

    def _read(self, token: str, keys: KeySet) -> tuple[float, Caller]:
        claims = _claims(token, keys, ALGORITHMS)
        if claims.get("iss") != self._issuer or claims.get("aud") != AUDIENCE:
            raise Unauthorised("issuer or audience")
        try:
            mode: Mode = "live" if claims["mode"] == "live" else "test"
            scopes = frozenset(str(claims["scope"]).split())
            return float(claims["exp"]), Caller(str(claims["tenant"]), str(claims["client_id"]), mode, scopes)
        except (KeyError, ValueError, TypeError):
            raise Unauthorised("claims") from None


def _claims(token: str, key: Any, algorithms: list[str]) -> dict[str, Any]:
    """The claims of a token whose signature and times are right."""
    try:
        claims: dict[str, Any] = jwt.decode(token, key, algorithms=algorithms).claims
    except (JoseError, ValueError, TypeError, KeyError):
        raise Unauthorised("signature") from None
    now = time.time()
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    if not isinstance(expires, int | float) or not isinstance(begins, int | float):
        raise Unauthorised("times")
    if not begins - 60 <= now < expires:
        raise Unauthorised("expired")
    return claims


class PublishedKeys:
    """The issuer's key set (RFC 7517), fetched when it is first needed and again every ten minutes."""

    def __init__(self, url: str, client: httpx.AsyncClient, seconds: float = 600) -> None:
        self._url, self._client, self._seconds = url, client, seconds
        self._keys: KeySet | None = None
        self._fetched = 0.0

    async def __call__(self) -> KeySet:
        """Raises `Unauthorised` while the issuer cannot be reached and no keys are known."""
        if self._keys is None or time.monotonic() - self._fetched > self._seconds:
            try:
                reply = await self._client.get(self._url, timeout=5)
                self._keys = KeySet.import_key_set(reply.json())
                self._fetched = time.monotonic()
            except (httpx.HTTPError, JoseError, ValueError):
                if self._keys is None:
                    raise Unauthorised("the issuer cannot be reached") from None
        return self._keys


class ServiceTokens:
    """Tokens of one minute by which our services know one another (HMAC with a mounted key)."""

    def __init__(self, key: bytes, service: str) -> None:
        self._key, self._service = OctKey.import_key(key), service

    def header(self) -> dict[str, str]:
        now = int(time.time())
        claims = {"aud": SERVICE_AUDIENCE, "sub": self._service, "nbf": now, "exp": now + 60}
        return {"Authorization": f"Bearer {jwt.encode({'alg': 'HS256'}, claims, self._key)}"}

    def service(self, authorization: str | None) -> str:
        """The service that calls. Raises `Unauthorised`."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorised("no bearer token")
        claims = _claims(token, self._key, ["HS256"])
        if claims.get("aud") != SERVICE_AUDIENCE:
            raise Unauthorised("audience")
        return str(claims.get("sub", ""))
