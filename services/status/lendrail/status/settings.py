"""What the status service is told by its environment, beside what every service is told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from lendrail.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """Times are seconds."""

    credentials_file: Path
    """Secrets of our credentials at partners."""
    sweep_seconds: Annotated[float, Field(gt=0)] = 900
    """How often an open opportunity is looked at when nobody calls us, at partners whose profile has no schedule of its
    own. The first look is after this time.
    """
    longest_wait_seconds: Annotated[float, Field(gt=0)] | None = None
    """At most this long between two looks, and between two pages of a feed, whatever a profile says; for tests and
    demonstrations.
    """
    recheck_seconds: Annotated[float, Field(gt=0)] = 15
    """When we look once more after a hint that brought no news: it may have been faster than the partner's own data."""
    retry_seconds: tuple[float, ...] = (1, 2, 5, 15, 60, 300, 900)
    """Waits after a read that failed; the last one repeats."""
    breaker_failures: Annotated[int, Field(ge=2)] = 5
    """Failed reads of one credential in a row, after which only single tries go through until one is answered."""
    pause_seconds: Annotated[float, Field(gt=0)] = 60
    """How long a credential rests after it was refused."""
    fetch_lanes: Annotated[int, Field(ge=1, le=64)] = 16
    """Reads of partners at the same time; each lane keeps one connection per credential."""
    orphan_sweep_seconds: Annotated[float, Field(gt=0)] = 30
    max_import_bytes: Annotated[int, Field(ge=1024)] = 256 * 1024 * 1024
    """The largest file of statuses; a workbook may have 32 MB."""
    import_seconds: Annotated[float, Field(gt=0)] = 600
    """How long a file may take to come."""
    import_most_seconds: Annotated[float, Field(gt=0)] = 4 * 3600
    """How long it may take to be read."""
    import_lease_seconds: Annotated[float, Field(ge=3)] = 60
    """After the death of a process that read a file, another one goes on after so long."""
