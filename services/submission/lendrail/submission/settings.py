"""What submission is told by its environment."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lendrail.partners.partner import Capability, Operation
from lendrail.runtime.settings import ServiceSettings
from lendrail.submission.attempts.attempt import Attempt
from lendrail.submission.attempts.classify import Verdict

_HOUR = 3600.0


class Settings(ServiceSettings):
    """Times in seconds."""

    credentials_file: Path
    webhook_secrets_file: Path | None = None
    """What partners shall prove their calls with, by credential; the newest one is told them."""
    documents_url: str

    lanes: Annotated[int, Field(ge=1, le=256)] = 32
    """Opportunities carried out at the same time by this process."""
    lanes_per_limited_credential: Annotated[int, Field(ge=1, le=16)] = 2
    """Of these, for one credential with a rate limit: more would only wait for its budget with a lease in hand."""
    lane_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Which part of the lanes one credential may have while others have work; a partner that hangs delays no other."""
    breaker_failures: Annotated[int, Field(ge=2)] = 5
    """Failed calls of one operation in a row, after which only single tries go through until one is answered."""
    lease_seconds: Annotated[float, Field(ge=5)] = 120.0
    poll_seconds: float = 0.5

    retry_seconds: tuple[float, ...] = (1, 2, 5, 15, 60, 300, 900, *(_HOUR for _ in range(24)))
    """Waits after a call that was not sent or was refused for now, each drawn between nothing and this; then parked."""
    unknown_seconds: tuple[float, ...] = (0, 60, 300, 900, _HOUR)
    """Waits before the bytes of an unknown attempt are repeated, on top of the partner's processing time."""
    credential_pause_seconds: float = 300.0
    partner_processing_seconds: float | None = None
    """Instead of the profile's longest processing time; for tests and demonstrations."""
    partner_deadline_seconds: float | None = None
    """At most this long for one call, where the profile allows more."""
    gate_seconds: Annotated[float, Field(gt=0)] = 900.0
    """How long a registry may be silent before a person is told; the opportunity goes on waiting."""
    registry_cancel_seconds: Annotated[float, Field(ge=0)] = 60.0
    """How long after its last lender ended unfunded a registration is cancelled: another may still be on its way."""
    register_webhooks_every: float = _HOUR
    lists_look_seconds: Annotated[float, Field(gt=0)] = 60.0
    """How often accounts are looked through for partners' lists that nobody fetched yet."""
    lists_seconds: Annotated[float, Field(gt=0)] | None = None
    """Instead of the time after which the profile has a partner's lists fetched anew."""

    def processing(self, operation: Operation) -> float:
        own = self.partner_processing_seconds
        return operation.processing if own is None else own

    def not_before(self, attempt: Attempt, now: dt.datetime) -> dt.datetime:
        """When an attempt may be sent again on a person's word: the lease of whoever sent it must be over, and the
        partner done with what it may have got.
        """
        began = attempt.unknown_since or attempt.sent_at
        if attempt.tries == 0 or began is None:
            return now
        settle = self.lease_seconds + self.processing(Operation(capability=Capability.BLIND))
        return max(now, began + dt.timedelta(seconds=settle))

    def deadline(self, operation: Operation) -> float:
        own = self.partner_deadline_seconds
        return operation.deadline if own is None else min(own, operation.deadline)

    def delay(self, verdict: Verdict, operation: Operation, attempt: Attempt) -> float:
        """How long the attempt waits; `attempt` as it was before the verdict."""
        if verdict.wait == "settle":
            return self.processing(operation) + _jitter(self.unknown_seconds, attempt.unknowns)
        if verdict.wait == "retry":
            return _jitter(self.retry_seconds, attempt.delays)
        if verdict.wait == "after":
            return verdict.seconds + random.uniform(0, 0.5)
        return 0.0


def _jitter(schedule: tuple[float, ...], place: int) -> float:
    return random.uniform(0, schedule[min(place, len(schedule) - 1)]) if schedule else 0.0
