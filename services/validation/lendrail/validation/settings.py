from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import Field

from lendrail.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """What validation is told beyond what every service is told."""

    duplicate_window_seconds: Annotated[int, Field(ge=0, le=30 * 86_400)] = 86_400
    """How long the same wish of the same business or owner counts as a duplicate; 0: never."""

    @property
    def duplicate_window(self) -> dt.timedelta:
        return dt.timedelta(seconds=self.duplicate_window_seconds)
