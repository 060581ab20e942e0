from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, HttpUrl

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

    max_upload_bytes: Annotated[int, Field(ge=1024)] = 25 * 1024 * 1024
    """The largest document; the documents service has its own limit beside this one."""

    retention_live_days: Annotated[int, Field(ge=0)] = 765
    """How long after its last change a live application is erased; 0: never. The default covers the 25 months (up to
    762 days) for which United States lenders keep applications of consumers (Regulation B, 12 CFR 1002.12 (b)); of most
    business credit they keep them for 12, and we keep the longer.
    """

    retention_test_days: Annotated[int, Field(ge=0)] = 90
    """The same for test applications."""

    upload_seconds: float = 180.0
    """How long a document may take on its way through."""

    webhooks_at_once: Annotated[int, Field(ge=2)] = 200
    """Partners' calls under way. They are counted apart from what applications send, so that neither takes the other's
    place; each secret path has its share.
    """
    webhook_bytes_at_once: Annotated[int, Field(ge=2 * 1024 * 1024)] = 8 * 1024 * 1024
    """The same for the bytes of their bodies."""
