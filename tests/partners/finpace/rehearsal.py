"""Finpace, for a user whose applications are decided at once: its later decisions come by webhook only."""

from __future__ import annotations

import copy
from typing import Any

from tests.partners.rehearsals import FULL, Rehearsal, Settings, json_without

SECRET = "fake-finpace-secret"


def _oauth(url: str, client_id: str = "at-once-client", secret: str = SECRET) -> Settings:
    token_url = f"{url}/finpace/oauth/token"
    return {"scheme": "oauth-client", "tokenUrl": token_url, "clientId": client_id, "clientSecret": secret}


def _user(name: str, **settings: Any) -> dict[str, Any]:
    settings = {"clientId": f"{name}-client", "clientSecret": SECRET, "decideAtOnce": True} | settings
    return {"partner": "finpace", "user": name, "settings": settings}


def application(amount: str, mark: str) -> dict[str, Any]:
    """For running costs, the only facility whose name is published."""
    data = copy.deepcopy(FULL)
    data["requestedFinance"] |= {"purpose": "working-capital", "amount": {"amount": amount, "currency": "EUR"}}
    return data


REHEARSALS = (
    Rehearsal(
        name="finpace",
        partner_name="finpace",
        path="/finpace/v1",
        users=(
            _user("at-once"),
            _user("short", tokenSeconds=1),
            _user("later", decideAtOnce=False, decisionDelayMs=0),
            _user("forgetful", keySeconds=0.6),
        ),
        auth=_oauth,
        wrong_auth=lambda url: _oauth(url, secret="fake-wrong-secret"),
        short_lived=lambda url: _oauth(url, "short-client"),
        operations={
            "party": "parties",
            "draft": "sme-loan-applications",
            "create": "submit",
            "register-webhook": "webhook-subscriptions",
        },
        application=application,
        amounts={"approve": "50000", "decline": "50001", "refer": "50005"},
        spoil=json_without("displayName"),
        spoilt_at=frozenset({"/business/tradingName"}),
        missing={"/requestedFinance/purpose": json_without("facilityType")},
    ),
)
