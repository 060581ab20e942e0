from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import Field

from lendrail.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """What documents is told beyond what every service is told."""

    public_url: Annotated[str, Field(pattern=r"^https?://[^/?#]+$")]
    """The gateway's address as partners reach it; links begin with it."""
    link_seconds: Annotated[int, Field(ge=60, le=90 * 86_400)] = 7 * 86_400
    """How long a link can be used."""
    render_processes: Annotated[int, Field(ge=1, le=64)] = 1

    @property
    def link_life(self) -> dt.timedelta:
        return dt.timedelta(seconds=self.link_seconds)
