"""Keys, tenants and credentials of a local stack: one tenant `demo` in test mode with one partner account.

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

from lendrail.local.state import State, read_json, write_private

TENANT = "demo"
UPSTREAM = "demo-crm"
PARTNER = "forward-financing"
CLIENT = "demo-upstream"
OPERATOR = "demo-operator"
SCOPES = ["applications:write", "applications:read", "endpoints:write", "operator"]
RATE = {"requests": 1, "seconds": 1}
"""Forward Financing allows one request a second."""


@dataclass(frozen=True)
class Files:
    """The mounted files that services read."""

    master_key: Path
    service_key: Path
    issuer_key: Path
    intake_key: Path
    tenants: Path
    credentials: Path
    sandbox: Path


@dataclass(frozen=True)
class Secrets:
    client: str
    operator: str
    api_key: str
    oauth_username: str
    oauth_password: str
    webhook_path: str
    control: str


def load_secrets(state: State) -> Secrets:
    """The secrets of this stack, drawn where there are none yet."""
    file = state.config / "secrets.json"
    known = read_json(file)
    names = list(Secrets.__dataclass_fields__)
    drawn = {name: known.get(name) or secrets.token_urlsafe(32) for name in names}
    drawn["oauth_username"] = "demo-user"
    if drawn != known:
        write_private(file, json.dumps(drawn, indent=1))
    return Secrets(**drawn)


def write_files(state: State, sandbox_url: str, *, rate_limit: bool, email: bool = True) -> Files:
    """Write every configuration file for a sandbox at `sandbox_url`."""
    config, drawn = state.config, load_secrets(state)
    files = Files(
        *(config / name for name in ("master.key", "service.key", "issuer.jwk", "intake.jwk")),
        *(config / name for name in ("tenants.json", "credentials.json", "sandbox.json")),
    )
    for file in (files.master_key, files.service_key):
        _once(file, lambda: base64.b64encode(secrets.token_bytes(32)).decode())
    _once(files.issuer_key, lambda: _ec_key({"use": "sig", "alg": "ES256"}))
    _once(files.intake_key, lambda: _ec_key({"use": "enc", "alg": "ECDH-ES+A256KW"}))
    rate = RATE if rate_limit else None
    contents: list[tuple[Path, dict[str, Any]]] = [
        (files.tenants, tenants(drawn, files.intake_key, email=email)),
        (files.credentials, credentials(drawn, sandbox_url, rate)),
        (files.sandbox, sandbox(drawn, rate)),
    ]
    for file, content in contents:
        write_private(file, json.dumps(content, indent=1))
    return files


def tenants(drawn: Secrets, intake_key: Path, *, email: bool) -> dict[str, Any]:
    account = {
        "partner": PARTNER,
        "credential": "demo-ff",
        "mode": "test",
        "enabled": True,
        "options": {"revision": "classic", "attachments": "raw", "vocabulary": "classic"},
        "webhookPath": drawn.webhook_path,
    }
    clients = [
        {"clientId": CLIENT, "secretSha256": _sha256(drawn.client), "scopes": SCOPES},
        {"clientId": OPERATOR, "secretSha256": _sha256(drawn.operator), "scopes": ["applications:read", "operator"]},
    ]
    tenant = {
        "id": TENANT,
        "name": "Demo Broker",
        "mode": "test",
        "emails": ["broker@demo.example.test"] if email else [],
        "clients": clients,
        "upstreams": [UPSTREAM],
        "intakeKeyFile": str(intake_key),
        "partners": [account],
    }
    return {"tenants": [tenant]}


def credentials(drawn: Secrets, sandbox_url: str, rate: dict[str, int] | None) -> dict[str, Any]:
    credential = {
        "id": "demo-ff",
        "tenant": TENANT,
        "partner": PARTNER,
        "mode": "test",
        "baseUrl": f"{sandbox_url}/{PARTNER}/v1",
        "auth": {"scheme": "api-key", "key": drawn.api_key},
        "rate": rate,
    }
    return {"credentials": [credential]}


def sandbox(drawn: Secrets, rate: dict[str, int] | None) -> dict[str, Any]:
    user = {
        "partner": PARTNER,
        "user": "demo",
        "apiKey": drawn.api_key,
        "oauth": {"username": drawn.oauth_username, "password": drawn.oauth_password},
        "rateLimit": rate,
        "settings": {},
    }
    return {"users": [user]}


def _once(file: Path, make: Any) -> None:
    if not file.exists():
        write_private(file, make())


def _ec_key(parameters: KeyParameters) -> str:
    key = ECKey.generate_key("P-256", parameters=parameters, auto_kid=True)
    return json.dumps(key.as_dict(private=True))


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
