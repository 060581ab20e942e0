"""Who may call: the header `api_key` of the older revision, or a bearer token of the newer one's password grant."""

import time
from collections.abc import Sequence
from typing import Literal
from urllib.parse import parse_qsl

from lendrail.sandbox import tokens
from lendrail.sandbox.desk import Answer, Call
from lendrail.sandbox.forward_financing.decide import Revision
from lendrail.sandbox.forward_financing.lead import Vocabulary
from lendrail.sandbox.settings import Model, User

CLIENT_ID = "partner-api"
"""The fixed client id of the newer revision."""


class UserSettings(Model):
    """The `settings` of a user of this partner; `revision` follows `vocabulary` when it is not given."""

    vocabulary: Vocabulary = "classic"
    revision: Literal["classic", "current"] | None = None
    decision_delay_ms: int = 1500
    token_seconds: int = 600

    @property
    def replies(self) -> Revision:
        return self.revision or self.vocabulary


class Users:
    """Raises ValueError (pydantic's ValidationError is one) for users this partner cannot serve."""

    def __init__(self, users: Sequence[User]) -> None:
        self._users = {user.user: user for user in users}
        self._keys = {user.api_key.get_secret_value().encode(): user for user in users if user.api_key}
        self._names = {user.oauth.username: user for user in users if user.oauth}
        self._passwords = {user.user: user.oauth.password for user in users if user.oauth}
        if any(user.api_key is None and user.oauth is None for user in users):
            raise ValueError("a user of Forward Financing needs an apiKey, an oauth entry, or both")
        self.settings = {user.user: UserSettings.model_validate(user.settings) for user in users}

    def sign_in(self, call: Call) -> User | Answer:
        """Header names are case-insensitive; the key's has an underscore that many proxies drop."""
        for name, value in call.request.scope["headers"]:
            if name == b"api_key":
                return self._keys.get(value, Answer(401, {"message": "Unauthorized"}))
            if name == b"authorization" and value[:7].lower() == b"bearer ":
                name = tokens.bearer(value[7:].decode("latin-1").strip(), self._passwords, time.time())
                return self._users[name] if name else Answer(401, {"message": "Unauthorized"})
        return Answer(401, {"message": "Unauthorized"})

    def by_password(self, call: Call) -> User | Answer:
        """The token request as a form; its errors are those of RFC 6749 section 5.2."""
        try:
            form = dict(parse_qsl(call.body.decode(), strict_parsing=True))
        except ValueError:
            return Answer(400, {"error": "invalid_request"})
        if form.get("grant_type") != "password":
            return Answer(400, {"error": "unsupported_grant_type"})
        if form.get("client_id") != CLIENT_ID:
            return Answer(400, {"error": "invalid_client"})
        user = self._names.get(form.get("username", ""))
        if user is None or user.oauth is None or user.oauth.password.get_secret_value() != form.get("password"):
            return Answer(400, {"error": "invalid_grant"})
        return user

    async def token(self, call: Call) -> Answer:
        """POST /application/o/token/ after the password was right."""
        lasts = self.settings[call.user.user].token_seconds
        token = tokens.issue(call.user.user, self._passwords[call.user.user], time.time() + lasts)
        return Answer(
            200, {"access_token": token, "token_type": "bearer", "expires_in": lasts, "scope": "openid email profile"}
        )
