"""Who may call: client credentials asked for in JSON, and a bearer token in `Authorization` or `Authentication`."""

import hmac
import time
from collections.abc import Sequence

from pydantic import Field, SecretStr

from lendrail.sandbox import tokens
from lendrail.sandbox.desk import Answer, Call
from lendrail.sandbox.settings import Model, User

HEADERS = ("authorization", "authentication")
"""All samples send the first one, one page of the guide names the second."""


class UserSettings(Model):
    """The `settings` of a user. `institution` is the BIC or UUID that its calls must name; without it any will do."""

    client_id: str
    client_secret: SecretStr
    audience: str = "https://audience.example.test"
    token_seconds: int = Field(default=43_200, ge=1)
    institution: str | None = None
    decision_delay_ms: int = Field(default=2500, ge=0)
    """From a registration to its matching."""
    inclusive_after: bool = False
    """Whether an event at the very time of `after` is told again; nobody says what the partner does."""
    cancellation_wrapper: str = "cancellation_batch"
    cancellation_reason: str = "cancellation_reason"
    status_request_wrapper: str = "status_request_batch"


class Users:
    """Raises ValueError (pydantic's ValidationError is one) for users this partner cannot serve."""

    def __init__(self, users: Sequence[User]) -> None:
        self._users = {user.user: user for user in users}
        self.settings = {user.user: UserSettings.model_validate(user.settings) for user in users}
        self._secrets = {name: each.client_secret for name, each in self.settings.items()}

    def sign_in(self, call: Call) -> User | Answer:
        name = tokens.bearer(_token(call), self._secrets, time.time())
        return self._users[name] if name else refusal(401, "the bearer token is missing, wrong or expired")

    def by_secret(self, call: Call) -> User | Answer:
        """The token request: a JSON object, nothing in the address."""
        try:
            asked = call.json
        except ValueError:
            asked = None
        if not isinstance(asked, dict) or call.request.url.query:
            return Answer(400, {"error": "invalid_request"})
        if asked.get("grant_type") != "client_credentials":
            return Answer(400, {"error": "unsupported_grant_type"})
        for name, known in self.settings.items():
            if known.client_id == asked.get("client_id") and known.audience == asked.get("audience"):
                given = str(asked.get("client_secret", ""))
                if hmac.compare_digest(known.client_secret.get_secret_value().encode(), given.encode()):
                    return self._users[name]
        return Answer(401, {"error": "access_denied"})

    async def token(self, call: Call) -> Answer:
        """POST /oauth/token after the secret was right."""
        lasts = self.settings[call.user.user].token_seconds
        token = tokens.issue(call.user.user, self._secrets[call.user.user], time.time() + lasts)
        return Answer(200, {"access_token": token, "expires_in": lasts, "token_type": "Bearer"})


def used_header(call: Call) -> str | None:
    """Which of the two headers brought the token."""
    return next((name for name in HEADERS if name in call.request.headers), None)


def _token(call: Call) -> str:
    scheme, _, token = call.request.headers.get(used_header(call) or "", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


CODES = {400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 409: "ILLEGAL_TRANSITION"}


def refusal(status: int, text: str) -> Answer:
    """How this partner says no (its own form is not published)."""
    return Answer(status, {"errors": [{"code": CODES.get(status, "REFUSED"), "text": text, "path": ""}]})
