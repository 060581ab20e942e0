"""A claimed opportunity in a lane's hands."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass

from lendrail.partners import PARTNERS
from lendrail.partners.exchange import Delivery, Reply
from lendrail.partners.partner import Operation, Partner
from lendrail.runtime.due import Lease
from lendrail.runtime.mongo import Document
from lendrail.runtime.vault import Key
from lendrail.submission.attempts.attempt import Attempt, Opportunity

ONE_BY_ONE = Delivery("bytes")


@dataclass
class Job:
    """A claimed opportunity in a lane's hands."""

    lane: int
    lease: Lease
    document: Document
    opportunity: Opportunity
    key: Key
    through: str
    """The credential that the lane was given for; what goes through another waits for a lane of its own."""
    claimed: dt.datetime
    began: float
    released: bool = False
    """There is nothing to let go of: we did, or the lease is somebody else's."""
    lost: bool = False
    reply: Reply | None = None
    """What the call under way was answered."""

    @property
    def now(self) -> dt.datetime:
        """The server's time."""
        now = self.claimed + dt.timedelta(seconds=time.monotonic() - self.began)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    @property
    def partner(self) -> Partner:
        return PARTNERS[self.opportunity.partner]

    def partner_of(self, attempt: Attempt) -> Partner:
        """Whose channel this attempt goes through."""
        return PARTNERS[attempt.channel] if attempt.channel else self.partner

    def operation(self, attempt: Attempt) -> Operation:
        return self.partner_of(attempt).operations[attempt.call]

    def age(self, attempt: Attempt) -> float:
        """Seconds since the first byte of its step may first have left."""
        return (self.now - attempt.sent_at).total_seconds() if attempt.sent_at else 0.0

    @property
    def delivery(self) -> Delivery:
        return self.partner.delivery(self.opportunity.options) if self.partner.delivery else ONE_BY_ONE
