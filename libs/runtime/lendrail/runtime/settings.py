"""What every service is told by its environment. Nothing here has a default that works in production by accident."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Stores(BaseSettings):
    """Where Kafka and MongoDB are, and the key that opens what rests there: all that an operator's command needs."""

    model_config = SettingsConfigDict(env_prefix="LENDRAIL_", frozen=True, hide_input_in_errors=True)

    kafka_bootstrap_servers: str = Field(validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS"))
    mongo_url: SecretStr = Field(validation_alias=AliasChoices("MONGO_URL"))
    instance: str = ""
    database_prefix: str = ""
    """Put before every database name, so that several stacks can share one MongoDB."""

    master_key_file: Path


class ServiceSettings(Stores):
    """Settings that all services share; each service adds its own few."""

    environment: Literal["development", "production"] = "production"
    host: str = "127.0.0.1"
    port: int = 0
    log_level: str = "INFO"

    service_key_file: Path
    tenants_file: Path
    partners_file: Path | None = None
    """Partners that are made known by this file alone; who looks partners up reads it once, at the start."""
    issuer: str
    jwks_url: HttpUrl | None = None
    public_url: str = ""

    batch_records: Annotated[int, Field(ge=1, le=5000)] = 200
    max_body_bytes: int = 512 * 1024

    requests_at_once: Annotated[int, Field(ge=2)] = 200
    """HTTP requests under way; more are refused at once, with the time after which to come again."""
    request_bytes_at_once: Annotated[int, Field(ge=2 * 1024 * 1024)] = 16 * 1024 * 1024
    """The same for the bytes of their bodies."""
    body_seconds: Annotated[float, Field(gt=0)] = 30.0
    """How long a body may take to come; larger ones than a megabyte have times of their own."""


def read_key(path: Path) -> bytes:
    """The 32 bytes of a key file (Base64 text). Raises ValueError that names the file and not its content."""
    try:
        key = base64.b64decode(path.read_text().strip(), validate=True)
    except (OSError, ValueError):
        raise ValueError(f"the key file {path.name} cannot be read as Base64") from None
    if len(key) != 32:
        raise ValueError(f"the key file {path.name} must hold 32 bytes in Base64")
    return key
