"""The documented limit of so many requests per second and user, counted whether or not it is enforced."""

from collections import deque

from lendrail.sandbox.journal import Record
from lendrail.sandbox.settings import RateLimit

DOCUMENTED = RateLimit()
"""1 request per second per user, as the public documentation of Forward Financing says."""


class Limiter:
    """Remembers the latest accepted calls of each user; a call that was refused does not count against the next."""

    def __init__(self) -> None:
        self._accepted: dict[str, deque[float]] = {}

    def too_soon(self, user: str, limit: RateLimit, arrived: float) -> bool:
        """`arrived` is monotonic seconds at the first byte of the call."""
        calls = self._accepted.get(user, deque())
        if len(calls) < limit.requests:
            return False
        return arrived - calls[-limit.requests] < limit.seconds - limit.tolerance_ms / 1000

    def accept(self, user: str, limit: RateLimit, arrived: float) -> None:
        calls = self._accepted.setdefault(user, deque())
        calls.append(arrived)
        while len(calls) > limit.requests:
            calls.popleft()

    def replay(self, record: Record, limit: RateLimit | None, now: float) -> None:
        """A restart gives no fresh budget; times from before a reboot (ahead of the clock) mean nothing."""
        if limit is not None and record["type"] == "call" and record.get("paced") and record["monotonic"] <= now:
            self.accept(record["user"], limit, record["monotonic"])
