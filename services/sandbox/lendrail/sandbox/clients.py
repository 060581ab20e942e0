"""Who may call a simulated partner that speaks OAuth 2.0 client credentials (RFC 6749, 4.4) or takes a fixed bearer
token, the user's `apiKey`."""

import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qsl

from pydantic import Field, SecretStr

from lendrail.sandbox import tokens
from lendrail.sandbox.desk import Answer, Call
from lendrail.sandbox.settings import Model, User


class ClientSettings(Model):
    """The `settings` of a user; partners add theirs."""

    client_id: str | None = None
    client_secret: SecretStr | None = None
    token_seconds: int = Field(default=600, ge=1)


class Clients:
    """Raises ValueError for users that could never sign in."""

    def __init__(
        self,
        users: Sequence[User],
        settings: Mapping[str, ClientSettings],
        refusal: Callable[[int, str], Answer],
    ) -> None:
        self._users = {user.user: user for user in users}
        self._fixed = {user.user: user.api_key for user in users if user.api_key}
        self._ids = {each.client_id: name for name, each in settings.items() if each.client_id}
        self._secrets = {name: each.client_secret for name, each in settings.items() if each.client_secret}
        self._settings, self._refusal = settings, refusal
        if any(name not in self._fixed and name not in self._secrets for name in self._users):
            raise ValueError("a user needs a clientId with a clientSecret, an apiKey, or both")

    def sign_in(self, call: Call) -> User | Answer:
        """By the header `Authorization: Bearer …`."""
        scheme, _, token = call.request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            name = tokens.bearer(token.strip(), self._secrets, time.time()) or self._by_fixed(token.strip())
            if name:
                return self._users[name]
        return self._refusal(401, "the bearer token is missing, wrong or expired")

    def _by_fixed(self, token: str) -> str | None:
        known = (name for name, key in self._fixed.items() if _same(key, token))
        return next(known, None)

    def by_secret(self, call: Call) -> User | Answer:
        """The token request as a form; its errors are those of RFC 6749 section 5.2."""
        try:
            form = dict(parse_qsl(call.body.decode(), strict_parsing=True))
        except ValueError:
            return Answer(400, {"error": "invalid_request"})
        if form.get("grant_type") != "client_credentials":
            return Answer(400, {"error": "unsupported_grant_type"})
        name = self._ids.get(form.get("client_id", ""))
        if name is None or not _same(self._secrets[name], form.get("client_secret", "")):
            return Answer(401, {"error": "invalid_client"})
        return self._users[name]

    async def token(self, call: Call) -> Answer:
        """After `by_secret` let the call in."""
        name = call.user.user
        lasts = self._settings[name].token_seconds
        token = tokens.issue(name, self._secrets[name], time.time() + lasts)
        return Answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": lasts})


def _same(secret: SecretStr, given: str) -> bool:
    return hmac.compare_digest(secret.get_secret_value().encode(), given.encode())
