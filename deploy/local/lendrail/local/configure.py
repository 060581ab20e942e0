"""Keys, tenants and credentials of a local stack: one tenant `demo` in test mode with accounts at every partner.

Secrets are drawn once and kept; the files that name ports are written anew on every start.
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey, KeyParameters

from lendrail.local.accounts import (
    ACCOUNTS,
    DECLARED,
    FORWARD_FINANCING,
    REGISTER,
    REGISTER_CREDENTIAL,
    REGISTER_PATH,
    Account,
    Secret,
    Where,
    register_guid,
)
from lendrail.local.state import State, read_json, write_private

TENANT = "demo"
UPSTREAM = "demo-crm"
PARTNER = FORWARD_FINANCING.partner
CLIENT = "demo-upstream"
OPERATOR = "demo-operator"
OPERATES = ["applications:read", "applications:erase", "operator"]
SCOPES = [*OPERATES, "applications:write", "offers:accept", "endpoints:write"]


@dataclass(frozen=True)
class Files:
    """The mounted files that services read."""

    master_key: Path
    service_key: Path
    issuer_key: Path
    intake_key: Path
    spool_key: Path
    tenants: Path
    partners: Path
    credentials: Path
    register_credentials: Path
    webhook_secrets: Path
    sandbox: Path


class Secrets:
    """The secrets of this stack, each drawn when it is first asked for, and kept."""

    def __init__(self, file: Path) -> None:
        self._file, self._known = file, read_json(file)

    def __call__(self, name: str) -> str:
        if name not in self._known:
            self._known[name] = secrets.token_urlsafe(32)
            write_private(self._file, json.dumps(self._known, indent=1))
        return str(self._known[name])


def load_secrets(state: State) -> Secrets:
    return Secrets(state.config / "secrets.json")


def files_of(state: State) -> Files:
    """Where they are."""
    config = state.config
    return Files(
        *(config / name for name in ("master.key", "service.key", "issuer.jwk", "intake.jwk", "spool.key")),
        *(config / name for name in ("tenants.json", "partners.json", "credentials.json", "register-credentials.json")),
        *(config / name for name in ("webhook-secrets.json", "sandbox.json")),
    )


def write_files(state: State, where: Where, *, rate_limit: bool, email: bool = True, outcomes: bool = True) -> Files:
    """Write every configuration file for a sandbox at `where`."""
    files, secret = files_of(state), load_secrets(state)
    for file in (files.master_key, files.service_key, files.spool_key):
        _once(file, lambda: base64.b64encode(secrets.token_bytes(32)).decode())
    _once(files.issuer_key, lambda: _ec_key({"use": "sig", "alg": "ES256"}))
    _once(files.intake_key, lambda: _ec_key({"use": "enc", "alg": "ECDH-ES+A256KW"}))
    contents: list[tuple[Path, dict[str, Any]]] = [
        (files.tenants, tenants(secret, files.intake_key, email=email, outcomes=outcomes)),
        (files.partners, {"partners": DECLARED}),
        (files.credentials, credentials(secret, where, rate_limit)),
        (files.register_credentials, register_credentials(secret, where)),
        (files.webhook_secrets, webhook_secrets(secret)),
        (files.sandbox, sandbox(secret, rate_limit)),
    ]
    for file, content in contents:
        write_private(file, json.dumps(content, indent=1))
    return files


def tenants(secret: Secret, intake_key: Path, *, email: bool, outcomes: bool) -> dict[str, Any]:
    clients = [
        {"clientId": CLIENT, "secretSha256": _sha256(secret("client")), "scopes": SCOPES},
        {
            "clientId": OPERATOR,
            "secretSha256": _sha256(secret("operator")),
            "scopes": ["applications:read", "operator"],
        },
    ]
    tenant = {
        "id": TENANT,
        "name": "Demo Broker",
        "mode": "test",
        "emails": ["broker@demo.example.test"] if email else [],
        "outcomes": outcomes,
        "clients": clients,
        "upstreams": [UPSTREAM],
        "intakeKeyFile": str(intake_key),
        "partners": [_account(each, secret) for each in ACCOUNTS],
    }
    return {"tenants": [tenant]}


def _account(account: Account, secret: Secret) -> dict[str, Any]:
    beside = {"registry": account.registry, "supplement": account.supplement}
    return {
        "partner": account.partner,
        "credential": account.credential,
        "mode": "test",
        "enabled": True,
        "options": dict(account.options),
        "webhookPath": secret(account.webhook_path),
    } | {name: value for name, value in beside.items() if value}


def credentials(secret: Secret, where: Where, rate_limit: bool) -> dict[str, Any]:
    return {
        "credentials": [
            {
                "id": each.credential,
                "tenant": TENANT,
                "partner": each.partner,
                "mode": "test",
                "baseUrl": each.base(where),
                "auth": each.auth(secret, where),
                "rate": each.rate if rate_limit else None,
            }
            for each in ACCOUNTS
        ]
    }


def register_credentials(secret: Secret, where: Where) -> dict[str, Any]:
    """Validation's own: it asks for every tenant, and needs none of the partners' secrets."""
    entry = {"id": REGISTER_CREDENTIAL, "tenant": TENANT, "partner": REGISTER, "mode": "test"}
    auth = {"scheme": "guid", "guid": register_guid(secret)}
    return {"credentials": [entry | {"baseUrl": f"{where.url}/{REGISTER_PATH}", "auth": auth}]}


def webhook_secrets(secret: Secret) -> dict[str, Any]:
    """In the form of Standard Webhooks, which the other partners take as any text."""
    proven = [each.credential for each in ACCOUNTS if each.webhook_secret]
    return {"secrets": [{"credential": each, "secrets": [_whsec(secret(f"{each}-webhook-secret"))]} for each in proven]}


def sandbox(secret: Secret, rate_limit: bool) -> dict[str, Any]:
    """As whom each partner knows us."""
    register = {"partner": REGISTER, "user": REGISTER_CREDENTIAL, "settings": {"guid": register_guid(secret)}}
    return {
        "users": [
            {"partner": each.played_by or each.partner, "user": each.credential}
            | each.user(secret)
            | ({"rateLimit": each.rate} if each.rate and rate_limit else {})
            for each in ACCOUNTS
        ]
        + [register]
    }


def _once(file: Path, make: Any) -> None:
    if not file.exists():
        write_private(file, make())


def _ec_key(parameters: KeyParameters) -> str:
    key = ECKey.generate_key("P-256", parameters=parameters, auto_kid=True)
    return json.dumps(key.as_dict(private=True))


def _whsec(secret: str) -> str:
    return "whsec_" + base64.b64encode(hashlib.sha256(secret.encode()).digest()).decode()


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
