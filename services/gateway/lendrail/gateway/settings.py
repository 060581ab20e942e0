from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, HttpUrl, model_validator

from lendrail.gateway.webhooks.sources import ProxyHeader, networks
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

    webhook_spool: Path | None = None
    """Folder of this process alone, on a disk that outlives it, in which partners' calls wait while MongoDB is away.
    Absent: such calls are answered 503, and the partner has to come again.
    """
    webhook_spool_key_file: Path | None = None
    """What seals them there: 32 bytes in Base64, one key in each line; the first seals, all of them open."""
    webhook_spool_bytes: Annotated[int, Field(ge=1024 * 1024)] = 256 * 1024 * 1024
    """How much may wait; calls beyond it are answered 503."""

    trusted_proxies: str = ""
    """Comma-separated networks of the proxies before us, which say in `proxy_header` whose call it is. Nobody else is
    believed.
    """
    proxy_header: ProxyHeader = "x-forwarded-for"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """Half of what is needed would only be noticed in an outage."""
        networks(self.trusted_proxies)
        if self.webhook_spool is not None and self.webhook_spool_key_file is None:
            raise ValueError("webhook_spool needs webhook_spool_key_file")
        return self
