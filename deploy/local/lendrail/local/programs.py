"""What runs in a local stack, and what each program is told by its environment."""

import os
import sys
from dataclasses import dataclass

from lendrail.local.accounts import REGISTER_CREDENTIAL
from lendrail.local.configure import Files
from lendrail.local.state import State

SERVICES = ("gateway", "validation", "documents", "submission", "status", "notifications")
SANDBOX = "sandbox"
SANDBOX_SMTP = "sandbox-smtp"
SMTP = "smtp"
KAFKA, MONGO = "kafka", "mongo"
PORTS = [KAFKA, "kafka-controller", MONGO, SMTP, SANDBOX, SANDBOX_SMTP, *SERVICES]
TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path
JWKS_PATH = "/.well-known/jwks.json"
FORWARDED = ("validation", "documents", "submission", "status", "notifications")


@dataclass(frozen=True)
class Addresses:
    """Where everything listens; `kafka` and `mongo` may be servers that are not ours."""

    kafka: str
    mongo: str
    ports: dict[str, int]

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"


def command(name: str, state: State, addresses: Addresses) -> list[str]:
    """How to start one of our own programs."""
    if name == SMTP:
        arguments = [str(addresses.ports[SMTP]), str(state.mail), str(state.config)]
        return [sys.executable, "-m", "lendrail.local.smtp", *arguments]
    return [sys.executable, "-m", f"lendrail.{name}"]


def environment(name: str, state: State, files: Files, addresses: Addresses) -> dict[str, str]:
    """The whole environment of one program: what the caller has, with ours on top."""
    ours = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
    if name == SMTP:
        return os.environ | ours
    ours |= {"LENDRAIL_HOST": "127.0.0.1", "LENDRAIL_PORT": str(addresses.ports[name])}
    if name == SANDBOX:
        ours |= {
            "LENDRAIL_SANDBOX_LEDGER": str(state.data / SANDBOX),
            "LENDRAIL_SANDBOX_CONFIG": str(files.sandbox),
            "LENDRAIL_SANDBOX_SMTP_PORT": str(addresses.ports[SANDBOX_SMTP]),
        }
        return os.environ | ours
    return os.environ | ours | _service(files, addresses) | _own(name, state, files, addresses)


def _service(files: Files, addresses: Addresses) -> dict[str, str]:
    """What every service is told."""
    gateway = addresses.url("gateway")
    return {
        "KAFKA_BOOTSTRAP_SERVERS": addresses.kafka,
        "MONGO_URL": addresses.mongo,
        "LENDRAIL_ENVIRONMENT": "development",
        "LENDRAIL_MASTER_KEY_FILE": str(files.master_key),
        "LENDRAIL_SERVICE_KEY_FILE": str(files.service_key),
        "LENDRAIL_TENANTS_FILE": str(files.tenants),
        "LENDRAIL_PARTNERS_FILE": str(files.partners),
        "LENDRAIL_ISSUER": gateway,
        "LENDRAIL_PUBLIC_URL": gateway,
    }


def _own(name: str, state: State, files: Files, addresses: Addresses) -> dict[str, str]:
    """What one service is told beyond that."""
    told = {"LENDRAIL_INSTANCE": f"{name}-1"}
    if name == "gateway":
        told |= {"LENDRAIL_ISSUER_KEY_FILE": str(files.issuer_key)}
        told |= {"LENDRAIL_WEBHOOK_SECRETS_FILE": str(files.webhook_secrets)}
        told |= {"LENDRAIL_WEBHOOK_SPOOL": str(state.data / name / "spool")}
        told |= {"LENDRAIL_WEBHOOK_SPOOL_KEY_FILE": str(files.spool_key)}
        return told | {f"LENDRAIL_{other.upper()}_URL": addresses.url(other) for other in FORWARDED}
    told |= {"LENDRAIL_JWKS_URL": addresses.url("gateway") + JWKS_PATH}
    if name == "validation":
        told |= {"LENDRAIL_CREDENTIALS_FILE": str(files.register_credentials)}
        told |= {"LENDRAIL_ABN_CREDENTIAL": REGISTER_CREDENTIAL}
    if name in ("submission", "status"):
        told |= {"LENDRAIL_CREDENTIALS_FILE": str(files.credentials)}
    if name == "submission":
        told |= {"LENDRAIL_DOCUMENTS_URL": addresses.url("documents")}
        told |= {"LENDRAIL_WEBHOOK_SECRETS_FILE": str(files.webhook_secrets)}
    if name == "notifications":
        told |= {
            "LENDRAIL_SMTP_HOST": "127.0.0.1",
            "LENDRAIL_SMTP_PORT": str(addresses.ports[SMTP]),
            "LENDRAIL_SMTP_STARTTLS": "true",
            "LENDRAIL_SMTP_CA_FILE": str(state.config / "smtp.pem"),
            "LENDRAIL_SMTP_SENDER": "lendrail@demo.example.test",
        }
    return told
