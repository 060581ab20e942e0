"""The demo tenant's accounts: at every partner that the sandbox plays, how to sign in, and as whom it knows us.

One entry says all of one partner: the tenant's account, the credential's secrets, and the sandbox's user.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REGISTRY = "demo-registry"
AUDIT_MAIL = "demo-audit-mail"
REGISTER = "abn-lookup"
"""The business register, which validation asks under a credential of ours and not of a tenant."""
REGISTER_CREDENTIAL = "demo-abn"
REGISTER_PATH = "abn-lookup/AbrXmlSearch/AbrXmlSearch.asmx"
DECLARED = (
    {
        "name": "acme-lending",
        "title": "Acme Lending",
        "countries": ["AU"],
        "required": ["/business/registrations", "/financials/annualRevenue"],
        "turnaroundHours": {"submitted": 24},
    },
)
"""Partners without a line of code: they follow the published interface, and a file alone makes them known."""
Secret = Callable[[str], str]
"""Name of a secret of this stack → its value, the same whenever it is asked for."""


@dataclass(frozen=True)
class Where:
    """Addresses of the sandbox."""

    url: str
    smtp: str
    """Host and port of its mail server."""
    certificate: Path
    """Of its mail server."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """One account of the demo tenant at one partner."""

    partner: str
    credential: str
    base: Callable[[Where], str]
    auth: Callable[[Secret, Where], dict[str, str]]
    user: Callable[[Secret], dict[str, Any]]
    options: Mapping[str, str] = field(default_factory=dict)
    played_by: str = ""
    """Name of the partner in the sandbox, where it is another."""
    registry: str | None = None
    supplement: str | None = None
    rate: dict[str, int] | None = None
    webhook_secret: bool = False
    """Whether its calls are proven by a secret that both sides have."""

    @property
    def webhook_path(self) -> str:
        """Name of the secret in the address that it calls."""
        return f"{self.credential}-webhook-path"


def register_guid(secret: Secret) -> str:
    """Ours at the business register, in the form in which it gives them out."""
    return str(uuid.UUID(bytes=hashlib.sha256(secret("abn-guid").encode()).digest()[:16], version=4))


def _below(path: str) -> Callable[[Where], str]:
    return lambda where: f"{where.url}/{path}"


def _token(partner: str, **more: str) -> Callable[[Secret, Where], dict[str, str]]:
    def auth(secret: Secret, where: Where) -> dict[str, str]:
        said = {"scheme": "oauth-client", "tokenUrl": f"{where.url}/{partner}/oauth/token", "clientId": "demo"}
        return said | {"clientSecret": secret(f"{partner}-secret")} | more

    return auth


def _client(partner: str, **settings: Any) -> Callable[[Secret], dict[str, Any]]:
    return lambda secret: {"settings": {"clientId": "demo", "clientSecret": secret(f"{partner}-secret")} | settings}


def _mail(credential: str, inbox: str, registry: str | None = None) -> Account:
    def login(secret: Secret) -> dict[str, str]:
        return {"username": credential, "password": secret(f"{credential}-password")}

    return Account(
        partner="email-lender",
        credential=credential,
        base=lambda where: f"smtp://{where.smtp}",
        auth=lambda secret, where: {"scheme": "smtp", "caFile": str(where.certificate)} | login(secret),
        user=lambda secret: {"settings": {"inbox": inbox} | login(secret)},
        options={"to": inbox, "from": "applications@demo.example.test", "lenderName": "Mail Lender"},
        registry=registry,
    )


FORWARD_FINANCING = Account(
    partner="forward-financing",
    credential="demo-ff",
    base=_below("forward-financing/v1"),
    auth=lambda secret, _: {"scheme": "api-key", "key": secret("api_key")},
    user=lambda secret: {
        "apiKey": secret("api_key"),
        "oauth": {"username": "demo-user", "password": secret("oauth_password")},
        "settings": {},
    },
    options={"revision": "classic", "attachments": "raw", "vocabulary": "classic"},
    registry=REGISTRY,
    rate={"requests": 1, "seconds": 1},  # of the partner's own documentation
)
ACCOUNTS = (
    FORWARD_FINANCING,
    Account(
        partner="finpace",
        credential="demo-finpace",
        base=_below("finpace/v1"),
        auth=_token("finpace"),
        user=_client("finpace"),
        registry=REGISTRY,
        webhook_secret=True,
    ),
    Account(
        partner="soap-lender",
        credential="demo-soap",
        base=_below("soap-lender/soap11"),
        auth=lambda secret, _: {
            "scheme": "wsse",
            "username": "demo-soap",
            "password": secret("soap-lender-password"),
            "environment": "Discovery",
            "version": "1.1",
        },
        user=lambda secret: {"settings": {"password": secret("soap-lender-password")}},
        registry=REGISTRY,
        supplement=AUDIT_MAIL,
    ),
    Account(
        partner="reference-partner",
        credential="demo-reference",
        base=_below("reference-partner/v1"),
        auth=_token("reference-partner"),
        user=_client("reference-partner"),
        registry=REGISTRY,
        webhook_secret=True,
    ),
    Account(
        partner="acme-lending",
        played_by="reference-partner",
        credential="demo-acme",
        base=_below("reference-partner/v1"),
        auth=lambda secret, _: {"scheme": "bearer", "token": secret("acme-token")},
        user=lambda secret: {"apiKey": secret("acme-token")},
        options={"currency": "AUD"},
        webhook_secret=True,
    ),
    _mail("demo-mail", "applications@lender.example.test", REGISTRY),
    _mail(AUDIT_MAIL, "audit@lender.example.test"),
    Account(
        partner="monetago",
        credential=REGISTRY,
        base=_below("monetago/v1"),
        auth=_token("monetago", audience="https://audience.example.test"),
        user=_client("monetago", institution="ZZZZUSS0XXX"),
        options={"institution": "ZZZZUSS0XXX"},
    ),
    Account(
        partner="optimum-finance",
        credential="demo-optimum",
        base=_below("optimum-finance/api/v1/instant-decision"),
        auth=lambda secret, _: {"scheme": "introducer-id", "value": secret("optimum-introducer")},
        user=lambda secret: {"settings": {"introducerId": secret("optimum-introducer")}},
    ),
    Account(
        partner="valiant",
        credential="demo-valiant",
        base=_below("valiant/api/v1"),
        auth=lambda secret, _: {
            "scheme": "signed-key",
            "uuid": "00000000-0000-4000-8000-000000000001",
            "key": secret("valiant-key"),
            "secret": secret("valiant-secret"),
        },
        user=lambda secret: {
            "settings": {
                "uuid": "00000000-0000-4000-8000-000000000001",
                "key": secret("valiant-key"),
                "secret": secret("valiant-secret"),
            }
        },
    ),
)
