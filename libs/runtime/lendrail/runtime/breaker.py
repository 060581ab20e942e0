"""A circuit breaker as a value: what it becomes after a failure, and who may try while it is open.

Closed: calls go. After `failures` in a row, or when a whole window had nothing but failures, it opens: nobody calls
until a time that grows with every opening. Then it is half-open: one call at a time may try. A success closes it, from
whatever state; closed and without failures it is no value at all (None).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

BUSY_SECONDS = 1.0
"""How soon it is worth asking again while somebody tries."""
State = Literal["closed", "open", "half-open"]


@dataclass(frozen=True, slots=True)
class Rules:
    """Times in seconds."""

    failures: int = 5
    """In a row; then it opens."""
    few: int = 3
    """This many open it too, when the first of them is `window` old and no call came through since."""
    window: float = 30.0
    forget: float = 600.0
    """Failures further apart than this have nothing to do with one another."""
    waits: tuple[float, ...] = (5, 15, 60, 300)
    """How long it stays open, each time it opens again; the last one repeats."""
    jitter: float = 0.2
    probe: float = 120.0
    """How long a try may take. After it another one is let through: whoever tried is taken for dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Of one operation with one credential, at least one failure after its last success. Times are the server's."""

    failures: int
    first: dt.datetime
    """The first failure since the last success."""
    last: dt.datetime
    opened: int = 0
    """How often it opened since the last success."""
    until: dt.datetime | None = None
    """Open until then; None: closed."""
    prober: str | None = None
    """Token of whoever tries."""
    prober_until: dt.datetime | None = None

    def state(self, now: dt.datetime) -> State:
        if self.until is None:
            return "closed"
        return "open" if now < self.until else "half-open"

    def probed(self, now: dt.datetime) -> bool:
        """Whether somebody tries right now."""
        return self.prober_until is not None and now < self.prober_until

    def wait(self, now: dt.datetime) -> dt.datetime | None:
        """When it is worth asking again; None: a call may go, or try."""
        if self.state(now) == "open":
            return self.until
        if self.probed(now):
            assert self.prober_until is not None
            return min(self.prober_until, now + dt.timedelta(seconds=BUSY_SECONDS))
        return None

    def probing(self, now: dt.datetime, token: str, rules: Rules) -> Breaker:
        """The grant of the one try. Only where `state` is half-open and `wait` is None."""
        return replace(self, prober=token, prober_until=now + _seconds(rules.probe))

    def given_back(self, token: str) -> Breaker:
        """Whoever was to try did not call."""
        return replace(self, prober=None, prober_until=None) if self.prober == token else self

    def document(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def failed(breaker: Breaker | None, now: dt.datetime, rules: Rules, draw: float, token: str | None = None) -> Breaker:
    """After one more failure. `draw`: between 0 and 1, for the jitter; `token`: of the one who tried.

    Calls that began before it opened and fail late change nothing: neither an opening nor somebody else's try.
    """
    if breaker is None or (breaker.until is None and now > breaker.last + _seconds(rules.forget)):
        breaker = Breaker(failures=0, first=now, last=now)
    if breaker.state(now) == "open" or (breaker.probed(now) and breaker.prober != token):
        return breaker
    failures = breaker.failures + 1
    breaker = replace(breaker, failures=failures, last=max(now, breaker.last), prober=None, prober_until=None)
    if breaker.until is None and failures < rules.failures and not _nothing_but_failures(breaker, rules):
        return breaker
    wait = rules.waits[min(breaker.opened, len(rules.waits) - 1)] * (1 + rules.jitter * (2 * draw - 1))
    return replace(breaker, opened=breaker.opened + 1, until=now + _seconds(wait))


def _nothing_but_failures(breaker: Breaker, rules: Rules) -> bool:
    return breaker.failures >= rules.few and breaker.last - breaker.first >= _seconds(rules.window)


def _seconds(seconds: float) -> dt.timedelta:
    """In whole milliseconds, as MongoDB stores them."""
    return dt.timedelta(milliseconds=int(seconds * 1000))
