from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lendrail.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """What validation is told beyond what every service is told."""

    duplicate_window_seconds: Annotated[int, Field(ge=0, le=30 * 86_400)] = 86_400
    """How long the same wish of the same business or owner counts as a duplicate; 0: never."""

    amendment_overdue_seconds: Annotated[int, Field(gt=0)] = 86_400
    """An amendment that waits longer for the one before it is overdue, and an error in the log. It waits on."""

    credentials_file: Path | None = None
    """Secrets of our credential at the business register; a file of its own, since validation needs no other."""
    abn_credential: str = ""
    """Its id; several, at most one for each mode, with commas between them. Empty: no number is looked up."""
    abn_seconds: Annotated[float, Field(gt=0, le=120)] = 10
    """How long an Australian business's application waits for the register, in all."""
    abn_retry_seconds: tuple[float, ...] = (0.5, 2)
    """Waits between tries while the register has trouble and there is time."""
    abn_cache_seconds: Annotated[int, Field(ge=0, le=30 * 86_400)] = 3600
    """How long the register's answer holds for the same number and names."""
    abn_lanes: Annotated[int, Field(ge=1, le=64)] = 8
    """Questions at the same time."""

    @property
    def abn_credentials(self) -> tuple[str, ...]:
        return tuple(each.strip() for each in self.abn_credential.split(",") if each.strip())

    @property
    def amendment_overdue(self) -> dt.timedelta:
        return dt.timedelta(seconds=self.amendment_overdue_seconds)

    @property
    def duplicate_window(self) -> dt.timedelta:
        return dt.timedelta(seconds=self.duplicate_window_seconds)
