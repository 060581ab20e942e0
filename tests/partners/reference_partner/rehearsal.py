"""The reference partner, signed in to by client credentials and by a fixed token."""

from __future__ import annotations

from typing import Any

from tests.partners.rehearsals import Rehearsal, Settings, json_without

SECRET = "fake-reference-secret"
TOKEN = "fake-reference-token"
JUDGED = "fake-judged-token"
"""Of a user for whom no dial makes the partner break its own rules."""
WEBHOOK_SECRET = "whsec_ZmFrZS13ZWJob29rLXNlY3JldC1vZi1yZWZlcmVuY2U="


def _oauth(url: str, client_id: str = "main-client", secret: str = SECRET) -> Settings:
    token_url = f"{url}/reference-partner/oauth/token"
    return {"scheme": "oauth-client", "tokenUrl": token_url, "clientId": client_id, "clientSecret": secret}


def bearer(token: str) -> Settings:
    return {"scheme": "bearer", "token": token}


def _user(name: str, **settings: Any) -> dict[str, Any]:
    settings = {"clientId": f"{name}-client", "clientSecret": SECRET, "decisionDelayMs": 0} | settings
    return {"partner": "reference-partner", "user": name, "settings": settings}


def _holder(name: str, token: str) -> dict[str, Any]:
    return {"partner": "reference-partner", "user": name, "apiKey": token, "settings": {"decisionDelayMs": 0}}


_COMMON: dict[str, Any] = {
    "partner_name": "reference-partner",
    "path": "/reference-partner/v1",
    "operations": {
        "create": "create",
        "read": "read",
        "index": "index",
        "search": "index",
        "update": "update",
        "document": "document",
        "accept": "accept",
        "register-webhook": "webhook",
    },
    "amounts": {"approve": "50000", "decline": "50001", "missing": "50002", "refer": "50005"},
    "spoil": json_without("business", "legalName"),
    "spoilt_at": frozenset({"/business/legalName"}),
    "webhook_secret": WEBHOOK_SECRET,
}

REHEARSALS = (
    Rehearsal(
        name="reference-partner",
        users=(_user("main"), _user("short", tokenSeconds=1), _user("insisting", webhookRetrySeconds=[0.05, 0.1, 1.1])),
        auth=_oauth,
        wrong_auth=lambda url: _oauth(url, secret="fake-wrong-secret"),
        short_lived=lambda url: _oauth(url, "short-client"),
        **_COMMON,
    ),
    Rehearsal(
        name="reference-partner-token",
        users=(
            _holder("token", TOKEN),
            _holder("judged", JUDGED),
            {
                "partner": "reference-partner",
                "user": "slow",
                "apiKey": "fake-slow-token",
                "rateLimit": {"requests": 1, "seconds": 1},
            },
        ),
        auth=lambda url: bearer(TOKEN),
        wrong_auth=lambda url: bearer("fake-wrong-token"),
        limited=lambda url: bearer("fake-slow-token"),
        **_COMMON,
    ),
)
