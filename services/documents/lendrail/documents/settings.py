from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import Field

from lendrail.runtime.settings import ServiceSettings

MEGABYTE = 1024 * 1024


class Settings(ServiceSettings):
    """What documents is told beyond what every service is told."""

    public_url: Annotated[str, Field(pattern=r"^https?://[^/?#]+$")]
    """The gateway's address as partners reach it; links begin with it."""
    link_seconds: Annotated[int, Field(ge=60, le=90 * 86_400)] = 7 * 86_400
    """How long a link can be used."""
    render_processes: Annotated[int, Field(ge=1, le=64)] = 1

    max_body_bytes: Annotated[int, Field(ge=1024, le=100 * MEGABYTE)] = 25 * MEGABYTE
    """The largest upload."""
    application_upload_bytes: Annotated[int, Field(ge=1024)] = 200 * MEGABYTE
    """All uploads of one application together."""
    uploads_at_once: Annotated[int, Field(ge=1, le=64)] = 4
    """Each is held in memory, for a moment three times."""
    upload_wait_seconds: float = 10.0
    """How long an upload waits until it is read."""
    upload_seconds: float = 120.0
    """How long reading one may take."""

    @property
    def link_life(self) -> dt.timedelta:
        return dt.timedelta(seconds=self.link_seconds)
