"""The embedded issuer of access tokens: OAuth 2.0 client credentials (RFC 6749, section 4.4), tokens as in RFC 9068.

For development and small installations; any other OIDC issuer that puts `tenant`, `client_id` and `mode` into its
tokens takes its place through `LENDRAIL_JWKS_URL`.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from fastapi import FastAPI, Request, Response
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from lendrail.runtime.directory import Client, Mounted, Tenant, Tenants
from lendrail.runtime.http import reply
from lendrail.runtime.tokens import AUDIENCE

LIFETIME_SECONDS = 3600
SCOPES = {
    "applications:write": "Send applications, change them and withdraw them.",
    "applications:read": "Read applications, their offers and their timeline.",
    "applications:erase": "Erase applications for good.",
    "offers:accept": "Accept offers, and get the links by which some partners have them accepted.",
    "endpoints:write": "Register where notices go, and see what was delivered.",
    "operator": "Look at attempts that wait for a person, and decide them; pause and resume partners.",
    "approver": "Let live applications through a credential, and take that back.",
    "platform": "Pause and resume partners for all tenants.",
}
_NOBODY = Client(client_id="", secret_sha256="0" * 64, scopes=())
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class Refused(Exception):
    """An error answer of the token endpoint (RFC 6749, section 5.2)."""

    def __init__(self, error: str, description: str, status: int = 400, *, basic: bool = False) -> None:
        super().__init__(error)
        self.error, self.description, self.status, self.basic = error, description, status, basic

    def response(self) -> Response:
        challenge = {"WWW-Authenticate": 'Basic realm="lendrail"'} if self.basic else {}
        body = {"error": self.error, "error_description": self.description}
        return reply(body, self.status, _NO_STORE | challenge)


class Issuer:
    """Knows the signing key and the clients of all tenants."""

    def __init__(self, key_file: Path, issuer: str, tenants: Mounted[Tenants]) -> None:
        """Raises ValueError when the file holds no private key for ES256."""
        self.key = ECKey.import_key(json.loads(key_file.read_text()))
        if not self.key.is_private or self.key.curve_name != "P-256":
            raise ValueError(f"{key_file.name} must hold a private JWK of the curve P-256")
        self.key.ensure_kid()
        self._issuer, self._tenants = issuer, tenants

    async def keys(self) -> KeySet:
        """The key set against which the gateway itself checks tokens."""
        return KeySet([self.key])

    def published(self) -> dict[str, Any]:
        public = self.key.as_dict(private=False)
        return {"keys": [{**public, "kid": self.key.kid, "use": "sig", "alg": "ES256"}]}

    def metadata(self) -> dict[str, Any]:
        """Authorization server metadata (RFC 8414)."""
        return {
            "issuer": self._issuer,
            "token_endpoint": f"{self._issuer}/oauth/token",
            "jwks_uri": f"{self._issuer}/.well-known/jwks.json",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "scopes_supported": list(SCOPES),
        }

    def token(self, form: dict[str, str], authorization: str | None) -> dict[str, Any]:
        """The answer to a token request. Raises `Refused`."""
        tenant, client = self._client(form, authorization)
        if not form.get("grant_type"):
            raise Refused("invalid_request", "grant_type is required")
        if form["grant_type"] != "client_credentials":
            raise Refused("unsupported_grant_type", "only client_credentials is supported")
        scopes = form["scope"].split() if form.get("scope") else list(client.scopes)
        if not set(scopes) <= set(client.scopes):
            raise Refused("invalid_scope", "the client may not have one of these scopes")
        signed = jwt.encode(
            {"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid}, self._claims(tenant, client, scopes), self.key
        )
        return {
            "access_token": signed,
            "token_type": "Bearer",
            "expires_in": LIFETIME_SECONDS,
            "scope": " ".join(scopes),
        }

    def _claims(self, tenant: Tenant, client: Client, scopes: Sequence[str]) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": client.client_id,
            "client_id": client.client_id,
            "tenant": tenant.id,
            "mode": tenant.mode,
            "scope": " ".join(scopes),
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME_SECONDS,
            "jti": str(uuid.uuid4()),
        }

    def _client(self, form: dict[str, str], authorization: str | None) -> tuple[Tenant, Client]:
        """Who asks. An unknown client takes the same path as a wrong secret."""
        client_id, secret = _basic(authorization) if authorization else (form.get("client_id"), None)
        if authorization and "client_secret" in form:
            raise Refused("invalid_request", "authenticate in one way only")
        if not authorization:
            secret = form.get("client_secret")
        found = self._tenants.current.by_client.get(client_id or "")
        accepted = (found[1] if found else _NOBODY).accepts(secret or "")
        if found is None or not accepted:
            raise Refused("invalid_client", "unknown client or wrong secret", 401, basic=authorization is not None)
        return found


def _basic(authorization: str) -> tuple[str, str]:
    """Client id and secret from HTTP Basic; both are form-encoded inside (RFC 6749, section 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        name, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        colon = ""
    if not colon:
        raise Refused("invalid_client", "the Authorization header is not HTTP Basic", 401, basic=True)
    return unquote_plus(name), unquote_plus(secret)


def read_form(content_type: str, body: bytes) -> dict[str, str]:
    """The parameters of a token request. Raises `Refused`."""
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Refused("invalid_request", "send a form (application/x-www-form-urlencoded)")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=20)
    except ValueError:
        raise Refused("invalid_request", "the form cannot be read") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise Refused("invalid_request", "a parameter is given twice")
    return form


def install(app: FastAPI, issuer: Issuer) -> None:
    """The routes of the issuer."""

    @app.post("/oauth/token")
    async def token(request: Request) -> Response:
        try:
            form = read_form(request.headers.get("content-type", ""), await request.body())
            return reply(issuer.token(form, request.headers.get("authorization")), headers=_NO_STORE)
        except Refused as refused:
            return refused.response()

    @app.get("/.well-known/jwks.json")
    async def jwks() -> Response:
        return reply(issuer.published(), headers={"Cache-Control": "max-age=300"})

    @app.get("/.well-known/oauth-authorization-server")
    async def metadata() -> Response:
        return reply(issuer.metadata(), headers={"Cache-Control": "max-age=300"})
