from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, model_validator

from lendrail.runtime.settings import ServiceSettings

HOUR = 3600.0


class Settings(ServiceSettings):
    """What notifications is told beyond what every service is."""

    smtp_host: str
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    smtp_starttls: bool = True
    """Insist on STARTTLS (RFC 3207); false only for a relay on the same machine."""
    smtp_ca_file: Path | None = None
    """Certificate authorities for the mail relay; absent: the usual ones."""
    smtp_username: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_sender: str

    retry_seconds: tuple[float, ...] = (5, 30, 120, 600, HOUR, 6 * HOUR, 12 * HOUR, *(8 * (24 * HOUR,)))
    """Longest wait before each repeat; the real one is drawn between 0 and this (full jitter). With 211 h in all, the
    average recipient may be away for more than four days before a notice is parked."""
    delivery_seconds: float = 15.0
    """Deadline of one webhook call, name resolution and connecting included."""
    webhook_lanes: Annotated[int, Field(ge=4, le=256)] = 32
    mail_seconds: float = 30.0
    """Deadline for connecting to the relay and addressing a mail, and once more for its text."""
    mail_lanes: Annotated[int, Field(ge=1, le=16)] = 2
    endpoints_per_tenant: int = 50

    outcome_retry_seconds: Annotated[tuple[float, ...], Field(min_length=1)] = (1, 5, 30, 60)
    """The same for the tenants' topics, where nothing is ever parked: the last one is repeated."""
    outcome_seconds: Annotated[float, Field(ge=1)] = 10.0
    """Deadline of one write to a tenant's topic."""
    outcome_lanes: Annotated[int, Field(ge=4, le=256)] = 16

    @model_validator(mode="after")
    def _secrets_travel_encrypted(self) -> Settings:
        if self.smtp_username and not self.smtp_starttls:
            raise ValueError("a mail password needs STARTTLS")
        return self
