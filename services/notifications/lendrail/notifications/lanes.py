"""Lanes are earned: an endpoint starts with two calls at a time, wins one by each success, falls to one by a failure.

So a recipient that hangs until the deadline holds one lane and not all of them, and those that fail share at most half.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

REMEMBER = 10_000
FIRST = 2
FAILING_FROM = 3
LONGEST_HOLD = 300.0


@dataclass(slots=True)
class _State:
    limit: int = FIRST
    running: int = 0
    failures: int = 0


class Lanes:
    """How many calls each endpoint may have under way in this process."""

    def __init__(self, lanes: int) -> None:
        self._most, self._half = lanes - lanes // 4, lanes // 2
        self._states: OrderedDict[str, _State] = OrderedDict()

    def enter(self, endpoint: str) -> bool:
        """Take a lane, if the endpoint may have one more."""
        state = self._states.setdefault(endpoint, _State())
        if endpoint in self.full():
            return False
        state.running += 1
        return True

    def outcome(self, endpoint: str, answered: bool) -> None:
        """What a call came to, while its lane is still taken."""
        state = self._states[endpoint]
        state.failures = 0 if answered else state.failures + 1
        state.limit = min(self._most, state.limit + 1) if answered else 1

    def leave(self, endpoint: str) -> None:
        self._states[endpoint].running -= 1
        self._states.move_to_end(endpoint)
        if len(self._states) > REMEMBER and not next(iter(self._states.values())).running:
            self._states.popitem(last=False)

    def hold_seconds(self, endpoint: str) -> float:
        """How long everything else for an endpoint that failed again and again should wait; 0 for the others."""
        failures = self._states[endpoint].failures
        return 0.0 if failures < FAILING_FROM else float(min(LONGEST_HOLD, 2 ** min(failures, 20)))

    def full(self) -> list[str]:
        """The endpoints that may have no further lane now."""
        busy = [(name, state) for name, state in self._states.items() if state.running]
        crowded = sum(state.running for _, state in busy if state.failures) >= self._half
        return [name for name, s in busy if s.running >= s.limit] + (
            [name for name, s in self._states.items() if s.failures and not s.running] if crowded else []
        )
