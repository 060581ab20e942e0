"""Forward Financing, both revisions."""

from __future__ import annotations

from typing import Any

from tests.partners.rehearsals import Rehearsal, Settings, json_without


def _key(key: str) -> Settings:
    return {"scheme": "api-key", "key": key}


def _oauth(url: str, username: str = "partner@example.test", password: str = "fake-password") -> Settings:
    token_url = f"{url}/forward-financing/application/o/token/"
    return {"scheme": "oauth-password", "tokenUrl": token_url, "username": username, "password": password}


def _user(name: str, vocabulary: str, **more: Any) -> dict[str, Any]:
    settings = {"vocabulary": vocabulary, "decisionDelayMs": 0} | more.pop("settings", {})
    return {"partner": "forward-financing", "user": name, "settings": settings} | more


def _current(name: str, username: str, **settings: Any) -> dict[str, Any]:
    return _user(name, "current", oauth={"username": username, "password": "fake-password"}, settings=settings)


_OPERATIONS = {"create": "lead", "document": "attachment", "read": "deal_status", "register-webhook": "webhook"}
_AMOUNTS = {"approve": "50000", "decline": "50001", "missing": "50002"}
_SPOIL = json_without("lead", "contacts_attributes", 0, "current_address_attributes")

REHEARSALS = (
    Rehearsal(
        name="forward-financing-classic",
        partner_name="forward-financing",
        path="/forward-financing/v1",
        users=(
            _user("classic", "classic", apiKey="fake-classic-key"),
            _user("slow", "classic", apiKey="fake-slow-key", rateLimit={"requests": 1, "seconds": 1}),
        ),
        auth=lambda url: _key("fake-classic-key"),
        wrong_auth=lambda url: _key("fake-wrong-key"),
        limited=lambda url: _key("fake-slow-key"),
        options={"revision": "classic"},
        operations=_OPERATIONS,
        amounts=_AMOUNTS,
        spoil=_SPOIL,
        spoilt_at=frozenset({"/owners"}),
        lenient=frozenset(
            {"/business/entityType", "/business/industry", "/business/phone", "/business/startDate", "/owners/0/ssn"}
        ),
    ),
    Rehearsal(
        name="forward-financing-current",
        partner_name="forward-financing",
        path="/forward-financing/v1",
        users=(
            _current("current", "partner@example.test"),
            _current("short", "short@example.test", tokenSeconds=1),
        ),
        auth=_oauth,
        wrong_auth=lambda url: _oauth(url, password="fake-wrong-password"),
        short_lived=lambda url: _oauth(url, "short@example.test"),
        options={"revision": "current", "attachments": "base64"},
        operations=_OPERATIONS,
        amounts=_AMOUNTS,
        spoil=_SPOIL,
        spoilt_at=frozenset({"/owners"}),
    ),
)
