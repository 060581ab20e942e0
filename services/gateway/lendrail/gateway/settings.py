from __future__ import annotations

from pathlib import Path

from pydantic import HttpUrl

from lendrail.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """What the gateway is told beyond what every service is told."""

    issuer_key_file: Path | None = None
    """Private JWK (ES256) of the embedded issuer. Absent: no issuer here, and `jwks_url` names that of another."""

    webhook_secrets_file: Path | None = None
    """What proves partners' calls, by credential. Absent: calls of partners that declare a proof are all refused."""

    validation_url: HttpUrl
    documents_url: HttpUrl
    submission_url: HttpUrl
    status_url: HttpUrl
    notifications_url: HttpUrl

    forward_seconds: float = 15.0
    """How long the owner of a forwarded route may take until its answer begins."""
